// The facts answer, sorted by host.
import { parseSample } from "../../lib/format.js";

const kDefaultInterval_s = 5;

// [{instance, nodename, kernel, arch, os, boot_s, cores, memory_bytes, first_s, interval_s, values: {metric: number}}],
// in order of name, but the host whose instance is `own` first.
export function hostsFrom(result, own = "") {
  const hosts = new Map();
  for (const { metric, value } of result) {
    const name = metric.instance ?? "";
    if (!hosts.has(name)) hosts.set(name, { instance: name, values: {} });
    const host = hosts.get(name);
    const number = parseSample(value[1]);
    if (metric.fact) host.values[`fact:${metric.fact}`] = number;
    else if (metric.__name__ === "node_uname_info") {
      host.nodename = metric.nodename;
      host.kernel = metric.release;
      host.arch = metric.machine;
    } else if (metric.__name__ === "node_os_info") host.os = metric.pretty_name || metric.name;
    else host.values[metric.__name__] = number;
  }
  return [...hosts.values()]
    .map((host) => ({
      ...host,
      boot_s: host.values.node_boot_time_seconds,
      cores: host.values["fact:cores"],
      memory_bytes: host.values.node_memory_MemTotal_bytes,
      first_s: host.values["fact:first"],
      interval_s: intervalFrom(host.values["fact:per_minute"]),
    }))
    .sort((a, b) => (b.instance === own) - (a.instance === own) || (a.instance < b.instance ? -1 : 1));
}

// The instance of this machine among the targets, "" where it is not observed. It is the one that Quarterdeck collects
// itself: what it scrapes, be it another Quarterdeck, was discovered at an address.
export function ownInstance(active) {
  const own = active.find(
    (target) =>
      target.scrapePool === "node" &&
      target.scrapeUrl.endsWith("/exporters/node/metrics") &&
      !target.discoveredLabels?.__address__,
  );
  return own?.labels.instance ?? "";
}

// How often the host is looked at, from how many samples the last minute holds. In the first minute after the start the
// answer is too long, which only widens the windows of rates.
function intervalFrom(perMinute) {
  if (!(perMinute > 0)) return kDefaultInterval_s;
  const interval = 60 / perMinute;
  return [1, 2, 5, 10, 15, 30, 60].find((one) => interval <= one * 1.25) ?? 60;
}

// Limits of the kernel that are filled to some part: [{name, used, limit, unit}].
export function limitsFrom(host) {
  const v = host.values;
  const swap = v.node_memory_SwapTotal_bytes;
  return [
    { name: "Open files", used: v.node_filefd_allocated, limit: v.node_filefd_maximum, unit: "count" },
    {
      name: "Tracked connections",
      used: v.node_nf_conntrack_entries,
      limit: v.node_nf_conntrack_entries_limit,
      unit: "count",
    },
    { name: "Swap", used: swap - v.node_memory_SwapFree_bytes, limit: swap, unit: "bytes" },
  ].filter((one) => one.limit > 0 && Number.isFinite(one.used));
}
