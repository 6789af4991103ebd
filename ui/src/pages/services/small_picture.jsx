// A picture without axes beside its figure, for lists.
import { useState } from "react";
import { Chart } from "../../charts/chart.jsx";
import { lastValue } from "../../charts/shape.js";
import { State } from "../../components/state.jsx";
import { formatValue } from "../../lib/format.js";

const kHeight = 68;

export function SmallPicture({ picture, data, error, shape, draws }) {
  const [index, setIndex] = useState(null);
  const { title, unit, empty } = picture;
  let body = draws && <div className="skeleton small-skeleton" />;
  if (shape && draws) {
    const now = shape.series.map((one) => `${one.label} ${formatValue(lastValue(one.values), unit)}`);
    body = (
      <Chart
        compact
        label={`${title}. Now: ${now.join(", ")}`}
        height={kHeight}
        x={data.x}
        series={shape.series}
        stacked={shape.stacked}
        keepOrder
        unit={unit}
        range={data.range}
        bounds={shape.bounds}
        marks={shape.marks}
        syncKey="services"
        onCursor={setIndex}
      />
    );
  } else if (shape) body = null;
  else if (data)
    body = (
      <p className="small-empty" title={empty.hint}>
        {empty.title}. {empty.hint}
      </p>
    );
  else if (error) body = <p className="small-empty">{error.message}</p>;
  const pointed = index !== null && shape?.series.length === 1 ? shape.series[0].values[index] : null;
  return (
    <figure className="small">
      <figcaption>
        <span className="small-title">{title}</span>
        {shape?.state && (
          <State level={shape.state.level} plain>
            <span className="visually-hidden">{shape.state.word}</span>
          </State>
        )}
        <b className="small-figure" title={shape?.state?.word ?? shape?.note}>
          {pointed === null || pointed === undefined ? shape?.figure : formatValue(pointed, unit)}
          {shape?.limit && <span className="small-limit"> of {shape.limit}</span>}
        </b>
      </figcaption>
      <div className="small-space">{body}</div>
    </figure>
  );
}
