// One query of Explore: its field, and what it gave as a graph or a table.
import { lazy, Suspense, useState } from "react";
import { query, queryRange } from "../../api/prometheus.js";
import { Close, Play } from "../../components/icons.jsx";
import { Empty } from "../../components/notice.jsx";
import { Segments } from "../../components/segments.jsx";
import { serverNow } from "../../lib/clock.js";
import { useFetch } from "../../lib/hooks.js";
import { formatDuration, formatSpan, parseDuration, stepFor } from "../../lib/time.js";
import { unitOf } from "../../lib/units.js";
import { Graph, kGraphHeight } from "./graph.jsx";
import { List, Plus } from "./icons.jsx";
import { MetricBrowser } from "./metric_browser.jsx";
import { QueryError } from "./query_error.jsx";
import { ResultTable } from "./result_table.jsx";
import { graphFrom } from "./results.js";

const Editor = lazy(() => import("./editor.jsx"));

const kPoints = 300;
const kSeriesMax = 2000;
const kHint = "A PromQL query, for example rate(node_cpu_seconds_total[1m])";

export const kExamples = [
  ["Processor busy, in percent", '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m])))'],
  ["Memory in use", "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes"],
  ["Bytes received per interface", "rate(node_network_receive_bytes_total[1m])"],
  ["Filesystems over 80 %", "100 * (1 - node_filesystem_avail_bytes / node_filesystem_size_bytes) > 80"],
];

// Ends at the moment that was asked for, not at a multiple of the step: over 15 days that would leave out the last hours,
// and just after the start everything.
export function queryWindow(range, end, wantedStep) {
  const seconds = parseDuration(range);
  const step = wantedStep ?? stepFor(seconds, kPoints);
  const last = Math.floor(end ?? serverNow());
  return { start: last - Math.floor(seconds / step) * step, end: last, step };
}

function Examples({ onPick }) {
  return (
    <Empty title="Nothing is asked yet">
      Write a query above, or start from one of these:
      <span className="examples">
        {kExamples.map(([name, expr]) => (
          <button key={expr} type="button" className="example" onClick={() => onPick(expr)}>
            <span>{name}</span>
            <code>{expr}</code>
          </button>
        ))}
      </span>
    </Empty>
  );
}

function NoResult({ tab, range }) {
  return (
    <Empty title="The query is fine, but no series matches it">
      {tab === "graph"
        ? `No sample lies in this span (${range}). A longer span, or fewer label matchers, may show some.`
        : "At this moment no series has a sample. Check the label matchers, or look at the graph for earlier ones."}
    </Empty>
  );
}

// `beat` changes when the query has to be asked again: somebody ran it, or it is live. `onAdd`, with the last query, adds
// one below; the button comes when the answer has taken its room, so that it does not move.
export function QueryBlock({
  index,
  count,
  state,
  time,
  beat,
  draft,
  setDraft,
  onRun,
  onTab,
  onStacked,
  onRemove,
  onAdd,
  onZoom,
}) {
  const { expr, tab, stacked } = state;
  const [browsing, setBrowsing] = useState(false);
  const [took, setTook] = useState(null);
  const key = expr.trim() === "" ? null : JSON.stringify([expr, tab, time.range, time.end, time.step, beat]);
  const { data, error, loading } = useFetch(key, async (signal) => {
    const started = performance.now();
    if (tab === "table") {
      const answer = await query(expr, { time_s: time.end ?? undefined, signal, limit: undefined });
      setTook((performance.now() - started) / 1000);
      return { tab, answer, warnings: answer.warnings };
    }
    const window = queryWindow(time.range, time.end, time.step);
    const answer = await queryRange(expr, window, { signal, limit: kSeriesMax });
    setTook((performance.now() - started) / 1000);
    return { tab, window, graph: graphFrom(answer.result, window), warnings: answer.warnings };
  });
  const shown = key && data?.tab === tab ? data : null;
  const empty =
    shown &&
    (tab === "graph" ? shown.graph.total === 0 && shown.graph.histograms === 0 : shown.answer.result.length === 0);
  const name = count > 1 ? `Query ${index + 1}` : "Query";

  let body;
  if (!key) body = <Examples onPick={onRun} />;
  else if (error) body = <QueryError error={error} expr={expr} />;
  else if (!shown) body = <div className="skeleton" style={{ height: kGraphHeight - 32, margin: "8px 0 24px" }} />;
  else if (empty) body = <NoResult tab={tab} range={time.range} />;
  else if (tab === "graph")
    body = (
      <Graph
        graph={shown.graph}
        range={shown.window}
        stacked={stacked}
        unit={unitOf(expr)}
        onZoom={onZoom}
        label={expr}
      />
    );
  else body = <ResultTable answer={shown.answer} />;

  const warnings = shown && !error ? (shown.warnings ?? []) : [];
  return (
    <>
      <section className="panel query" aria-label={name} aria-busy={key !== null && loading}>
        <div className="query-line">
          {count > 1 && <span className="query-number">{index + 1}</span>}
          <div className="query-field">
            <Suspense fallback={<div className="editor editor-waits mono">{draft || kHint}</div>}>
              <Editor
                value={draft}
                onChange={setDraft}
                onRun={() => onRun(draft)}
                label={name}
                shortcut={index === 0}
                hint={kHint}
              />
            </Suspense>
          </div>
          <button
            type="button"
            className="icon-button"
            aria-label="Browse metrics"
            title="Browse metrics"
            onClick={() => setBrowsing(true)}
          >
            <List />
          </button>
          <button type="button" className="button button-main" onClick={() => onRun(draft)}>
            <Play size={14} />
            Run
          </button>
          {count > 1 && (
            <button type="button" className="icon-button" aria-label={`Remove query ${index + 1}`} onClick={onRemove}>
              <Close />
            </button>
          )}
        </div>
        <div className="query-bar">
          <Segments
            label="Show as"
            options={[
              { value: "graph", label: "Graph" },
              { value: "table", label: "Table" },
            ]}
            value={tab}
            onChange={onTab}
          />
          {tab === "graph" && (
            <label className="check">
              <input type="checkbox" checked={stacked} onChange={(event) => onStacked(event.target.checked)} />
              Stacked
            </label>
          )}
          <p className="query-stats">
            {shown && !error && (
              <>
                {tab === "graph" && shown.window && `step ${formatDuration(shown.window.step)} · `}
                {took !== null && `answered in ${formatSpan(took)}`}
              </>
            )}
          </p>
        </div>
        <div className="query-result" style={{ minHeight: kGraphHeight }}>
          {warnings.length > 0 && (
            <ul className="warnings">
              {warnings.map((warning) => (
                <li key={warning}>Note: {warning}</li>
              ))}
            </ul>
          )}
          {body}
        </div>
        {browsing && (
          <MetricBrowser
            onClose={() => setBrowsing(false)}
            onChoose={(metric) => {
              setBrowsing(false);
              const both = draft.trim() ? `${draft.trimEnd()} ${metric}` : metric;
              setDraft(both);
              if (!draft.trim()) onRun(metric);
            }}
          />
        )}
      </section>
      {onAdd && (!key || shown || error) && (
        <button type="button" className="button add-query" onClick={onAdd}>
          <Plus size={14} />
          Add a query
        </button>
      )}
    </>
  );
}
