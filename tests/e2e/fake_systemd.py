#!/usr/bin/python3
"""Stands in for systemd on a bus: fake_systemd.py BUS_ADDRESS < units.json

The JSON has "manager" (properties) and "units": name -> {"load", "active", "properties": {interface: {name: value}}}; a
value is [signature, value]. Says "ready" once it has its name on the bus, and ends with its input.
"""

import json
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

ROOT = "/org/freedesktop/systemd1"
NAME = "org.freedesktop.systemd1"
PROPERTIES = "org.freedesktop.DBus.Properties"


def object_path(name):
    """As systemd escapes names: what is neither letter nor digit is _XX."""
    escaped = "".join(c if c.isalnum() and c.isascii() else f"_{ord(c):02x}" for c in name)
    return f"{ROOT}/unit/{escaped}"


def variant(value):
    signature, plain = value
    return {"s": dbus.String, "u": dbus.UInt32, "t": dbus.UInt64}[signature](plain, variant_level=1)


class Thing(dbus.service.Object):
    """What has properties."""

    def __init__(self, bus, path, properties):
        super().__init__(bus, path)
        self.properties = properties

    @dbus.service.method(PROPERTIES, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        try:
            return variant(self.properties[interface][name])
        except KeyError:
            raise dbus.exceptions.DBusException(
                f"Unknown property {name}", name="org.freedesktop.DBus.Error.UnknownProperty"
            ) from None


class Manager(Thing):
    def __init__(self, bus, wanted):
        super().__init__(bus, ROOT, {f"{NAME}.Manager": wanted["manager"]})
        self.units = wanted["units"]
        self.things = [Thing(bus, object_path(name), unit["properties"]) for name, unit in self.units.items()]

    @dbus.service.method(f"{NAME}.Manager", out_signature="a(ssssssouso)")
    def ListUnits(self):
        return [
            (name, f"about {name}", unit["load"], unit["active"], "sub", "", object_path(name), dbus.UInt32(0), "", "/")
            for name, unit in self.units.items()
        ]


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    wanted = json.loads(sys.stdin.readline())
    bus = dbus.bus.BusConnection(sys.argv[1])
    manager = Manager(bus, wanted)
    bus_name = dbus.service.BusName(NAME, bus)
    print("ready", flush=True)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    loop.run()
    del manager, bus_name


main()
