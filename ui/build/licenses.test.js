import { describe, expect, it } from "vitest";
import { packageFolder } from "./licenses.js";

describe("packageFolder", () => {
  it("finds plain and scoped packages, the innermost one when nested", () => {
    expect(packageFolder("/a/node_modules/uplot/dist/uPlot.esm.js")).toBe("/a/node_modules/uplot");
    expect(packageFolder("/a/node_modules/@lezer/common/dist/index.js")).toBe("/a/node_modules/@lezer/common");
    expect(packageFolder("/a/node_modules/x/node_modules/y/i.js?v=1")).toBe("/a/node_modules/x/node_modules/y");
  });

  it("leaves the page's own modules alone", () => {
    expect(packageFolder("/a/ui/src/main.jsx")).toBeNull();
  });
});
