// From each panel's answer to what its chart draws: {x, series, figure, note, bounds, marks, empty}. Plain functions.
import { addColumns, alignMatrix, combine, joinColumns, lastValue, levelFor, summary } from "../../charts/shape.js";
import { formatBytes, formatPercent, formatValue } from "../../lib/format.js";

const kModes = [
  { key: "user", label: "User", modes: ["user"] },
  { key: "system", label: "System", modes: ["system"] },
  { key: "iowait", label: "I/O wait", modes: ["iowait"] },
  { key: "irq", label: "Interrupts", modes: ["irq", "softirq"] },
  { key: "nice", label: "Nice", modes: ["nice"] },
  { key: "steal", label: "Stolen", modes: ["steal"] },
];

const rate = (value) => formatValue(value, "bytes_per_s");

function line(key, label, index, values, more = {}) {
  return { key, label, color: `var(--series-${index})`, values, ...more };
}

function byLabel(aligned, label) {
  const found = new Map();
  for (const { metric, values } of aligned.series) {
    const value = metric[label] ?? "";
    if (!found.has(value)) found.set(value, []);
    found.get(value).push(values);
  }
  return found;
}

// The column of a metric; undefined where there is none. After a restart with other external labels it is two series.
function named(aligned, name) {
  return joinColumns(aligned.series.filter((one) => one.metric.__name__ === name).map((one) => one.values));
}

// Shares of all time, so that they hold whatever the number of cores and however few samples there are yet.
export function cpuShape(result, range) {
  const aligned = alignMatrix(result, range);
  if (aligned.series.length === 0) return null;
  const total = addColumns(aligned.series.map((one) => one.values));
  const modes = byLabel(aligned, "mode");
  const share = (names) => {
    const columns = names.flatMap((name) => modes.get(name) ?? []);
    if (columns.length === 0) return null;
    return combine((part, all) => (all > 0 ? (100 * part) / all : 0), addColumns(columns), total);
  };
  const series = kModes
    .map((mode, i) => line(mode.key, mode.label, i + 1, share(mode.modes)))
    .filter((one) => one.values && (["user", "system", "iowait"].includes(one.key) || summary(one.values).max > 0.05));
  const busy = addColumns(series.map((one) => one.values));
  return {
    x: aligned.x,
    series,
    stacked: true,
    bounds: { min: 0, max: levelFor(Math.min(100, summary(busy).max ?? 0), [10, 25, 50, 100]) },
    figure: formatPercent(lastValue(busy)),
  };
}

export function memoryShape(result, range) {
  const aligned = alignMatrix(result, range);
  const column = (name) => named(aligned, `node_memory_${name}_bytes`);
  const [total, free, available] = [column("MemTotal"), column("MemFree"), column("MemAvailable")];
  if (!total || !free || !available) return null;
  const used = combine((all, left) => all - left, total, available);
  const cache = combine((left, nothing) => Math.max(0, left - nothing), available, free);
  const all = lastValue(total);
  const series = [line("used", "Used", 1, used), line("cache", "Cache", 6, cache)];
  const [swapTotal, swapFree] = [column("SwapTotal"), column("SwapFree")];
  const swap = swapTotal && swapFree && lastValue(swapTotal) > 0 ? lastValue(swapTotal) - lastValue(swapFree) : null;
  return {
    x: aligned.x,
    series,
    stacked: true,
    bounds: { min: 0, max: all },
    figure: formatPercent((100 * lastValue(used)) / all),
    note: `${formatBytes(lastValue(available))} available of ${formatBytes(all)}${swap === null ? "" : `, swap ${formatBytes(swap)}`}`,
  };
}

export function loadShape(result, range, cores) {
  const aligned = alignMatrix(result, range);
  const lines = [
    ["node_load1", "1 min", 1],
    ["node_load5", "5 min", 2],
    ["node_load15", "15 min", 3],
  ];
  const series = lines
    .map(([name, label, index]) => {
      const values = named(aligned, name);
      return values && line(name, label, index, values);
    })
    .filter(Boolean);
  if (series.length === 0) return null;
  const most = Math.max(...series.map((one) => summary(one.values).max ?? 0));
  const marks = cores > 0 ? [{ value: cores, label: `${cores} ${cores === 1 ? "core" : "cores"}` }] : [];
  const top =
    cores > 0 && most > cores * 0.3 ? Math.max(most, cores) * 1.12 : levelFor(most * 1.05, [0.1, 0.2, 0.5, 1]);
  return {
    x: aligned.x,
    series,
    marks,
    bounds: { min: 0, max: top },
    figure: lastValue(series[0].values)?.toFixed(2) ?? "–",
  };
}

