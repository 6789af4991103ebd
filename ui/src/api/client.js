// The one way in which the page talks to its server: same origin, Prometheus's HTTP API, JSON.
//
// Every call takes an AbortSignal and rejects with an ApiError, or with the AbortError of its signal. Whether the server
// can be reached is kept here for all pages at once: see `connection`.

import { learnServerDate } from "../lib/clock.js";

const kTimeout_ms = 30_000;

// kind: "unreachable" (no answer at all), "refused" (401 or 403), "bad_answer" (not the API's JSON), or the server's own
// errorType ("bad_data", "execution", "timeout", "canceled", "unavailable", ...).
export class ApiError extends Error {
  constructor(kind, message, status = 0) {
    super(message);
    this.name = "ApiError";
    this.kind = kind;
    this.status = status;
  }
}

// ok: null before the first answer. since: when ok last changed, in ms. ever: whether there was an answer at all.
let state = { ok: null, since: Date.now(), reason: "", ever: false };
const listeners = new Set();

function note(ok, reason = "") {
  if (state.ok === ok && state.reason === reason) return;
  state = { ok, reason, since: state.ok === ok ? state.since : Date.now(), ever: state.ever || ok };
  for (const listener of listeners) listener();
}

// The shape that React's useSyncExternalStore takes.
export const connection = {
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  snapshot: () => state,
};

export function isAbort(error) {
  return error?.name === "AbortError";
}

function encode(params) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined || value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(key, String(one));
  }
  return search;
}

async function send(path, search, { method, signal }) {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), kTimeout_ms);
  const forward = () => timeout.abort();
  if (signal?.aborted) timeout.abort();
  signal?.addEventListener("abort", forward);
  try {
    const post = method === "POST";
    const text = search.toString();
    const response = await fetch(post || !text ? path : `${path}?${text}`, {
      method,
      signal: timeout.signal,
      headers: post ? { "Content-Type": "application/x-www-form-urlencoded" } : undefined,
      body: post ? text : undefined,
    });
    learnServerDate(response.headers.get("Date"));
    return { response, text: await response.text() };
  } catch {
    if (signal?.aborted) throw new DOMException("The request was superseded", "AbortError");
    const reason = timeout.signal.aborted ? `no answer within ${kTimeout_ms / 1000} s` : "no connection";
    note(false, reason);
    throw new ApiError("unreachable", `Quarterdeck does not answer (${reason}).`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  }
}

// Fetches `path` and returns the `data` of the answer; `full` returns the whole answer, with warnings and infos.
export async function call(path, params = {}, { signal, method = "GET", full = false } = {}) {
  const { response, text } = await send(path, encode(params), { method, signal });
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's error page, or plain text: judged by its status below.
  }
  if (body?.status === "success") {
    note(true);
    return full ? body : body.data;
  }
  if (body?.status === "error") {
    note(true);
    throw new ApiError(body.errorType || "unknown", body.error || `HTTP ${response.status}`, response.status);
  }
  if (response.status === 401 || response.status === 403) {
    note(true);
    throw new ApiError("refused", `The server refused this page (HTTP ${response.status}).`, response.status);
  }
  if (response.status === 502 || response.status === 503 || response.status === 504) {
    note(false, `HTTP ${response.status}`);
    throw new ApiError("unreachable", `Quarterdeck is not ready (HTTP ${response.status}).`, response.status);
  }
  note(true);
  throw new ApiError("bad_answer", `${path} gave no API answer (HTTP ${response.status}).`, response.status);
}
