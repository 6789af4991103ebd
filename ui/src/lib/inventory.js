// Which services and containers there are, in words and counts. Overview counts them, their own pages list them.
import { parseStamp } from "./time.js";

// What is wrong comes first; what nobody wants to read comes last.
export const kServiceStates = {
  down: { rank: 0, level: "bad", word: "Down" },
  unreadable: { rank: 1, level: "warn", word: "Unreadable" },
  unknown: { rank: 2, level: "none", word: "Not yet known" },
  up: { rank: 3, level: "good", word: "Up" },
  off: { rank: 4, level: "off", word: "Off" },
};

const known = (state) => (Object.hasOwn(kServiceStates, state) ? state : "unknown");

export const serviceState = (service) => kServiceStates[known(service.state)];

// {all, up, down, unreadable, off, unknown}
export function countServices(list) {
  const counts = { all: list.length, up: 0, down: 0, unreadable: 0, off: 0, unknown: 0 };
  for (const { state } of list) counts[known(state)] += 1;
  return counts;
}

export const serviceHref = ({ kind, address }) =>
  `/services/${encodeURIComponent(kind)}/${encodeURIComponent(address)}`;

// "shop / checkout-db / 1", as far as Compose or Swarm says.
export const placeOf = ({ project, service, replica }) =>
  [project, service, replica && `replica ${replica}`].filter(Boolean).join(" / ");

// A process that was told to end by SIGTERM gives 143, which is how an engine stops it.
const kEndedAsTold = new Set([0, 143]);

// {rank, level, word, running}: the engine's state and the health check in one.
export function containerState({ state, health, exitCode, oomKilled }) {
  if (state === "running") {
    if (health === "unhealthy") return { rank: 0, level: "bad", word: "Unhealthy", running: true };
    if (health === "starting") return { rank: 4, level: "none", word: "Starting", running: true };
    return { rank: 5, level: "good", word: health === "healthy" ? "Healthy" : "Running", running: true };
  }
  if (state === "restarting") return { rank: 0, level: "bad", word: "Restarting", running: false };
  if (state === "dead") return { rank: 0, level: "bad", word: "Dead", running: false };
  if (state === "paused") return { rank: 3, level: "warn", word: "Paused", running: false };
  if (state === "exited" && oomKilled) return { rank: 1, level: "bad", word: "Out of memory", running: false };
  if (state === "exited" && !kEndedAsTold.has(exitCode))
    return { rank: 2, level: "warn", word: `Exited (${exitCode})`, running: false };
  const word = state ? state[0].toUpperCase() + state.slice(1) : "Not known";
  return { rank: 6, level: "off", word, running: false };
}

// {all, running, bad, warn, stopped, projects}
export function countContainers(list) {
  const counts = { all: list.length, running: 0, bad: 0, warn: 0, stopped: 0 };
  const projects = new Set();
  for (const container of list) {
    const { level, running } = containerState(container);
    if (running) counts.running += 1;
    if (level === "bad" || level === "warn") counts[level] += 1;
    if (level === "off") counts.stopped += 1;
    if (container.project) projects.add(container.project);
  }
  return { ...counts, projects: projects.size };
}

// In which second it began to run, or was made where it does not run.
export const bornAt = (container) =>
  (containerState(container).running && parseStamp(container.started)) || parseStamp(container.created);

// How soon to ask again for a list of so many: thousands are megabytes.
const kBeat_ms = 5000;
const kLong = 1000;
export const beatFor = (count) => (count > kLong ? 3 * kBeat_ms : kBeat_ms);
