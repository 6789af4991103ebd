#!/usr/bin/env python3
"""What one pass over this machine costs: Quarterdeck's host collector against prometheus-node-exporter.

usage: bench/host_pass.py [--scrapes N]

Both are asked over HTTP, in turns, with the same collectors, and show CPU time of their process for each answer. The
time of a pass for the store, which needs no text and no HTTP, is what Quarterdeck says of itself.
"""

import argparse

import peers


def scrape(server, path, count):
    """CPU seconds that many answers took, and the last one."""
    before = server.cpu_s()
    for _ in range(count):
        body = peers.get(server.url + path)
    return server.cpu_s() - before, body


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
        each = max(1, options.scrapes // rounds)
        for _ in range(rounds):
            for server, path in servers:
                cost, bodies[server.name] = scrape(server, path, each)
                costs[server.name] = costs.get(server.name, 0) + cost / (rounds * each) * 1e6
        peers.table("host pass over HTTP, CPU time of the process", "microseconds", costs, digits=0)
        samples = {n: sum(1 for line in b.splitlines() if line[:1] not in (b"#", b"")) for n, b in bodies.items()}
        peers.table("samples in one answer", "samples", samples, digits=0)
        text = peers.get(ours.url + "/metrics").decode()
        name = "quarterdeck_collector_pass_duration_seconds"
        of_host = "\n".join(line for line in text.splitlines() if line.startswith(name) and '"node"' in line)
        count = peers.metric(of_host, name + "_count")
        if count:
            mean_us = peers.metric(of_host, name + "_sum") / count * 1e6
            title = f"host pass alone, wall time, mean of {count:.0f}"
            peers.table(title, "microseconds", {"quarterdeck": mean_us}, digits=0)


if __name__ == "__main__":
    main()
