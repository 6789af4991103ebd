#!/usr/bin/env python3
"""Thirty queries of dashboards: Quarterdeck, Prometheus and VictoriaMetrics on what they scraped from the same targets.

usage: bench/dashboard_queries.py [--targets N] [--series N] [--interval MS] [--duration S] [--rounds N] [--steps N]
                                  [--restart]

The queries are those of common dashboards of services (rate, errors, duration; saturation by gauges) over the series of
bench/target_server, each over the whole run. Shows for each the median time until the last byte of the answer and how
many times as long the others take, then the medians of these ratios, of CPU time as well (which another program on the
machine disturbs less), and the peak memory of each server. No server
answers from a cache of results; Quarterdeck's is measured by itself at the end, as a dashboard uses it: the same
queries again, moved on by a step.

Exits 1 when Quarterdeck and Prometheus do not agree. The run of docs/performance.md is one of --duration 3600; a million
series are asked by bench/scrape_compare.py --dashboards.
"""

import http.client
import json
import sys
import time
import urllib.parse

import peers
import query_compare
import scrape_compare

# WINDOW is a minute, less in a short run; INSTANCE is one of the targets. The second field says whether the answers can
# be held against each other: not where a small shift of the scrapes shows in full.
QUERIES = {
    "requests a second": ("sum(rate(app_http_requests_total_0[WINDOW]))", True),
    "requests by code": ("sum by (code) (rate(app_http_requests_total_1[WINDOW]))", True),
    "requests by instance": ("sum by (instance) (rate(app_http_requests_total_2[WINDOW]))", True),
    "requests by path": ("sum by (path) (rate(app_http_requests_total_3[WINDOW]))", True),
    "requests of one path": (
        'sum by (code) (rate(app_http_requests_total_4{path="/api/v1/resources/000450"}[WINDOW]))',
        True,
    ),
    "requests of paths that match": (
        'sum by (path) (rate(app_http_requests_total_0{path=~"/api/v1/resources/00000.*"}[WINDOW]))',
        True,
    ),
    "requests of all kinds by code": ('sum by (code) (rate({__name__=~"app_http_requests_total_.*"}[WINDOW]))', True),
    "requests that were not answered with 200": (
        'sum by (instance) (rate(app_http_requests_total_5{code!="200"}[WINDOW]))',
        True,
    ),
    "share of errors": (
        'sum(rate(app_http_requests_total_6{code=~"5.."}[WINDOW])) / sum(rate(app_http_requests_total_6[WINDOW]))',
        True,
    ),
    "share of errors by instance": (
        'sum by (instance) (rate(app_http_requests_total_7{code=~"5.."}[WINDOW]))'
        " / sum by (instance) (rate(app_http_requests_total_7[WINDOW]))",
        True,
    ),
    "busiest ten paths": ("topk(10, sum by (path) (rate(app_http_requests_total_8[WINDOW])))", False),
    "requests in a window": ("sum by (code) (increase(app_http_requests_total_9[WINDOW]))", True),
    "requests now, each series of an instance": ('irate(app_http_requests_total_0{instance="INSTANCE"}[WINDOW])', False),
    "requests against a minute ago": (
        "sum(rate(app_http_requests_total_1[WINDOW])) / sum(rate(app_http_requests_total_1[WINDOW] offset WINDOW))",
        True,
    ),
    "peak of requests": ("max_over_time(sum(rate(app_http_requests_total_2[WINDOW]))[5m:15s])", True),
    "median duration": (
        "histogram_quantile(0.5, sum by (le) (rate(app_request_duration_seconds_bucket[WINDOW])))",
        True,
    ),
    "0.99 of durations by instance": (
        "histogram_quantile(0.99, sum by (le, instance) (rate(app_request_duration_seconds_bucket[WINDOW])))",
        True,
    ),
    "0.95 of durations of one path": (
        "histogram_quantile(0.95, sum by (le)"
        ' (rate(app_request_duration_seconds_bucket{path="/api/v1/resources/000100"}[WINDOW])))',
        False,
    ),
    "satisfied requests": (
        '(sum(rate(app_request_duration_seconds_bucket{le="0.1"}[WINDOW]))'
        ' + sum(rate(app_request_duration_seconds_bucket{le="0.5"}[WINDOW]))) / 2'
        ' / sum(rate(app_request_duration_seconds_bucket{le="+Inf"}[WINDOW]))',
        True,
    ),
    "depth by queue": ("avg by (queue) (app_queue_depth_0)", True),
    "deepest queue by instance": ("max by (instance) (app_queue_depth_1)", True),
    "depth by queue and instance": ("sum by (queue, instance) (app_queue_depth_2)", True),
    "depth of one path, each series": ('app_queue_depth_3{path="/api/v1/resources/000160/jobs"}', True),
    "share of depth in percent": (
        "100 * sum by (instance) (app_queue_depth_4) / sum by (instance) (app_queue_depth_5)",
        True,
    ),
    "deepest in five minutes, each series": ("max_over_time(app_queue_depth_6[5m])", True),
    "mean depth by queue": ("avg by (queue) (avg_over_time(app_queue_depth_7[WINDOW]))", True),
    "0.9 of depths": ("quantile(0.9, app_queue_depth_8)", True),
    "queues that are deep": ("count by (instance) (app_queue_depth_9 > 500)", True),
    "depth in an hour": ('predict_linear(app_queue_depth_0{queue="inbound"}[5m], 3600)', False),
    "targets that are up": ('sum(up{job="app"})', True),
}


