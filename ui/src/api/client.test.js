import { afterEach, describe, expect, it, vi } from "vitest";
import { failure, serve } from "../test/server.js";
import { call, connection, isAbort } from "./client.js";
import { query, queryRange } from "./prometheus.js";

afterEach(async () => {
  serve({ "/ok": {} });
  await call("/ok");
});

describe("call", () => {
  it("gives the data of an answer", async () => {
    serve({ "/api/v1/labels": ["a", "b"] });
    expect(await call("/api/v1/labels")).toEqual(["a", "b"]);
  });

  it("carries the server's own kind and words of an error", async () => {
    serve({ "/api/v1/query": () => failure("bad_data", "1:2: parse error: x") });
    const error = await query("(").catch((caught) => caught);
    expect(error).toMatchObject({ name: "ApiError", kind: "bad_data", message: "1:2: parse error: x", status: 400 });
    expect(connection.snapshot().ok).toBe(true);
  });

  it("tells a server that is gone from one that refuses", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("Failed to fetch");
    });
    await expect(call("/x")).rejects.toMatchObject({ kind: "unreachable" });
    expect(connection.snapshot().ok).toBe(false);
    serve({ "/x": () => new Response("no", { status: 401 }) });
    await expect(call("/x")).rejects.toMatchObject({ kind: "refused", status: 401 });
    expect(connection.snapshot().ok).toBe(true);
  });

  it("takes a proxy's page for no answer", async () => {
    serve({ "/x": () => new Response("<html>", { status: 502 }) });
    await expect(call("/x")).rejects.toMatchObject({ kind: "unreachable" });
    serve({ "/x": () => new Response("<html>", { status: 200 }) });
    await expect(call("/x")).rejects.toMatchObject({ kind: "bad_answer" });
  });

  it("ends with an AbortError when it is superseded, and says nothing about the connection", async () => {
    vi.stubGlobal(
      "fetch",
      (_url, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
        }),
    );
    const before = connection.snapshot();
    const controller = new AbortController();
    const pending = call("/x", {}, { signal: controller.signal }).catch((caught) => caught);
    controller.abort();
    expect(isAbort(await pending)).toBe(true);
    expect(connection.snapshot()).toBe(before);
  });

  it("gives up on a server that says nothing", async () => {
    vi.useFakeTimers();
    vi.stubGlobal(
      "fetch",
      (_url, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
        }),
    );
    const pending = call("/x").catch((caught) => caught);
    await vi.advanceTimersByTimeAsync(31_000);
    expect(await pending).toMatchObject({ kind: "unreachable" });
  });
});

describe("queries", () => {
  it("go as GET while they are short and as POST when long", async () => {
    const answer = { resultType: "matrix", result: [] };
    const requests = serve({ "/api/v1/query_range": answer });
    await queryRange("up", { start: 0, end: 10, step: 5 });
    await queryRange(`up{x="${"y".repeat(2000)}"}`, { start: 0, end: 10, step: 5 });
    expect(requests.map((one) => one.method)).toEqual(["GET", "POST"]);
    expect(requests[1].params.get("query")).toContain("yyy");
    expect(requests[0].params.get("step")).toBe("5");
  });

  it("bring the server's warnings along", async () => {
    serve({
      "/api/v1/query": () =>
        new Response(
          JSON.stringify({
            status: "success",
            data: { resultType: "vector", result: [] },
            warnings: ["w"],
            infos: ["i"],
          }),
        ),
    });
    expect((await query("up")).warnings).toEqual(["w", "i"]);
  });
});
