// A panel with a live picture: asks its query whenever the shared range moves on, keeps the last picture meanwhile, and
// shows in its legend the newest values, or those under the pointer on any of the panels.
import { useMemo, useState } from "react";
import { queryRange } from "../api/prometheus.js";
import { Chart } from "../charts/chart.jsx";
import { lastValue } from "../charts/shape.js";
import { exploreHref } from "../lib/explore_href.js";
import { formatValue } from "../lib/format.js";
import { useFetch } from "../lib/hooks.js";
import { Empty, Failure } from "./notice.jsx";
import { Panel } from "./panel.jsx";

const kHeight = 140;

function Legend({ shape, unit, index }) {
  return (
    <ul className="legend">
      {shape.series.map((one) => {
        const raw = index === null ? lastValue(one.values) : one.values[index];
        const value = shape.mirrored && typeof raw === "number" ? Math.abs(raw) : raw;
        return (
          <li key={one.key}>
            <i className="swatch" style={{ background: one.color }} />
            <span className="legend-name">{one.label}</span>
            <b>{formatValue(value, unit)}</b>
          </li>
        );
      })}
    </ul>
  );
}

// picture: {title, unit, unitName, empty: {title, hint}}. shape(result, range) gives what is drawn, null where there is
// nothing. explore: the query for the way into Explore. Panels with the same syncKey share a cursor.
export function LivePanel({ picture, expr, range, shape: shapeOf, explore, rangeText, syncKey, height = kHeight }) {
  const { title, unit, unitName, empty } = picture;
  const [index, setIndex] = useState(null);
  const key = expr && range ? `${expr} ${range.start} ${range.end} ${range.step}` : null;
  const { data, error } = useFetch(key, async (signal) => {
    const answer = await queryRange(expr, range, { signal });
    return { range, shape: shapeOf(answer.result, range) };
  });
  const shape = data?.shape ?? null;
  const label = useMemo(() => {
    if (!shape) return title;
    const values = shape.series.map((one) => `${one.label} ${formatValue(lastValue(one.values), unit)}`);
    return `${title}. Now: ${values.join(", ")}`;
  }, [shape, title, unit]);

  let body = <div className="skeleton chart-skeleton" />;
  if (shape) {
    body = (
      <Chart
        label={label}
        height={height}
        x={shape.x}
        series={shape.series}
        stacked={shape.stacked}
        mirrored={shape.mirrored}
        keepOrder
        unit={unit}
        range={data.range}
        bounds={shape.bounds}
        marks={shape.marks}
        syncKey={syncKey}
        onCursor={setIndex}
      />
    );
  } else if (data) body = <Empty title={empty.title}>{empty.hint}</Empty>;
  else if (error) body = <Failure error={error} />;

  return (
    <Panel
      title={title}
      unit={unitName}
      figure={shape?.figure ?? ""}
      href={explore && exploreHref([{ expr: explore }], { range: rangeText })}
    >
      <div className="panel-chart" style={{ height }}>
        {body}
      </div>
      <div className="panel-foot">
        {shape && <Legend shape={shape} unit={unit} index={index} />}
        {shape?.note && <p className="panel-note">{shape.note}</p>}
      </div>
    </Panel>
  );
}
