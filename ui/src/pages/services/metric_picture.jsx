// One metric of a service. It asks only while it is in sight, and keeps its place before that.
import { useRef } from "react";
import { query, queryRange } from "../../api/prometheus.js";
import { Chart } from "../../charts/chart.jsx";
import { Search } from "../../components/icons.jsx";
import { A } from "../../components/link.jsx";
import { exploreHref } from "../../lib/explore_href.js";
import { useFetch, useInView } from "../../lib/hooks.js";
import { kSeriesAsked, kTypeWords, metricExplore, metricQuery, metricShape } from "./metrics.js";

const kHeight = 96;

function Info({ data }) {
  const labels = Object.entries(data[0]?.metric ?? {}).filter(
    ([name, value]) => !["__name__", "job", "instance", "project", "service", "replica"].includes(name) && value,
  );
  return (
    <dl className="metric-info">
      {labels.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd title={value}>{value}</dd>
        </div>
      ))}
      {labels.length === 0 && <p className="small-empty">Only that it is there.</p>}
    </dl>
  );
}

// prefix: what the head of the group says already of the name.
export function MetricPicture({ metric, prefix, select, range, rangeText, interval_s }) {
  const box = useRef(null);
  const inView = useInView(box);
  const info = metric.type === "info";
  const expr = range && metricQuery(metric, { select, step: range.step, interval: interval_s });
  const key = inView && range ? `${expr} ${range.start} ${range.end} ${range.step}` : null;
  const { data, error } = useFetch(key, async (signal) => {
    if (info) return { info: (await query(expr, { signal, limit: 1 })).result };
    const answer = await queryRange(expr, range, { signal, limit: kSeriesAsked });
    return { range, shape: metricShape(answer.result, range, metric.unit) };
  });
  const shape = data?.shape;

  let body = inView && <div className="skeleton metric-skeleton" />;
  if (data?.info) body = <Info data={data.info} />;
  else if (shape)
    body = (
      <Chart
        label={`${metric.name}, ${kTypeWords[metric.type]}${shape.figure ? `. Now: ${shape.figure}` : ""}`}
        height={kHeight}
        x={shape.x}
        series={shape.series}
        unit={metric.unit}
        range={data.range}
        bounds={shape.bounds}
        syncKey="metrics"
      />
    );
  else if (data) body = <p className="small-empty">No sample in this time. A longer range may have some.</p>;
  else if (error) body = <p className="small-empty">{error.message}</p>;

  return (
    <li className="metric" ref={box} aria-label={metric.name}>
      <header>
        <h4 title={metric.name}>
          <code>{metric.name.startsWith(prefix) ? metric.name.slice(prefix.length) : metric.name}</code>
        </h4>
        <A
          className="panel-open"
          href={exploreHref([{ expr: metricExplore(metric, select) }], { range: rangeText })}
          aria-label={`Open in Explore: ${metric.name}`}
          title="Open in Explore"
        >
          <Search size={14} />
        </A>
        <b>{shape?.figure}</b>
      </header>
      <p className="metric-help" title={metric.help}>
        {kTypeWords[metric.type]}
        {metric.help && ` · ${metric.help}`}
      </p>
      <div className="metric-space">{body}</div>
      <p className="metric-foot" title={shape?.foot}>
        {shape?.foot}
      </p>
    </li>
  );
}
