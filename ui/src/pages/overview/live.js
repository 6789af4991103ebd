// The clock of Overview. One instant query (the facts) is asked on every beat; its answer carries the server's time, and
// from that follows the range that all panels draw, so that they share one x axis and ask for whole steps.
import { useMemo, useRef } from "react";
import { isAbort } from "../../api/client.js";
import { query, targets } from "../../api/prometheus.js";
import { learnServerTime, serverNow } from "../../lib/clock.js";
import { usePoll } from "../../lib/hooks.js";
import { kDefaultRange, kFilled, liveRange } from "../../lib/live_range.js";
import { parseDuration } from "../../lib/time.js";
import { hostsFrom, ownInstance } from "./facts.js";
import { factsQuery } from "./queries.js";

const kBeat_ms = 5000;
const kYoungBeat_ms = 1000;
const kYoung_s = 15;

// Which of several hosts is this machine; asked for again with the next beat (null) when it cannot be known now.
async function findOwn(signal) {
  try {
    return ownInstance((await targets({ signal })).activeTargets);
  } catch (error) {
    if (isAbort(error)) throw error;
    return null;
  }
}

export function useLive(range, wantedHost, paused) {
  const range_s = parseDuration(range) ?? parseDuration(kDefaultRange);
  // The oldest sample that is known of, for a range: asked for until it is older than the range, then never again.
  const known = useRef({ range: "", full: false });
  if (known.current.range !== range) known.current = { range, full: false };
  const beat = useRef(kBeat_ms);
  const own = useRef(null);

  const load = async (signal) => {
    const asked = known.current;
    const answer = await query(factsQuery(asked.full ? null : range), { signal });
    const stamp = answer.result[0]?.value[0];
    learnServerTime(stamp);
    let hosts = hostsFrom(answer.result, own.current);
    if (hosts.length > 1 && own.current === null) {
      own.current = await findOwn(signal);
      hosts = hostsFrom(answer.result, own.current);
    }
    const now = serverNow();
    const ages = hosts.map((host) => now - (host.first_s ?? 0));
    if (hosts.length > 0 && !asked.full) asked.full = ages.every((age) => age > range_s);
    beat.current = hosts.length === 0 || ages.some((age) => age < kYoung_s) ? kYoungBeat_ms : kBeat_ms;
    return { hosts, now };
  };
  const { data, error } = usePoll(`facts ${range}`, load, { interval_ms: () => beat.current, paused });

  return useMemo(() => {
    if (!data) return { hosts: [], host: null, range: null, error, ready: false };
    const host = data.hosts.find((one) => one.instance === wantedHost) ?? data.hosts[0] ?? null;
    if (!host) return { hosts: [], host, range: null, error, ready: true };
    const drawn = liveRange(data.now, range_s, host.first_s, host.interval_s);
    const begins = data.now - host.first_s < range_s * kFilled ? host.first_s : null;
    return { hosts: data.hosts, host, range: drawn, begins, error, ready: true, now: data.now };
  }, [data, error, wantedHost, range_s]);
}
