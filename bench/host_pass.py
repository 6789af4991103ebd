#!/usr/bin/env python3
"""What one pass over this machine costs: Quarterdeck's host collector against prometheus-node-exporter.

usage: bench/host_pass.py [--scrapes N]

Both are asked over HTTP, in turns, with the same collectors, and show CPU time of their process for each answer. The
time of a pass for the store, which needs no text and no HTTP, is what Quarterdeck says of itself.
"""

import argparse
import time

import peers


def scrape(server, path, count):
    """CPU microseconds an answer."""
    before = server.cpu_s()
    for _ in range(count):
        body = peers.get(server.url + path)
    return (server.cpu_s() - before) / count * 1e6, body


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scrapes", type=int, default=1000, help="of each (default 1000)")
    options = options.parse_args()
    rounds, costs, bodies = 10, {}, {}
    with peers.workplace() as (directory, stack):
        ours = peers.Quarterdeck(directory, settings=["observe.interval=1s", "judge.rules.defaults=false"])
        servers = [(peers.started(stack, ours), "/exporters/node/metrics")]
        if peers.installed(peers.NodeExporter):
            servers.append((peers.started(stack, peers.NodeExporter(directory)), "/metrics"))
        for server, path in servers:
            server.wait_ready()
            scrape(server, path, 20)
        for _ in range(rounds):
            for server, path in servers:
                cost, bodies[server.name] = scrape(server, path, max(1, options.scrapes // rounds))
                costs.setdefault(server.name, []).append(cost)
        peers.table(
            "host pass over HTTP, CPU time of the process", "microseconds", {n: peers.median(c) for n, c in costs.items()}, digits=0
        )
        samples = {n: sum(1 for line in b.splitlines() if line[:1] not in (b"#", b"")) for n, b in bodies.items()}
        peers.table("samples in one answer", "samples", samples, digits=0)
        time.sleep(3)
        text = peers.get(ours.url + "/metrics").decode()
        name = "quarterdeck_collector_pass_duration_seconds"
        lines = [line for line in text.splitlines() if 'collector="node"' in line or 'collector="host"' in line]
        count = peers.metric("\n".join(lines), name + "_count")
        if count:
            peers.table(
                f"host pass into the store, wall time, mean of {count:.0f}",
                "microseconds",
                {"quarterdeck": peers.metric("\n".join(lines), name + "_sum") / count * 1e6},
                digits=0,
            )


if __name__ == "__main__":
    main()
