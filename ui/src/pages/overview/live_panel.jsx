// A panel with a live picture: asks its query whenever the shared range moves on, keeps the last picture meanwhile, and
// shows in its legend the newest values, or those under the pointer on any of the panels.
import { useMemo, useState } from "react";
import { queryRange } from "../../api/prometheus.js";
import { Chart } from "../../charts/chart.jsx";
import { lastValue } from "../../charts/shape.js";
import { Empty, Failure } from "../../components/notice.jsx";
import { Panel } from "../../components/panel.jsx";
import { exploreHref } from "../../lib/explore_href.js";
import { formatValue } from "../../lib/format.js";
import { useFetch } from "../../lib/hooks.js";

export const kChartHeight = 140;

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

export function LivePanel({ title, unit, unitName, expr, range, shape: shapeOf, empty, explore, rangeText }) {
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
        height={kChartHeight}
        x={shape.x}
        series={shape.series}
        stacked={shape.stacked}
        mirrored={shape.mirrored}
        keepOrder
        unit={unit}
        range={data.range}
        bounds={shape.bounds}
        marks={shape.marks}
        syncKey="overview"
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
      <div className="panel-chart" style={{ height: kChartHeight }}>
        {body}
      </div>
      <div className="panel-foot">
        {shape && <Legend shape={shape} unit={unit} index={index} />}
        {shape?.note && <p className="panel-note">{shape.note}</p>}
      </div>
    </Panel>
  );
}
