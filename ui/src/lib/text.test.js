import { describe, expect, it } from "vitest";
import { commonLabels, seriesName } from "./labels.js";
import { excerpt, parseErrorPosition } from "./positions.js";
import { unitOf } from "./units.js";

describe("positions of parse errors", () => {
  it("are found in the server's message, also behind the parameter's name", () => {
    expect(parseErrorPosition('invalid parameter "query": 1:38: parse error: unexpected <by>')).toEqual({
      line: 1,
      column: 38,
      text: "unexpected <by>",
    });
    expect(parseErrorPosition("2:1: parse error: unexpected end of input").line).toBe(2);
    expect(parseErrorPosition("query timed out")).toBeNull();
  });

  it("point into the line, which is cut when it is long", () => {
    expect(excerpt("sum(\nrate(x)", { line: 2, column: 5 })).toEqual({ text: "rate(x)", mark: 4 });
    const long = `${"a".repeat(100)}!${"b".repeat(100)}`;
    const piece = excerpt(long, { line: 1, column: 101 });
    expect(piece.text[piece.mark]).toBe("!");
    expect(piece.text.length).toBeLessThan(130);
  });

  it("outside the query point nowhere", () => {
    expect(excerpt("up", { line: 3, column: 1 })).toBeNull();
    expect(excerpt("up", { line: 1, column: 9 })).toBeNull();
    expect(excerpt("up", { line: 1, column: 3 })).toEqual({ text: "up", mark: 2 });
  });
});

describe("labels", () => {
  it("make a name that PromQL reads", () => {
    expect(seriesName({ __name__: "up", job: 'a"b', instance: "x\n" })).toBe('up{instance="x\\n", job="a\\"b"}');
    expect(seriesName({})).toBe("{}");
    expect(seriesName({ __name__: "up", job: "a" }, ["job"])).toBe("up");
  });

  it("that all series share are found once", () => {
    const metrics = [
      { job: "node", cpu: "0" },
      { job: "node", cpu: "1" },
    ];
    expect(commonLabels(metrics)).toEqual({ job: "node" });
    expect(commonLabels([metrics[0]])).toEqual({});
  });
});

describe("unitOf", () => {
  it("reads the unit from the metric's name", () => {
    expect(unitOf("node_memory_MemFree_bytes")).toBe("bytes");
    expect(unitOf("sum(rate(node_network_receive_bytes_total[1m]))")).toBe("bytes_per_s");
  });

  it("claims nothing where the name no longer says it", () => {
    expect(unitOf("a_bytes / b_bytes")).toBe("count");
    expect(unitOf("count(a_bytes)")).toBe("count");
    expect(unitOf('up{x="a_bytes"}')).toBe("count");
  });

  it("is not confused by a division sign inside a string", () => {
    expect(unitOf('node_filesystem_avail_bytes{mountpoint="/"}')).toBe("bytes");
  });
});
