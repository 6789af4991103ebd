// The beat of the pages of services: the list itself, and with it the range that all pictures draw.
import { useMemo, useRef } from "react";
import { isAbort } from "../../api/client.js";
import { services } from "../../api/platform.js";
import { query } from "../../api/prometheus.js";
import { serverNow } from "../../lib/clock.js";
import { parseSample } from "../../lib/format.js";
import { usePoll } from "../../lib/hooks.js";
import { kFilled, liveRange } from "../../lib/live_range.js";
import { parseDuration } from "../../lib/time.js";

// When the oldest sample of the range was taken, which the host's own clock tells by its value; undefined where the host
// is not observed.
async function begin(range, signal) {
  try {
    const { result } = await query(`min(min_over_time(node_time_seconds{job="node"}[${range}]))`, { signal });
    return result[0] && parseSample(result[0].value[1]);
  } catch (error) {
    if (isAbort(error)) throw error;
    return undefined;
  }
}

// {services, range, error, ready, now}. points: of a picture, at most.
export function useServices(range, { points, paused = false }) {
  const range_s = parseDuration(range);
  // Asked for until there is data for the whole range, then never again.
  const known = useRef({ range: "", full: false });
  if (known.current.range !== range) known.current = { range, full: false };
  const load = async (signal) => {
    const asked = known.current;
    const [answer, first] = await Promise.all([services({ signal }), asked.full ? undefined : begin(range, signal)]);
    const now = serverNow();
    asked.full = first === undefined || now - first > range_s * kFilled;
    return { services: answer.services, first, now };
  };
  const { data, error } = usePoll(`services ${range}`, load, { paused });
  return useMemo(() => {
    if (!data) return { services: [], range: null, error, ready: false };
    const drawn = liveRange(data.now, range_s, data.first, undefined, points);
    return { services: data.services, range: drawn, error, ready: true, now: data.now };
  }, [data, error, range_s, points]);
}