class Client:
    """One connection that stays open, as a dashboard's server has it."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)

    def ask(self, query, start_s, end_s, step_s):
        """The body of the answer and the seconds until its last byte was here."""
        arguments = {"query": query, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:.3f}"}
        target = "/api/v1/query_range?" + urllib.parse.urlencode(arguments | self.server.range_options)
        began = time.perf_counter()
        self.connection.request("GET", target)
        response = self.connection.getresponse()
        body = response.read()
        took = time.perf_counter() - began
        if response.status != 200:
            raise SystemExit(f"{self.server.name}: {query}: {response.status}: {body[:500].decode(errors='replace')}")
        return body, took


class Span:
    """The steps: the whole run, once every server has samples of a whole window."""

    def __init__(self, run, steps):
        self.window_s = min(60, max(2 * run.interval_ms / 1000, round(run.duration_s / 3)))
        start_s = run.scraping_s + self.window_s + 2 * run.interval_ms / 1000
        self.step_s = max(1, round((run.ended_s - start_s) / steps))
        self.end_s = run.ended_s // self.step_s * self.step_s
        self.start_s = self.end_s - int((self.end_s - start_s) / self.step_s) * self.step_s
        self.steps = round((self.end_s - self.start_s) / self.step_s) + 1

    def moved(self, steps):
        """The same a few steps earlier."""
        return self.start_s - steps * self.step_s, self.end_s - steps * self.step_s, self.step_s


def texts(run, span):
    instance = run.servers[0].query("up{job='app'}", run.ended_s)[0]["metric"]["instance"]
    for title, (query, judged) in QUERIES.items():
        yield title, query.replace("WINDOW", f"{span.window_s:.0f}s").replace("INSTANCE", instance), judged


def agree(title, answers):
    """Whether Quarterdeck's answer is that of Prometheus."""
    if "prometheus" not in answers:
        return True
    ours, theirs = (query_compare.points(json.loads(answers[n])["data"]["result"]) for n in ("quarterdeck", "prometheus"))
    apart, missing = query_compare.difference(ours, theirs)
    if apart <= query_compare.DIFFERENCE_MAX and missing <= query_compare.DIFFERENCE_MAX:
        return True
    print(f"quarterdeck and prometheus do not agree: {title}: apart by {apart:.2%}, {missing:.2%} only in one")
    return False


