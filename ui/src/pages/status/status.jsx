// Quarterdeck about itself: what runs, since when, how much it holds, and with which settings.
import "../../styles/lists.css";
import { about } from "../../api/platform.js";
import { buildInfo, config, flags, runtimeInfo, tsdb } from "../../api/prometheus.js";
import { A } from "../../components/link.jsx";
import { Failure, Skeleton } from "../../components/notice.jsx";
import { Panel } from "../../components/panel.jsx";
import { serverNow } from "../../lib/clock.js";
import { exploreHref } from "../../lib/explore_href.js";
import { formatCount } from "../../lib/format.js";
import { useFetch, usePoll } from "../../lib/hooks.js";
import { useLocation } from "../../lib/router.js";
import { formatDateTime, formatSpan, parseStamp } from "../../lib/time.js";
import { Cardinality } from "./cardinality.jsx";

const kMetrics = 10;
const kFlags = 4;

function Row({ name, children }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const kWaitingText = <span className="skeleton pair-skeleton" style={{ width: "60%" }} />;
const kWaitingNumber = <span className="skeleton pair-skeleton" style={{ width: 32 }} />;

// rows: [[name, of(data)]]. Every row is there before its value, and stays where there is none.
function Facts({ title, state, rows }) {
  if (!state.data && state.error) return <Fault title={title} error={state.error} />;
  return (
    <Panel title={title}>
      <dl className="pairs">
        {rows.map(([name, of]) => (
          <Row key={name} name={name}>
            {state.data ? (of(state.data) ?? "–") : kWaitingText}
          </Row>
        ))}
      </dl>
    </Panel>
  );
}

// pairs(data): [[key, name, value]]. As many rows as are usual have their room before they come.
function List({ title, state, usual, pairs }) {
  if (!state.data && state.error) return <Fault title={title} error={state.error} />;
  const shown = state.data
    ? pairs(state.data)
    : Array.from({ length: usual }, (_, i) => [i, kWaitingText, kWaitingNumber]);
  return (
    <Panel title={title}>
      <dl className="pairs pairs-wide" style={{ "--rows": usual }}>
        {shown.map(([key, name, value]) => (
          <Row key={key} name={name}>
            {value}
          </Row>
        ))}
      </dl>
    </Panel>
  );
}

function Fault({ title, error }) {
  return (
    <Panel title={title}>
      <Failure error={error} />
    </Panel>
  );
}

const code = (text) => text && <code>{text}</code>;
const stamp = (time_s) => (time_s > 0 ? formatDateTime(time_s) : undefined);
const sample = (time_ms) => stamp(time_ms / 1000);

const kBuild = [
  ["Version", (data) => data.own.version],
  ["Commit", (data) => code(data.revision)],
  ["Build", (data) => [data.own.build, data.buildDate].filter(Boolean).join(", ") || undefined],
  ["Speaks", (data) => `the Prometheus API of ${data.version}`],
];

const kRuntime = [
  ["Started", (data) => stamp(parseStamp(data.startTime))],
  ["Running for", (data) => formatSpan(serverNow() - (parseStamp(data.startTime) ?? Number.NaN))],
  [
    "Settings reload",
    (data) => (data.reloadConfigSuccess ? "last one succeeded" : "last one failed: the log says why"),
  ],
  ["Settings from", (data) => stamp(parseStamp(data.lastConfigTime))],
  ["Retention", (data) => data.storageRetention],
  ["Damaged log records", (data) => (data.corruptionCount > 0 ? data.corruptionCount : "none")],
  ["Data directory", (data) => code(data.own.dataDir)],
  ["Working directory", (data) => code(data.CWD)],
];

const kStore = [
  ["Series", (data) => formatCount(data.headStats?.numSeries)],
  ["Label pairs", (data) => formatCount(data.headStats?.numLabelPairs)],
  ["Chunks", (data) => formatCount(data.headStats?.chunkCount)],
  ["Oldest sample", (data) => sample(data.headStats?.minTime)],
  ["Newest sample", (data) => sample(data.headStats?.maxTime)],
];

// An answer of the Prometheus API with what Quarterdeck's own says beside it, once that is there or cannot be had.
function withOwn(state, own) {
  if (!state.data || (!own.data && !own.error)) return { error: state.error };
  return { data: { ...state.data, own: own.data ?? {} } };
}

export function Status() {
  const { path } = useLocation();
  return path.startsWith("/status/cardinality") ? <Cardinality /> : <Whole />;
}

function Whole() {
  const own = useFetch("about", (signal) => about({ signal }));
  const build = useFetch("build", (signal) => buildInfo({ signal }));
  const runtime = usePoll("runtime", (signal) => runtimeInfo({ signal }));
  const store = usePoll("tsdb", (signal) => tsdb({ signal }));
  const given = useFetch("flags", (signal) => flags({ signal }));
  const file = useFetch("config", (signal) => config({ signal }));
  return (
    <div className="page">
      <header className="page-head">
        <h1>Status</h1>
        <p className="quiet">
          Quarterdeck about itself; more at <a href="/metrics">/metrics</a>, and where its series come from at{" "}
          <A href="/status/cardinality">Cardinality</A>
        </p>
      </header>
      <div className="parts">
        <div className="parts-side">
          <Facts title="Which build runs" state={withOwn(build, own)} rows={kBuild} />
          <Facts title="How it runs" state={withOwn(runtime, own)} rows={kRuntime} />
        </div>
        <div className="parts-side">
          <Facts title="What the store holds in memory" state={store} rows={kStore} />
          <List
            title="Command line"
            state={given}
            usual={kFlags}
            pairs={(data) =>
              Object.entries(data)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([name, value]) => [name, <code key={name}>--{name}</code>, value || "–"])
            }
          />
        </div>
        <div className="parts-side">
          <List
            title="Which metrics have the most series"
            state={store}
            usual={kMetrics}
            pairs={(data) =>
              (data.seriesCountByMetricName ?? []).map(({ name, value }) => [
                name,
                <A key={name} href={exploreHref([{ expr: name }])}>
                  <code>{name}</code>
                </A>,
                formatCount(value),
              ])
            }
          />
        </div>
        <div className="parts-side">
          {!file.data && file.error ? (
            <Fault title="Settings in use" error={file.error} />
          ) : (
            <Panel title="Settings in use" unit="as loaded">
              <div className="config-space">
                {file.data ? (
                  <pre className="mono config">{file.data.yaml?.trim() || "Nothing but the defaults."}</pre>
                ) : (
                  <Skeleton rows={8} />
                )}
              </div>
            </Panel>
          )}
        </div>
      </div>
    </div>
  );
}
