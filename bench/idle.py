#!/usr/bin/env python3
"""What watching this machine costs while nobody asks: Quarterdeck as it comes, against Prometheus and node_exporter.

usage: bench/idle.py [--duration S]

Both take this machine's figures every 5 seconds. Shows resident memory, and CPU as percent of one core, after a
warm-up.
"""

import argparse
import time

import peers


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--duration", type=float, default=30, metavar="S", help="of the measurement (default 30)")
    options = options.parse_args()
    with peers.workplace() as (directory, stack):
        groups = {"quarterdeck": [peers.started(stack, peers.Quarterdeck(directory))]}
        if peers.installed(peers.Prometheus) and peers.installed(peers.NodeExporter):
            exporter = peers.started(stack, peers.NodeExporter(directory))
            file = directory / "prometheus.yml"
            prometheus = peers.Prometheus(directory, file)
            peers.prometheus_file(
                file, 5000, {"node": [f"127.0.0.1:{exporter.port}"], "prometheus": [f"127.0.0.1:{prometheus.port}"]}
            )
            groups["prometheus and node_exporter"] = [peers.started(stack, prometheus), exporter]
        for servers in groups.values():
            for server in servers:
                server.wait_ready()
        time.sleep(12)
        before = {name: sum(s.cpu_s() for s in servers) for name, servers in groups.items()}
        began = time.monotonic()
        time.sleep(options.duration)
        took = time.monotonic() - began
        cpu = {name: (sum(s.cpu_s() for s in servers) - before[name]) / took * 100 for name, servers in groups.items()}
        memory = {name: sum(s.resident_bytes() for s in servers) / 1e6 for name, servers in groups.items()}
        series = {name: servers[0].query_value('count({__name__=~".+"})') for name, servers in groups.items()}
        peers.table("idle, host measured every 5 s: resident memory", "MB", memory, digits=1)
        peers.table("idle, host measured every 5 s: CPU", "% of a core", cpu, digits=2)
        peers.table("idle, host measured every 5 s: active series", "series", series, digits=0)


if __name__ == "__main__":
    main()
