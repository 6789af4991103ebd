#!/usr/bin/env python3
"""Range queries: Quarterdeck, Prometheus and VictoriaMetrics on what they scraped from the same targets.

usage: bench/query_compare.py [--targets N] [--series N] [--interval MS] [--duration S] [--rounds N]

Each query covers the run in 81 steps. Shows the median time until the last byte of the answer, and whether the answers
agree: the servers scraped the same targets at slightly different instants, so values may differ by a little. Exits 1
when Quarterdeck and Prometheus do not agree.
"""

import math
import sys

import peers

STEPS = 81
# Of the median point of a query. Each server saw the counters up to an interval earlier or later.
DIFFERENCE_MAX = 0.03

# WINDOW is a minute, less in a short run.
QUERIES = {
    "sum of rates by code, half of all series": (
        'sum by (code) (rate({__name__=~"app_http_requests_total_.*"}[WINDOW]))'
    ),
    "0.99 quantile, a quarter of all series": (
        "histogram_quantile(0.99, sum by (le) (rate(app_request_duration_seconds_bucket[WINDOW])))"
    ),
    "grouped rate, a twentieth of all series": "sum by (path) (rate(app_http_requests_total_3[WINDOW]))",
    "max over 5 minutes, a fortieth of all series": "max_over_time(app_queue_depth_6[5m])",
}


def points(result):
    """Values by series and time."""
    found = {}
    for series in result:
        labels = tuple(sorted((k, v) for k, v in series["metric"].items() if k != "__name__"))
        for at, value in series["values"]:
            found[labels, round(float(at) * 1000)] = float(value)
    return found


def difference(ours, theirs):
    """Of points in both, the median relative difference; and the share of points that only one has."""
    shared = ours.keys() & theirs.keys()
    if not shared:
        return math.inf, 1.0
    apart = []
    for key in shared:
        a, b = ours[key], theirs[key]
        largest = max(abs(a), abs(b))
        apart.append(0.0 if a == b or largest == 0 or (math.isnan(a) and math.isnan(b)) else abs(a - b) / largest)
    return peers.median(apart), 1 - len(shared) / len(ours.keys() | theirs.keys())


def compare(run, rounds=7):
    """Asks the servers of a run (scrape_compare.Run); False when the answers do not agree."""
    window_s = min(60, max(2 * run.interval_ms / 1000, round(run.duration_s / 3)))
    # Every server has samples of a whole window by then.
    start_s = run.scraping_s + window_s + 2 * run.interval_ms / 1000
    step_s = round((run.ended_s - start_s) / (STEPS - 1), 3)
    end_s = start_s + (STEPS - 1) * step_s
    good = True
    for title, query in QUERIES.items():
        query = query.replace("WINDOW", f"{window_s:.0f}s")
        times, answers = {}, {}
        for _ in range(rounds):
            for server in run.servers:
                result, took_s = server.query_range(query, start_s, end_s, step_s)
                answers[server.name] = result
                times.setdefault(server.name, []).append(took_s * 1000)
        peers.table(f"query: {title}, {STEPS} steps", "ms", {n: peers.median(t) for n, t in times.items()}, digits=1)
        ours = points(answers["quarterdeck"])
        print(f"  quarterdeck answers {len(answers['quarterdeck'])} series, {len(ours)} points")
        for name, answer in answers.items():
            if name == "quarterdeck":
                continue
            apart, missing = difference(ours, points(answer))
            print(f"  {name}: values apart by {apart:.2%} in the median, {missing:.2%} of the points only in one")
            # VictoriaMetrics computes rates its own way.
            if name == "prometheus" and (apart > DIFFERENCE_MAX or missing > DIFFERENCE_MAX):
                print(f"  quarterdeck and {name} do not agree: {query}")
                good = False
    return good


def main():
    import scrape_compare

    options = scrape_compare.arguments(__doc__)
    options.add_argument("--rounds", type=int, default=7, help="how often each query is asked (default 7)")
    options = options.parse_args()
    with scrape_compare.Run(options.targets, options.series, options.interval, options.duration).scraped() as run:
        return 0 if compare(run, options.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
