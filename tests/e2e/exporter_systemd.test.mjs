// systemd's units beside node_exporter: both ask a stand-in for systemd on a real bus, and must say the same of it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { parseText } from "./exposition.mjs";
import { freePort, missing, request, root, scratch, start, startProgram, until, writeConfig } from "./lib.mjs";

const kPython = "/usr/bin/python3";

function lacking() {
  const programs = missing(kPython, "dbus-daemon", "prometheus-node-exporter");
  if (programs) return programs;
  const modules = spawnSync(kPython, ["-c", "import dbus, gi"]);
  return modules.status === 0 ? false : "python3-dbus or python3-gi is not installed";
}

const service = (type, restarts) => ({ Type: ["s", type], NRestarts: ["u", restarts] });
const since = (microseconds) => ({ ActiveEnterTimestamp: ["t", microseconds] });
const unit = (active, properties = {}, load = "loaded") => ({
  load,
  active,
  properties: Object.fromEntries(
    Object.entries(properties).map(([name, values]) => [`org.freedesktop.systemd1.${name}`, values]),
  ),
});
const kSystemd = {
  manager: {
    Version: ["s", "252.38-1~deb12u1"],
    Virtualization: ["s", "kvm"],
    SystemState: ["s", "degraded"],
  },
  units: {
    "web.service": unit("active", { Unit: since(1_700_000_000_250_000), Service: service("notify", 3) }),
    "wg-quick@wg0.service": unit("failed", { Unit: since(0), Service: service("oneshot", 0) }),
    "ssh.socket": unit("active", {
      Unit: since(1_600_000_000_000_000),
      Socket: { NAccepted: ["u", 7], NConnections: ["u", 2], NRefused: ["u", 1] },
    }),
    "apt-daily.timer": unit("active", {
      Unit: since(1_650_000_000_000_000),
      Timer: { LastTriggerUSec: ["t", 1_650_000_100_500_000] },
    }),
    "multi-user.target": unit("active", { Unit: since(1_500_000_000_000_000) }),
    "dev-vda.device": unit("active", { Unit: since(1) }),
    "-.mount": unit("active", { Unit: since(1), Mount: { Type: ["s", "ext4"] } }),
    "gone.service": unit("inactive", { Unit: since(0), Service: service("simple", 0) }, "not-found"),
    "backup.service": unit("activating", { Unit: since(5), Service: service("simple", 0) }),
  },
};

/** A bus with a systemd on it, at the path below `rootfs` where a machine has its own. */
async function startBus(t) {
  const rootfs = scratch(t);
  mkdirSync(path.join(rootfs, "run/dbus"), { recursive: true });
  const address = `unix:path=${rootfs}/run/dbus/system_bus_socket`;
  const config = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
    "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig><listen>${address}</listen><auth>EXTERNAL</auth>
    <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
    </policy></busconfig>`;
  const bus = startProgram(t, "dbus-daemon", ["--nofork", `--config-file=${writeConfig(rootfs, "bus.conf", config)}`]);
  const systemd = await until(async () => {
    assert.equal(bus.child.exitCode, null, bus.log);
    const one = startProgram(t, kPython, [path.join(root, "tests/e2e/fake_systemd.py"), address]);
    one.child.stdin.write(`${JSON.stringify(kSystemd)}\n`);
    await until(() => one.log.includes("ready") || one.child.exitCode !== null, "its name on the bus");
    return one.log.includes("ready") ? one : undefined;
  }, "a systemd on the bus");
  return { rootfs, address, systemd };
}

test("units are told as node_exporter tells them", { skip: lacking() }, async (t) => {
  const { rootfs, address, systemd } = await startBus(t);
  const port = await freePort();
  const args = ["--collector.disable-defaults", "--collector.systemd", `--web.listen-address=127.0.0.1:${port}`];
  args.push("--collector.systemd.enable-restarts-metrics", "--collector.systemd.enable-start-time-metrics");
  // node_exporter's own default, which Debian narrows.
  args.push("--collector.systemd.unit-exclude=.+\\.(automount|device|mount|scope|slice)");
  const exporter = startProgram(t, "prometheus-node-exporter", args, { DBUS_SYSTEM_BUS_ADDRESS: address });
  const theirs = await until(async () => {
    assert.equal(exporter.child.exitCode, null, exporter.log);
    const page = parseText((await request(`http://127.0.0.1:${port}/metrics`)).text);
    return page.families.has("node_systemd_units") ? page : undefined;
  }, "an answer of node_exporter");

  const quarterdeck = await start(t, { args: ["--set", `observe.host.rootfs=${rootfs}`] });
  const ours = await until(async () => {
    const page = parseText((await quarterdeck.get("/exporters/node/metrics")).text);
    return page.families.has("node_systemd_units") ? page : undefined;
  }, "systemd's answers");
  const names = [...theirs.families.keys()].filter((name) => name.startsWith("node_systemd_"));
  assert.equal(names.length, 10, names.join(" "));
  for (const name of names) assert.deepEqual(ours.families.get(name), theirs.families.get(name), name);
  assert.equal(ours.samples.get('node_systemd_virtualization_info{virtualization_type="kvm"}'), 1);
  assert.equal(ours.samples.get('node_scrape_collector_success{collector="systemd"}'), 1);
  assert.equal(
    ours.samples.get('node_systemd_unit_state{name="backup.service",state="activating",type="simple"}'),
    1,
    "a state that is on its way",
  );

  // A systemd that does not answer delays no page.
  systemd.child.kill("SIGSTOP");
  for (const from = Date.now(); Date.now() - from < 1500; ) {
    const asked = Date.now();
    const page = parseText((await quarterdeck.get("/exporters/node/metrics")).text);
    assert.ok(Date.now() - asked < 1000, `a page took ${Date.now() - asked} ms`);
    assert.ok(page.families.has("node_load1") && page.families.has("node_systemd_units"));
  }
});