// Two directions around zero: what comes in above, what goes out below.
function mirrored(aligned, up, down) {
  const ways = byLabel(aligned, "way");
  if (!ways.has(up.way) || !ways.has(down.way)) return null;
  const above = addColumns(ways.get(up.way));
  const below = addColumns(ways.get(down.way)).map((value) => (value === null ? null : -value));
  const most = Math.max(summary(above).max ?? 0, -(summary(below).min ?? 0));
  const level = levelFor(most, [1024, 4096, 16384, 65536, 262144, 524288], 1024);
  return {
    x: aligned.x,
    mirrored: true,
    series: [line(up.way, up.label, 1, above, { area: 0.18 }), line(down.way, down.label, 2, below, { area: 0.18 })],
    bounds: { min: -level, max: level },
    above,
    below,
  };
}

export function diskShape(result, range) {
  const aligned = alignMatrix(result, range);
  const shape = mirrored(aligned, { way: "read", label: "Read" }, { way: "write", label: "Written" });
  if (!shape) return null;
  let busiest = null;
  for (const { metric, values } of aligned.series) {
    const busy = metric.way === "busy" ? lastValue(values) : null;
    if (busy !== null && (busiest === null || busy > busiest.busy)) busiest = { device: metric.device, busy };
  }
  const total = lastValue(shape.above) - lastValue(shape.below);
  return {
    ...shape,
    figure: rate(total),
    note: busiest
      ? `busiest: ${busiest.device}, ${formatPercent(Math.min(100, busiest.busy * 100))} of the time`
      : undefined,
  };
}

export function networkShape(result, range) {
  const aligned = alignMatrix(result, range);
  const shape = mirrored(aligned, { way: "in", label: "In" }, { way: "out", label: "Out" });
  if (!shape) return null;
  const devices = new Set(aligned.series.map((one) => one.metric.device));
  return {
    ...shape,
    figure: rate(lastValue(shape.above) - lastValue(shape.below)),
    note: devices.size > 3 ? `${devices.size} interfaces` : [...devices].sort().join(", "),
  };
}

export function pressureShape(result, range) {
  const aligned = alignMatrix(result, range);
  const names = { cpu: "Processor", memory: "Memory", io: "I/O" };
  const ways = byLabel(aligned, "way");
  const series = Object.entries(names)
    .filter(([way]) => ways.has(way))
    .map(([way, label], i) =>
      line(
        way,
        label,
        i + 1,
        joinColumns(ways.get(way)).map((value) => (value === null ? null : Math.min(100, value * 100))),
      ),
    );
  if (series.length === 0) return null;
  const most = Math.max(...series.map((one) => summary(one.values).max ?? 0));
  const worst = series.reduce((a, b) => ((lastValue(b.values) ?? 0) > (lastValue(a.values) ?? 0) ? b : a));
  return {
    x: aligned.x,
    series,
    bounds: { min: 0, max: levelFor(most, [1, 5, 10, 25, 50, 100]) },
    figure: formatPercent(lastValue(worst.values)),
  };
}

// Rows of the filesystem table, the fullest first. A device mounted several times is shown once, at its shortest path.
export function filesystemRows(result) {
  const mounts = new Map();
  for (const { metric, value } of result) {
    const key = `${metric.device}\n${metric.mountpoint}`;
    if (!mounts.has(key))
      mounts.set(key, { device: metric.device, mountpoint: metric.mountpoint, fstype: metric.fstype });
    mounts.get(key)[metric.__name__.replace("node_filesystem_", "")] = Number(value[1]);
  }
  const devices = new Map();
  for (const mount of mounts.values()) {
    if (!(mount.size_bytes > 0) || !Number.isFinite(mount.avail_bytes)) continue;
    const other = devices.get(mount.device);
    if (!other || mount.mountpoint.length < other.mountpoint.length) devices.set(mount.device, mount);
  }
  return [...devices.values()]
    .map((mount) => {
      const used = 100 * (1 - mount.avail_bytes / mount.size_bytes);
      const inodes = mount.files > 0 ? 100 * (1 - mount.files_free / mount.files) : null;
      return { ...mount, used, inodes, ...roomLevel(Math.max(used, inodes ?? 0)) };
    })
    .sort((a, b) => b.used - a.used || (a.mountpoint < b.mountpoint ? -1 : 1));
}

// From which part on little room is a state that wants attention.
export function roomLevel(percent) {
  if (percent >= 95) return { level: "bad", word: "Nearly full" };
  if (percent >= 85) return { level: "warn", word: "Filling up" };
  return { level: "good", word: "Room left" };
}
