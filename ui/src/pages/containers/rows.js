// The rows of the table of containers: what the engine says of each, joined with what is measured of it.
import { parseSample } from "../../lib/format.js";
import { bornAt, containerState } from "../../lib/inventory.js";
import { quote } from "../../lib/quote.js";

// Rates take the last two samples of this long, so that they hold at any pace of collection up to half of it.
const kWindow = "5m";

// One instant query for all columns; each sample says by `of` which it is. names: of the containers that are asked for,
// null for all.
export function figuresQuery(names) {
  const which = names ? `name=~${quote(names.map(literal).join("|"))}` : 'name!=""';
  const select = (more = "") => `{job="cadvisor",${which}${more}}`;
  const rate = (name, more) => `sum by (id, name) (irate(${name}${select(more)}[${kWindow}]))`;
  const last = (name) => `max by (id, name) (${name}${select()})`;
  const network = ',interface!="lo"';
  const columns = {
    cpu: rate("container_cpu_usage_seconds_total"),
    memory: last("container_memory_working_set_bytes"),
    limit: last("container_spec_memory_limit_bytes"),
    in: rate("container_network_receive_bytes_total", network),
    out: rate("container_network_transmit_bytes_total", network),
  };
  return Object.entries(columns)
    .map(([of, expr]) => `label_replace(${expr}, "of", "${of}", "", "")`)
    .join(" or ");
}

// A container's name as a regular expression that fits it alone.
function literal(name) {
  return name.replace(/[.*+?^${}()|[\]\\]/g, (sign) => (sign === "." ? "[.]" : `\\${sign}`));
}

const kId = /[0-9a-f]{64}/;

// Map of a container's id, and of its name where the cgroup's path does not tell the id, to {cpu, memory, …}.
export function figuresFrom(result) {
  const figures = new Map();
  for (const { metric, value } of result) {
    const key = kId.exec(metric.id ?? "")?.[0] ?? metric.name;
    if (!figures.has(key)) figures.set(key, {});
    figures.get(key)[metric.of] = parseSample(value[1]);
  }
  return figures;
}

// rows: the container with {level, word, rank, running, cpu (cores), memory, limit, part (%), in, out, born_s, age_s}.
export function rowsFrom(containers, figures, now_s) {
  return containers.map((container) => {
    const state = containerState(container);
    // What has ended has no figures, though its last ones can still be asked for.
    const found = (state.running && (figures?.get(container.id) ?? figures?.get(container.name))) || {};
    const limit = found.limit > 0 ? found.limit : null;
    const memory = found.memory ?? null;
    const born_s = bornAt(container);
    return {
      ...container,
      ...state,
      cpu: found.cpu ?? null,
      memory,
      limit,
      part: limit !== null && memory !== null ? (100 * memory) / limit : null,
      in: found.in ?? null,
      out: found.out ?? null,
      born_s,
      age_s: born_s === null ? null : Math.max(0, now_s - born_s),
    };
  });
}

// From which part on the limit is a state.
export function memoryLevel(part) {
  if (part >= 95) return "bad";
  return part >= 85 ? "warn" : "good";
}

export const kNoProject = "-";

// show: "all", "wrong", "running" or "ended". project: "" for all, kNoProject for those without.
export function filterRows(rows, { show = "all", text = "", project = "" }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (show === "wrong" && row.level !== "bad" && row.level !== "warn") return false;
    if (show === "running" && !row.running) return false;
    if (show === "ended" && row.running) return false;
    if (project && (row.project || kNoProject) !== project) return false;
    if (words.length === 0) return true;
    const searched = `${row.name} ${row.image} ${row.project} ${row.service} ${row.word} ${row.id}`.toLowerCase();
    return words.every((word) => searched.includes(word));
  });
}

const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const byPlace = (a, b) => text(a.project || "\uffff", b.project || "\uffff") || text(a.name, b.name);

export const kSorts = ["state", "name", "cpu", "memory", "part", "in", "out", "restarts", "age"];
// What is measured, and not told by the engine.
export const kFigures = new Set(["cpu", "memory", "part", "in", "out"]);
// Numbers are looked at from the highest.
export const falls = (by) => by !== "state" && by !== "name";

// By a column; what has no value comes last either way.
export function sortRows(rows, by, descending) {
  const sign = descending ? -1 : 1;
  const field = by === "age" ? "age_s" : by;
  const compare = (a, b) => {
    if (by === "state") return sign * (a.rank - b.rank) || byPlace(a, b);
    if (by === "name") return sign * text(a.name, b.name);
    const [x, y] = [a[field], b[field]];
    if (x === null || y === null) return (x === null) - (y === null) || byPlace(a, b);
    return sign * (x - y) || byPlace(a, b);
  };
  return [...rows].sort(compare);
}

// As `rows`, but in the order that they had: while somebody points at a row it must not run away.
export function inOrder(rows, ids) {
  const place = new Map(ids.map((id, i) => [id, i]));
  const last = ids.length;
  return [...rows].sort((a, b) => (place.get(a.id) ?? last) - (place.get(b.id) ?? last));
}

// [{name, count}], by name; those without a project last, as kNoProject.
export function projectsOf(containers) {
  const counts = new Map();
  for (const { project } of containers) counts.set(project || kNoProject, (counts.get(project || kNoProject) ?? 0) + 1);
  return [...counts.entries()]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => (a.name === kNoProject) - (b.name === kNoProject) || text(a.name, b.name));
}
