// Numbers as people read them. Each unit has a name that charts and tables pass around: "percent" (0 to 100), "bytes",
// "bytes_per_s", "seconds", "per_s", "count" and "number" (full precision).

const kBinary = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const kDecimal = ["", "k", "M", "G", "T", "P"];
const kMissing = "–";

function digits(value) {
  const size = Math.abs(value);
  if (size === 0 || size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

// Picks the prefix after rounding, so that 1023.99 KiB reads "1.00 MiB" and not "1024 KiB".
function prefixed(value, base, names) {
  let scaled = value;
  let index = 0;
  while (index < names.length - 1 && Math.abs(scaled) >= base - 0.5) {
    scaled /= base;
    index += 1;
  }
  return [scaled, names[index]];
}

export function formatBytes(value) {
  if (!Number.isFinite(value)) return kMissing;
  const [scaled, unit] = prefixed(value, 1024, kBinary);
  return `${unit === "B" ? Math.round(scaled) : digits(scaled)} ${unit}`;
}

export function formatCount(value) {
  if (!Number.isFinite(value)) return special(value);
  const size = Math.abs(value);
  if (size !== 0 && size < 0.01) return size < 1e-5 ? value.toExponential(1) : String(Number(value.toPrecision(2)));
  if (Number.isInteger(value) && size < 10_000) return String(value);
  const [scaled, unit] = prefixed(value, 1000, kDecimal);
  return `${digits(scaled)}${unit}`;
}

export function formatPercent(value) {
  if (!Number.isFinite(value)) return kMissing;
  const size = Math.abs(value);
  if (size > 0 && size < 0.05) return "< 0.1 %";
  return `${size >= 10 || size === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

function special(value) {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return kMissing;
}

function formatSeconds(value) {
  if (!Number.isFinite(value)) return kMissing;
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-6) return `${digits(value * 1e9)} ns`;
  if (size < 1e-3) return `${digits(value * 1e6)} µs`;
  if (size < 1) return `${digits(value * 1e3)} ms`;
  if (size < 120) return `${digits(value)} s`;
  if (size < 7200) return `${digits(value / 60)} min`;
  if (size < 172800) return `${digits(value / 3600)} h`;
  return `${digits(value / 86400)} d`;
}

const kFormats = {
  percent: formatPercent,
  bytes: formatBytes,
  bytes_per_s: (value) => (Number.isFinite(value) ? `${formatBytes(value)}/s` : kMissing),
  seconds: formatSeconds,
  per_s: (value) => `${formatCount(value)}/s`,
  count: formatCount,
  number: (value) => (Number.isFinite(value) ? String(value) : special(value)),
};

export function formatValue(value, unit = "count") {
  if (value === null || value === undefined) return kMissing;
  return (kFormats[unit] ?? formatCount)(value);
}

// An axis has room for few characters; `increment`, the distance of its marks, says how many digits tell them apart.
export function formatTick(value, unit, increment = 0) {
  const size = Math.abs(value);
  if (unit === "percent") return `${trim(value)} %`;
  if (unit === "bytes" || unit === "bytes_per_s") {
    const [scaled, name] = prefixed(value, 1024, kBinary);
    return `${trim(scaled, (increment * scaled) / value)} ${name}${unit === "bytes_per_s" ? "/s" : ""}`;
  }
  if (unit === "seconds") return formatSeconds(value).replace(/\.0+(?= )|(?<=\.\d*[1-9])0+(?= )/, "");
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  const [scaled, name] = prefixed(value, 1000, kDecimal);
  return `${trim(scaled, (increment * scaled) / value)}${name}`;
}

function trim(value, increment = 0) {
  if (!(increment > 0) || value === 0) return String(Number(value.toPrecision(3)));
  let decimals = Math.max(0, Math.ceil(-Math.log10(increment) - 1e-9));
  const most = decimals + 2;
  while (decimals < most && Math.abs(Number(increment.toFixed(decimals)) - increment) > increment * 1e-6) decimals += 1;
  return String(Number(value.toFixed(Math.min(decimals, 8))));
}

// The API's sample values are strings: "1.5", "NaN", "+Inf".
export function parseSample(text) {
  if (text === "+Inf" || text === "Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
