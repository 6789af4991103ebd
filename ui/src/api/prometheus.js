// The endpoints of Prometheus's HTTP API that the page uses, one function each.
import { call } from "./client.js";

// Above this a query goes as POST: proxies cut URLs at some kilobytes.
const kGetLimit = 1500;

function method(expr) {
  return expr.length > kGetLimit ? "POST" : "GET";
}

// `time_s` undefined means the server's now. Returns {resultType, result, warnings}.
export async function query(expr, { time_s, signal, limit } = {}) {
  const body = await call(
    "/api/v1/query",
    { query: expr, time: time_s, limit },
    { signal, method: method(expr), full: true },
  );
  return { ...body.data, warnings: [...(body.warnings ?? []), ...(body.infos ?? [])] };
}

export async function queryRange(expr, { start, end, step }, { signal, limit } = {}) {
  const params = { query: expr, start, end, step, limit };
  const body = await call("/api/v1/query_range", params, { signal, method: method(expr), full: true });
  return { ...body.data, warnings: [...(body.warnings ?? []), ...(body.infos ?? [])] };
}

export const rules = (options) => call("/api/v1/rules", {}, options);
export const targets = (options) => call("/api/v1/targets", {}, options);
export const metadata = (options) => call("/api/v1/metadata", {}, options);
export const metricNames = (options) => call("/api/v1/label/__name__/values", {}, options);
// Names of metrics that have a sample since `start` in a series that `match` selects.
export const metricNamesOf = (match, { start, signal }) =>
  call("/api/v1/label/__name__/values", { "match[]": match, start }, { signal });
export const buildInfo = (options) => call("/api/v1/status/buildinfo", {}, options);
export const runtimeInfo = (options) => call("/api/v1/status/runtimeinfo", {}, options);
export const flags = (options) => call("/api/v1/status/flags", {}, options);
export const config = (options) => call("/api/v1/status/config", {}, options);
export const tsdb = (options) => call("/api/v1/status/tsdb", {}, options);
