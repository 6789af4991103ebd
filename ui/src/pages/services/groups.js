// The list of services by kind, what is wrong first.
import { kServiceStates, serviceState } from "../../lib/inventory.js";
import { quote } from "../../lib/quote.js";
import { parseDuration } from "../../lib/time.js";
import { kindOf, kindRank } from "./kinds.js";

const kDefaultInterval_s = 5;

// show: "all", "wrong" (down, unreadable or not yet known), "up" or "off". Returns [{kind, name, up, all, services}].
export function groupServices(list, show, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = (service) => {
    const { level, word } = serviceState(service);
    if (show === "up" && level !== "good") return false;
    if (show === "off" && level !== "off") return false;
    if (show === "wrong" && (level === "good" || level === "off")) return false;
    const all = [
      service.kind,
      service.name,
      service.address,
      service.project,
      service.service,
      service.foundBy,
      service.why,
      word,
    ];
    const searched = all.join(" ").toLowerCase();
    return words.every((one) => searched.includes(one));
  };
  const rank = (service) => serviceState(service).rank;
  const groups = new Map();
  for (const service of list) {
    if (!groups.has(service.kind)) groups.set(service.kind, { kind: service.kind, all: [], services: [] });
    const group = groups.get(service.kind);
    group.all.push(service);
    if (shown(service)) group.services.push(service);
  }
  return [...groups.values()]
    .filter((group) => group.services.length > 0)
    .map(({ kind, all, services }) => ({
      kind,
      name: kindOf(kind).name,
      all: all.length,
      up: all.filter((one) => one.state === "up").length,
      interval_s: Math.max(...all.map(intervalOf)),
      services: services.sort(
        (a, b) =>
          rank(a) - rank(b) ||
          a.name.localeCompare(b.name, "en", { numeric: true }) ||
          (a.address < b.address ? -1 : 1),
      ),
    }))
    .sort((a, b) => worst(a) - worst(b) || kindRank(a.kind) - kindRank(b.kind) || (a.kind < b.kind ? -1 : 1));
}

// Kinds with something wrong come before those with none.
function worst({ services }) {
  return Math.min(serviceState(services[0]).rank, kServiceStates.unknown.rank);
}

export const intervalOf = (service) => parseDuration(service.interval) ?? kDefaultInterval_s;

// The labels by which the series of a kind, or of one service, are found. What is scraped has the job that its
// configuration says.
export function selectionOf(kind, address) {
  const parts = [];
  if (kind !== "openmetrics") parts.push(`job=${quote(kind)}`);
  if (address !== undefined) parts.push(`instance=${quote(address)}`);
  return parts.join(",");
}
