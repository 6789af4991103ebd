// Quarterdeck about itself: what runs, since when, how much it holds, and with which settings.
import "../../styles/lists.css";
import { buildInfo, config, flags, runtimeInfo, tsdb } from "../../api/prometheus.js";
import { A } from "../../components/link.jsx";
import { Failure, Skeleton } from "../../components/notice.jsx";
import { Panel } from "../../components/panel.jsx";
import { serverNow } from "../../lib/clock.js";
import { formatCount } from "../../lib/format.js";
import { useFetch, usePoll } from "../../lib/hooks.js";
import { formatDateTime, formatSpan, parseStamp } from "../../lib/time.js";
import { exploreHref } from "../explore/address.js";

function Pairs({ pairs, wide = false }) {
  return (
    <dl className={wide ? "pairs pairs-wide" : "pairs"}>
      {pairs
        .filter(([, value]) => value !== undefined && value !== null && value !== "")
        .map(([name, value]) => (
          <div key={name.key ?? name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function Part({ title, unit, state, children, rows = 5 }) {
  let body = <Skeleton rows={rows} />;
  if (state.data) body = children(state.data);
  else if (state.error) body = <Failure error={state.error} />;
  return (
    <Panel title={title} unit={unit}>
      {body}
    </Panel>
  );
}

function started(info) {
  const since = parseStamp(info.startTime);
  return since === null ? undefined : `${formatDateTime(since)}, ${formatSpan(serverNow() - since)} ago`;
}

export function Status() {
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
          Quarterdeck about itself; more at <a href="/metrics">/metrics</a>
        </p>
      </header>
      <div className="parts">
        <div className="parts-side">
          <Part title="Which build runs" state={build}>
            {(data) => (
              <Pairs
                pairs={[
                  ["Version", data.version],
                  ["Revision", data.revision && <code>{data.revision}</code>],
                  ["Branch", data.branch],
                  ["Built", data.buildDate],
                  ["By", data.buildUser],
                ]}
              />
            )}
          </Part>
          <Part title="How it runs" state={runtime}>
            {(data) => (
              <Pairs
                pairs={[
                  ["Started", started(data)],
                  [
                    "Settings reload",
                    data.reloadConfigSuccess ? "last one succeeded" : "last one failed: the log says why",
                  ],
                  ["Settings from", data.lastConfigTime && formatDateTime(parseStamp(data.lastConfigTime) ?? 0)],
                  ["Retention", data.storageRetention],
                  ["Damaged log records", data.corruptionCount > 0 ? data.corruptionCount : "none"],
                  ["Working directory", data.CWD && <code>{data.CWD}</code>],
                ]}
              />
            )}
          </Part>
          <Part title="What the store holds in memory" state={store}>
            {(data) => (
              <Pairs
                pairs={[
                  ["Series", formatCount(data.headStats?.numSeries)],
                  ["Label pairs", formatCount(data.headStats?.numLabelPairs)],
                  ["Chunks", formatCount(data.headStats?.chunkCount)],
                  ["Oldest sample", data.headStats?.minTime > 0 && formatDateTime(data.headStats.minTime / 1000)],
                  ["Newest sample", data.headStats?.maxTime > 0 && formatDateTime(data.headStats.maxTime / 1000)],
                ]}
              />
            )}
          </Part>
          <Part title="Settings in use" unit="as loaded" state={file} rows={8}>
            {(data) => <pre className="mono config">{data.yaml?.trim() || "Nothing but the defaults."}</pre>}
          </Part>
        </div>
        <div className="parts-side">
          <Part title="Which metrics have the most series" state={store} rows={8}>
            {(data) => (
              <Pairs
                wide
                pairs={(data.seriesCountByMetricName ?? []).map(({ name, value }) => [
                  <A key={name} href={exploreHref([{ expr: name }])}>
                    <code>{name}</code>
                  </A>,
                  formatCount(value),
                ])}
              />
            )}
          </Part>
          <Part title="Command line" state={given} rows={8}>
            {(data) => (
              <Pairs
                wide
                pairs={Object.entries(data)
                  .sort(([a], [b]) => (a < b ? -1 : 1))
                  .map(([name, value]) => [<code key={name}>--{name}</code>, value])}
              />
            )}
          </Part>
        </div>
      </div>
    </div>
  );
}
