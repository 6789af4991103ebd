// Every series of a query over time, with a legend that can be sorted out by pointing and clicking.
import { useMemo, useState } from "react";
import { Chart } from "../../charts/chart.jsx";
import { formatValue, plural } from "../../lib/format.js";
import { labelPairs } from "../../lib/labels.js";

export const kGraphHeight = 320;
const kLegendRows = 20;

export function Graph({ graph, range, stacked, unit, onZoom, label }) {
  const [only, setOnly] = useState(() => new Set());
  const [all, setAll] = useState(false);
  const series = useMemo(() => {
    const known = graph.series.some((one) => only.has(one.key));
    return graph.series.map((one) => ({
      ...one,
      area: graph.series.length === 1 ? 0.14 : 0,
      hidden: known && !only.has(one.key),
    }));
  }, [graph, only]);

  // A click shows one line alone, or all again; with Ctrl or Shift lines are added and taken away.
  const choose = (key, more) => {
    setOnly((old) => {
      if (!more) return old.size === 1 && old.has(key) ? new Set() : new Set([key]);
      const next = new Set(old);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  };
  const common = labelPairs(graph.common);
  const shown = all ? series : series.slice(0, kLegendRows);
  return (
    <>
      <Chart
        label={`${label}: ${plural(graph.series.length, "series", "series")}`}
        height={kGraphHeight}
        x={graph.x}
        series={series}
        stacked={stacked}
        keepOrder={stacked}
        unit={unit}
        range={range}
        syncKey="explore"
        onZoom={onZoom}
      />
      <div className="graph-legend">
        <p className="graph-common">
          {graph.total > graph.series.length && (
            <b>
              The {graph.series.length} highest of {graph.total} series.{" "}
            </b>
          )}
          {graph.histograms > 0 && <b>{plural(graph.histograms, "histogram")} left out: see the table. </b>}
          {graph.series.length > 1 && common.length > 0 && <>In all: {common.join(", ")}</>}
        </p>
        <table className="table legend-table">
          <thead>
            <tr>
              <th scope="col">{plural(graph.total, "series", "series")}</th>
              {["Min", "Mean", "Max", "Last"].map((name) => (
                <th key={name} scope="col" className={`num legend-${name.toLowerCase()}`}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <tr key={one.key} className={one.hidden ? "legend-off" : ""}>
                <th scope="row">
                  <button
                    type="button"
                    className="legend-button"
                    aria-pressed={!one.hidden}
                    title="Show alone; with Ctrl or Shift add or take away"
                    onClick={(event) => choose(one.key, event.ctrlKey || event.metaKey || event.shiftKey)}
                  >
                    <i className="swatch" style={{ background: one.color }} />
                    <code>{one.label}</code>
                  </button>
                </th>
                <td className="num legend-min">{formatValue(one.stats.min, unit)}</td>
                <td className="num legend-mean">{formatValue(one.stats.mean, unit)}</td>
                <td className="num legend-max">{formatValue(one.stats.max, unit)}</td>
                <td className="num legend-last">{formatValue(one.stats.last, unit)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {series.length > kLegendRows && (
          <button type="button" className="button button-quiet" onClick={() => setAll(!all)}>
            {all ? "Show fewer" : `Show all ${series.length}`}
          </button>
        )}
      </div>
    </>
  );
}
