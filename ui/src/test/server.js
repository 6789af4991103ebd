// A server for tests: `routes` maps a path to what it answers, a value or a function of the request's parameters.
// A value is the `data` of a successful answer; a Response is sent as it is. Returns the list of requests made.
import { vi } from "vitest";

export function json(body, status = 200) {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

export function failure(errorType, error, status = 400) {
  return json({ status: "error", errorType, error }, status);
}

export const vector = (...result) => ({ resultType: "vector", result });
export const matrix = (...result) => ({ resultType: "matrix", result });

export function serve(routes) {
  const requests = [];
  vi.stubGlobal("fetch", async (url, init = {}) => {
    const at = new URL(url, "http://127.0.0.1");
    const params = new URLSearchParams(init.body ?? at.search);
    requests.push({ path: at.pathname, params, method: init.method ?? "GET" });
    const route = routes[at.pathname];
    if (route === undefined) return new Response("not found", { status: 404 });
    const answer = typeof route === "function" ? await route(params, init) : route;
    if (answer instanceof Response) return answer;
    return json({ status: "success", data: answer });
  });
  return requests;
}
