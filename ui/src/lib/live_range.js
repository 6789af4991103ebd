// The ranges of live pictures, and the rates that they draw.
import { alignedRange, stepFor } from "./time.js";

export const kRanges = ["5m", "15m", "1h", "6h", "24h", "7d"];
export const kDefaultRange = "15m";

const kPoints = 240;
const kShortest_s = 12;

// From which part of the range on the data fills it.
export const kFilled = 0.9;

// What to draw at `now` when the oldest sample is from `first` (undefined: long ago). A machine that has been watched
// for less than the range gets a picture of what there is, which grows to the range.
export function liveRange(now, range_s, first, interval_s = 5, points = kPoints) {
  const age = first === undefined ? range_s : Math.max(0, now - first);
  const seconds = age > range_s * kFilled ? range_s : Math.min(range_s, Math.max(kShortest_s, age * 1.1));
  const step = seconds <= 60 ? 1 : stepFor(seconds, points, interval_s);
  return alignedRange(now, seconds, step);
}

// A counter's rate. Near the pace of collection it takes the last two samples: true from the second sample on, and not
// smeared. For longer steps it averages over all that a step skips.
export function rateOf(selector, { step, interval }) {
  const window = Math.max(4 * step, 4 * interval, 15);
  return `${step <= 2 * interval ? "irate" : "rate"}(${selector}[${window}s])`;
}