def compare(run, steps, rounds):
    span = Span(run, steps)
    names = [server.name for server in run.servers]
    clients = {server.name: Client(server) for server in run.servers}
    peak_before = {server.name: server.peak_bytes() for server in run.servers}
    ratios = {name: [] for name in names}
    cpu_ratios = {name: [] for name in names}
    good = True
    print(f"\n{len(QUERIES)} queries, {span.steps} steps of {span.step_s} s; milliseconds, median of {rounds}")
    print(f"{'':<42}" + "".join(f"{name:>18}" for name in names))
    totals = dict.fromkeys(names, 0.0)
    for title, query, judged in texts(run, span):
        times, cpu, answers = {name: [] for name in names}, {name: [] for name in names}, {}
        for turn in range(rounds):
            # Each in turn, and each first at times.
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                before_s = clients[name].server.cpu_exactly_s()
                answers[name], took_s = clients[name].ask(query, *span.moved(0))
                times[name].append(took_s * 1000)
                cpu[name].append(clients[name].server.cpu_exactly_s() - before_s)
        medians = {name: peers.median(times[name]) for name in names}
        line = f"{title:<42}"
        for name in names:
            totals[name] += medians[name]
            ratio = medians[name] / medians["quarterdeck"]
            ratios[name].append(ratio)
            cpu_ratios[name].append(peers.median(cpu[name]) / max(1e-6, peers.median(cpu["quarterdeck"])))
            line += f"{medians[name]:>10.2f}" + (" " * 8 if name == "quarterdeck" else f" {ratio:>5.1f} x")
        print(line)
        sys.stdout.flush()
        good = (not judged or agree(title, answers)) and good
    peers.table("all of them once, one after the other", "ms", totals, digits=0)
    for what, all_ratios in (("as long", ratios), ("as much CPU", cpu_ratios)):
        medians = {name: peers.median(all_ratios[name]) for name in names}
        peers.table(f"each of them, median of the ratios, times {what}", "x", medians, ours=None, digits=1)
        for name in names[1:]:
            print(f"  {name}: {min(all_ratios[name]):.1f} to {max(all_ratios[name]):.1f}")
    peers.table("peak memory before the queries", "MB", {n: peak_before[n] / 1e6 for n in names}, digits=0)
    peers.table("peak memory", "MB", {s.name: s.peak_bytes() / 1e6 for s in run.servers}, digits=0)
    return good


def with_cache(run, steps, rounds):
    """Quarterdeck alone, started anew with its cache of results on."""
    ours = run.servers[0]
    ours.stop()
    # It has all samples by now: nothing is scraped while it is asked.
    ours.prometheus_file = type(ours.prometheus_file)("")
    ours.settings = [s for s in ours.settings if not s.startswith("query.cache_bytes")]
    ours.start()
    ours.wait_ready()
    span, client = Span(run, steps), Client(ours)
    first, again = [], []
    for _, query, _ in texts(run, span):
        for into, turns in ((first, [rounds]), (again, range(rounds - 1, -1, -1))):
            before_s = ours.cpu_exactly_s()
            took = peers.median([client.ask(query, *span.moved(turn))[1] for turn in turns])
            into.append((took * 1000, (ours.cpu_exactly_s() - before_s) * 1000 / len(turns)))
    print("\nquarterdeck with its cache of results, all of them one after the other (ms; of CPU)")
    for what, numbers in (("asked for the first time", first), ("again, moved on by a step", again)):
        print(f"  {what:<40} {sum(n[0] for n in numbers):>14,.0f} {sum(n[1] for n in numbers):>14,.0f}")


def main():
    options = scrape_compare.arguments(__doc__)
    options.add_argument("--rounds", type=int, default=5, help="how often each query is asked (default 5)")
    options.add_argument("--steps", type=int, default=240, help="of each query, about (default 240)")
    options.add_argument("--restart", action="store_true", help="start every server anew before the queries")
    options = options.parse_args()
    with scrape_compare.Run(options.targets, options.series, options.interval, options.duration).scraped() as run:
        run.print_scraping()
        if options.restart:
            for server in run.servers:
                server.stop()
                server.start()
                server.wait_ready(timeout_s=600)
        good = compare(run, options.steps, options.rounds)
        with_cache(run, options.steps, options.rounds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
