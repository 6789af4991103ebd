#!/usr/bin/env python3
"""Scraping: Quarterdeck, Prometheus and VictoriaMetrics on the same targets at the same time.

usage: bench/scrape_compare.py [--targets N] [--series N] [--interval MS] [--duration S] [--queries] [--dashboards]
                               [--restart]

Shows CPU seconds a million samples from socket to log (once all series exist), peak memory a series, and bytes a sample
on disk once all is in the form in which it lasts: segments, a block, merged parts. With --queries it then asks the
same servers the queries of bench/query_compare.py, with --dashboards those of bench/dashboard_queries.py; with --restart
each is killed and started again, and shown is how long it takes until it serves, most of it the replay of its log.

The runs of docs/performance.md:
  A  --targets 20 --series 10000 --interval 5000 --duration 150
  B  --targets 4 --series 10000 --interval 1000 --duration 420
  a million series  --targets 100 --series 10000 --interval 15000 --duration 600 --dashboards --restart
"""

import argparse
import contextlib
import sys
import time

import peers
import query_compare


class Run:
    """All servers scrape the same targets for a while; they stay up until the context ends."""

    # Without the cache of results, which would answer all but the first of the same queries.
    SETTINGS = ("observe.host.enabled=false", "judge.rules.defaults=false", "query.cache_bytes=0")

    def __init__(self, targets, series, interval_ms, duration_s):
        self.series = targets * series
        self.targets, self.series_each, self.interval_ms, self.duration_s = targets, series, interval_ms, duration_s
        self.servers = []

    @contextlib.contextmanager
    def scraped(self):
        with peers.workplace() as (directory, stack):
            generator = peers.Targets(self.targets, self.series_each, self.interval_ms)
            stack.callback(generator.stop)
            file = peers.prometheus_file(directory / "prometheus.yml", self.interval_ms, {"app": generator.addresses})
            self.servers = [peers.Quarterdeck(directory, file, self.SETTINGS)]
            others = [peers.Prometheus, peers.VictoriaMetrics]
            self.servers += [other(directory, file) for other in others if peers.installed(other)]
            for server in self.servers:
                peers.started(stack, server)
            for server in self.servers:
                server.wait_ready()
            self.began_s = time.time()
            for server in self.servers:
                while not server.query("count(up{job='app'} == 1) == %d" % self.targets):
                    time.sleep(0.2)
            self.scraping_s = time.time()
            # Past the first scrapes, which create the series.
            time.sleep(2 * self.interval_ms / 1000)
            before = {s.name: (s.cpu_s(), time.time()) for s in self.servers}
            time.sleep(max(1, self.scraping_s + self.duration_s - time.time()))
            self.ended_s = time.time()
            self.cpu, self.peak, self.samples = {}, {}, {}
            for server in self.servers:
                cpu_s, at_s = before[server.name]
                now_s, used_s = time.time(), server.cpu_s() - cpu_s
                self.peak[server.name] = server.peak_bytes() / self.series
                window = f"{round((now_s - at_s) * 1000)}ms"
                measured = server.query_value(f"sum(sum_over_time(scrape_samples_scraped[{window}]))", now_s)
                window = f"{round((now_s - self.began_s) * 1000) + 5000}ms"
                self.samples[server.name] = server.query_value(
                    f"sum(sum_over_time(scrape_samples_scraped[{window}]))", now_s
                )
                self.cpu[server.name] = used_s / measured * 1e6 if measured else None
            yield self

    def print_scraping(self):
        peers.table("samples scraped", "samples", self.samples, digits=0)
        title = f"CPU seconds a million samples, scrape to log, {self.targets} targets of {self.series_each:,} series"
        peers.table(f"{title} every {self.interval_ms / 1000:g} s", "s", self.cpu)
        peers.table(f"peak memory a series, {self.series:,} series", "bytes", self.peak, digits=0)

    def print_restart(self):
        seconds = {s.name: s.restart_s() for s in self.servers}
        peers.table(f"from a kill -9 to ready, {self.series:,} series", "s", seconds, digits=2)

    def print_disk(self):
        """Last: Quarterdeck is started anew for it."""
        disk = {s.name: s.disk_bytes_per_sample(self.samples[s.name]) for s in self.servers}
        per_series = self.samples["quarterdeck"] / self.series
        peers.table(f"bytes a sample on disk, {per_series:.0f} samples a series", "bytes", disk)


def arguments(description):
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--targets", type=int, default=4, help="how many (default 4)")
    options.add_argument("--series", type=int, default=10_000, help="of each target (default 10000)")
    options.add_argument("--interval", type=int, default=1000, metavar="MS", help="between scrapes (default 1000)")
    options.add_argument("--duration", type=float, default=120, metavar="S", help="of the run (default 120)")
    return options


def main():
    options = arguments(__doc__)
    options.add_argument("--queries", action="store_true", help="ask the queries of query_compare.py too")
    options.add_argument("--dashboards", action="store_true", help="ask those of dashboard_queries.py, three times each")
    options.add_argument("--restart", action="store_true", help="kill them too, and start them again")
    options = options.parse_args()
    good = True
    with Run(options.targets, options.series, options.interval, options.duration).scraped() as run:
        run.print_scraping()
        if options.queries:
            good = query_compare.compare(run)
        if options.dashboards:
            # It imports this file.
            import dashboard_queries

            # Of a million series more steps would be more samples than Prometheus holds at once.
            good = dashboard_queries.compare(run, steps=60, rounds=3) and good
        if options.restart:
            run.print_restart()
        run.print_disk()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
