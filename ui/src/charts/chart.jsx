// One time chart on a canvas. It fills the width it is given and keeps the height it is told, so nothing around it moves.
//
// x: times in s. series: [{key, label, color, values, dash?, area?, hidden?}], bottom first when stacked.
// range: {start, end}. bounds: {min?, max?, floor?} of the y axis. marks: [{value, label}] horizontal lines.
// compact: no axes, for pictures beside their figure; a line at the bottom stands for the axis.
// onCursor(index or null) follows the pointer (and that of charts with the same syncKey); onZoom(start, end) a drag.
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "../styles/chart.css";
import { formatValue } from "../lib/format.js";
import { useSize } from "../lib/hooks.js";
import { useTheme } from "../lib/theme.js";
import { formatDateTime } from "../lib/time.js";
import { buildOptions } from "./options.js";
import { fade, resolveColor } from "./palette.js";
import { stackColumns } from "./shape.js";

const kTooltipRows = 12;
const kMarkFont_px = 11;

function drawMarks(u, marks, compact) {
  const { ctx, bbox } = u;
  const [low, high] = [u.scales.y.min, u.scales.y.max];
  ctx.save();
  for (const { value, label } of marks) {
    if (value < low || value > high) continue;
    const y = Math.round(u.valToPos(value, "y", true)) + 0.5;
    ctx.strokeStyle = resolveColor("var(--text-3)");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    if (compact) continue;
    // At the old end, on a ground of its own, because any line may run through where it stands.
    ctx.font = `${kMarkFont_px * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    const height = 16 * devicePixelRatio;
    const width = ctx.measureText(label).width + 8 * devicePixelRatio;
    const below = y - bbox.top < height + 4 * devicePixelRatio;
    const middle = y + (below ? 1 : -1) * (height / 2 + 2 * devicePixelRatio);
    ctx.fillStyle = fade(resolveColor("var(--panel)"), 0.86);
    ctx.fillRect(bbox.left, middle - height / 2, width, height);
    ctx.fillStyle = resolveColor("var(--text-2)");
    ctx.fillText(label, bbox.left + 4 * devicePixelRatio, middle);
  }
  ctx.restore();
}

function fillTooltip(tooltip, model, index) {
  const rows = model.series
    .filter((one) => !one.hidden && one.values[index] !== null && one.values[index] !== undefined)
    .map((one) => ({ one, value: one.values[index] }));
  if (!model.keepOrder) rows.sort((a, b) => b.value - a.value);
  else rows.reverse();
  const parts = [element("div", "tip-time", formatDateTime(model.x[index]))];
  for (const { one, value } of rows.slice(0, kTooltipRows)) {
    const row = element("div", "tip-row");
    const swatch = element("i", "swatch");
    swatch.style.background = one.color;
    const shown = model.mirrored ? Math.abs(value) : value;
    row.append(swatch, element("span", "tip-label", one.label), element("b", "", formatValue(shown, model.unit)));
    parts.push(row);
  }
  if (rows.length > kTooltipRows) parts.push(element("div", "tip-more", `and ${rows.length - kTooltipRows} more`));
  if (rows.length === 0) parts.push(element("div", "tip-more", "no sample here"));
  tooltip.replaceChildren(...parts);
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function placeTooltip(tooltip, u) {
  const left = u.cursor.left + u.over.offsetLeft;
  const right = u.cursor.left > u.over.clientWidth / 2;
  tooltip.style.left = right ? "auto" : `${left + 14}px`;
  tooltip.style.right = right ? `${u.root.clientWidth - left + 14}px` : "auto";
}

export function Chart({ label, height, ...model }) {
  const box = useRef(null);
  const tooltip = useRef(null);
  const plot = useRef(null);
  const latest = useRef(model);
  const [width] = useSize(box);
  const theme = useTheme();
  const { x, series, stacked, unit, range, onZoom, syncKey } = model;

  const drawn = useMemo(() => {
    const shown = series.filter((one) => !one.hidden);
    const columns = shown.map((one) => one.values);
    if (!stacked) return { shown, data: [x, ...columns] };
    return { shown: [...shown].reverse(), data: [x, ...stackColumns(columns).reverse()] };
  }, [x, series, stacked]);
  latest.current = { ...model, drawn };

  // Whatever uPlot cannot change later makes a new plot: which lines there are, and their looks.
  const structure = JSON.stringify([
    drawn.shown.map((one) => [one.key, one.color, one.dash, one.area]),
    stacked,
    unit,
    theme,
    syncKey,
    Boolean(onZoom),
  ]);
  const visible = width > 0;

  // biome-ignore lint/correctness/useExhaustiveDependencies: `structure` stands for all that is read from `latest`.
  useEffect(() => {
    if (!visible) return undefined;
    const now = () => latest.current;
    let hovered = false;
    const hooks = {
      setCursor: [
        (u) => {
          const index = u.cursor.idx ?? null;
          now().onCursor?.(u.cursor.left >= 0 ? index : null);
          const shows = hovered && index !== null && u.cursor.left >= 0;
          tooltip.current.hidden = !shows;
          if (!shows) return;
          fillTooltip(tooltip.current, now(), index);
          placeTooltip(tooltip.current, u);
        },
      ],
      draw: [(u) => drawMarks(u, now().marks ?? [], model.compact)],
      setSelect: [
        (u) => {
          if (u.select.width < 6) return;
          const from = u.posToVal(u.select.left, "x");
          const to = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          now().onZoom?.(from, to);
        },
      ],
    };
    const lines = {
      series: now().drawn.shown,
      stacked,
      unit,
      syncKey,
      mirrored: model.mirrored,
      compact: model.compact,
      xRange: () => [now().range.start, now().range.end],
      yBounds: () => now().bounds ?? {},
    };
    const u = new uPlot(buildOptions(lines, { width, height, hooks, onZoom }), now().drawn.data, box.current);
    const enter = () => {
      hovered = true;
    };
    const leave = () => {
      hovered = false;
      tooltip.current.hidden = true;
    };
    u.over.addEventListener("mouseenter", enter);
    u.over.addEventListener("mouseleave", leave);
    u.hover = (on) => (on ? enter() : leave());
    plot.current = u;
    return () => {
      plot.current = null;
      u.destroy();
    };
  }, [structure, visible, height]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a changed range, bound or mark draws anew as new data does.
  useEffect(() => {
    plot.current?.setData(drawn.data);
  }, [drawn, range.start, range.end, JSON.stringify(model.bounds), JSON.stringify(model.marks)]);

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width, height]);

  const step = (event) => {
    const u = plot.current;
    if (!u || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
    event.preventDefault();
    const last = drawn.data[0].length - 1;
    const at = u.cursor.idx ?? last;
    const next = Math.min(last, Math.max(0, at + (event.key === "ArrowRight" ? 1 : -1)));
    u.hover(true);
    u.setCursor({ left: u.valToPos(drawn.data[0][next], "x"), top: 0 });
  };
  const release = () => {
    const u = plot.current;
    u?.hover(false);
    u?.setCursor({ left: -10, top: -10 });
  };

  return (
    <div
      className={model.compact ? "chart chart-compact" : "chart"}
      style={{ height }}
      role="img"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys read the values one by one.
      tabIndex={0}
      onKeyDown={step}
      onBlur={release}
    >
      <div ref={box} className="chart-box" />
      <div ref={tooltip} className="tip" hidden />
    </div>
  );
}
