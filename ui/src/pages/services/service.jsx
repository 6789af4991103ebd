// One service: what is known of it, the three pictures of its kind, and all of its metrics.
import { useMemo, useState } from "react";
import { metadata, metricNamesOf } from "../../api/prometheus.js";
import { alignMatrix } from "../../charts/shape.js";
import { Why } from "../../components/code_box.jsx";
import { A } from "../../components/link.jsx";
import { LiveControls } from "../../components/live_controls.jsx";
import { LivePanel } from "../../components/live_panel.jsx";
import { Empty, Failure, Skeleton } from "../../components/notice.jsx";
import { State } from "../../components/state.jsx";
import { plural } from "../../lib/format.js";
import { useFetch } from "../../lib/hooks.js";
import { serviceState } from "../../lib/inventory.js";
import { kDefaultRange, kRanges } from "../../lib/live_range.js";
import { useParam } from "../../lib/router.js";
import { formatAgo, formatDateTime, formatSpan, parseDuration, parseStamp } from "../../lib/time.js";
import { intervalOf, selectionOf } from "./groups.js";
import { kindOf } from "./kinds.js";
import { MetricPicture } from "./metric_picture.jsx";
import { findMetrics, groupMetrics, metricsFrom } from "./metrics.js";
import { useServices } from "./use_services.js";

const kPoints = 180;
const kPictureHeight = 180;
const kNamesMax = 1000;
// New metrics show up this much later.
const kNamesAge_s = 300;

const kOrigins = {
  declared: "declared in the configuration",
  container: "found in a container",
  process: "found as a process",
};

function lastPass({ lastPass: text, passSeconds }, now) {
  const passed = parseStamp(text);
  if (passed === null) return "not yet";
  return (
    <span title={formatDateTime(passed)}>
      {formatAgo(passed, now)}, in {formatSpan(passSeconds)}
    </span>
  );
}

const kFacts = [
  ["Address", ({ address }) => <code title={address}>{address}</code>],
  ["How it was found", ({ foundBy, origin }) => foundBy || kOrigins[origin]],
  ["Project", ({ project }) => project],
  ["Service", ({ service }) => service],
  ["Replica", ({ replica }) => replica],
  [
    "Container",
    ({ containerId }) =>
      containerId && (
        <A href={`/containers?id=${containerId}`}>
          <code>{containerId.slice(0, 12)}</code>
        </A>
      ),
  ],
  ["Process", ({ pid }) => (pid > 0 ? `pid ${pid}` : "")],
  ["Last pass", lastPass],
  ["Samples a pass", ({ samples }) => String(samples)],
  ["Read", ({ interval, timeout }) => (parseDuration(interval) ? `every ${interval}, within ${timeout}` : "")],
];

// Every fact has its place before it is known, and keeps it where there is none.
function Facts({ service, now }) {
  return (
    <dl className="service-page-facts">
      {kFacts.map(([name, of]) => {
        const value = service && of(service, now);
        return (
          <div key={name}>
            <dt>{name}</dt>
            <dd title={typeof value === "string" ? value : undefined}>
              {!service && <span className="skeleton pair-skeleton" style={{ width: 96 }} />}
              {service && (value || <span className="quiet">–</span>)}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

// The names are asked for when the page is opened, and again every few minutes; each picture asks for itself.
function Metrics({ kind, address, range, rangeText, interval_s, now, why }) {
  const [text, setText] = useParam("q");
  const [only, setOnly] = useParam("group");
  const select = selectionOf(kind, address);
  const age = Math.floor(now / kNamesAge_s);
  const { data, error } = useFetch(now ? `names ${select} ${rangeText} ${age}` : null, async (signal) => {
    const start = Math.floor(now - parseDuration(rangeText));
    const [names, about] = await Promise.all([metricNamesOf(`{${select}}`, { start, signal }), metadata({ signal })]);
    return { metrics: metricsFrom(names.slice(0, kNamesMax), about), total: names.length };
  });
  const groups = useMemo(() => (data ? groupMetrics(data.metrics) : []), [data]);
  const shown = useMemo(
    () =>
      groups
        .filter((group) => !only || group.name === only)
        .map((group) => ({ ...group, metrics: findMetrics(group.metrics, text) }))
        .filter((group) => group.metrics.length > 0),
    [groups, only, text],
  );

  let body;
  if (!data && error) body = <Failure error={error} />;
  else if (!data)
    body = (
      <div className="panel metrics-waiting">
        <Skeleton rows={8} height={32} />
      </div>
    );
  else if (data.total === 0)
    body = (
      <div className="panel">
        <Empty title="No metric of it in this time">
          {why
            ? "Above stands why, and what to do."
            : "A longer range may have some, or the next pass brings the first."}
        </Empty>
      </div>
    );
  else if (shown.length === 0)
    body = (
      <div className="panel">
        <Empty title={`No metric matches “${text}”`}>Try fewer words, or all groups.</Empty>
      </div>
    );
  else
    body = shown.map((group) => (
      <section key={group.name} className="panel metric-group" aria-label={`Metrics: ${group.name}`}>
        <header className="group-head">
          <h3>{group.name}</h3>
          <span className="quiet">{plural(group.metrics.length, "metric")}</span>
        </header>
        <ul className="metric-grid">
          {group.metrics.map((metric) => (
            <MetricPicture
              key={metric.name}
              metric={metric}
              prefix={group.prefix}
              select={select}
              range={range}
              rangeText={rangeText}
              interval_s={interval_s}
            />
          ))}
        </ul>
      </section>
    ));

  return (
    <>
      <div className="metrics-head">
        <h2>All of its metrics</h2>
        <p className="quiet head-note">
          {data &&
            (data.total > kNamesMax
              ? `the first ${kNamesMax} of ${data.total} names`
              : plural(data.metrics.length, "metric"))}
        </p>
        <input
          className="field"
          type="search"
          data-key="/"
          placeholder="Search metrics"
          aria-label="Search metrics"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </div>
      {groups.length > 1 && (
        <fieldset className="metric-groups">
          <legend className="visually-hidden">Group</legend>
          {[{ name: "", metrics: data.metrics }, ...groups].map((group) => (
            <button
              key={group.name}
              type="button"
              className="group-button"
              aria-pressed={only === group.name}
              onClick={() => setOnly(only === group.name ? "" : group.name)}
            >
              {group.name || "All"} <span className="count">{group.metrics.length}</span>
            </button>
          ))}
        </fieldset>
      )}
      {!data && <div className="metric-groups" />}
      <div className="stack" key={data ? "metrics" : "waiting"}>
        {body}
      </div>
    </>
  );
}

const kUnread = { title: "No sample in this time", hint: "Above stands why, and what to do." };

function Pictures({ kind, address, range, rangeText, interval_s, why }) {
  const { pictures } = kindOf(kind);
  const select = selectionOf(kind, address);
  if (pictures.length === 0) {
    return (
      <div className="panel">
        <Empty title="Quarterdeck recognises this kind, and does not measure it yet">
          If it gives a page of metrics, label its container <code>prometheus.io/scrape: "true"</code>, or scrape it by
          a Prometheus file.
        </Empty>
      </div>
    );
  }
  return (
    <div className="panels">
      {pictures.map((picture) => (
        <LivePanel
          key={picture.id}
          picture={why ? { ...picture, empty: kUnread } : picture}
          expr={picture.query({ select, step: range.step, interval: interval_s })}
          range={range}
          shape={(result, at) => {
            const { x, series } = alignMatrix(result, at);
            const shape = picture.shape(series);
            return shape && { ...shape, x };
          }}
          explore={picture.query({ select, step: 15, interval: 5 }).replaceAll("[60s]", "[1m]")}
          rangeText={rangeText}
          syncKey="service"
          height={kPictureHeight}
        />
      ))}
    </div>
  );
}

export function Service({ kind, address }) {
  const [rangeParam, setRange] = useParam("range", kDefaultRange);
  const [paused, setPaused] = useState(false);
  const rangeText = kRanges.includes(rangeParam) ? rangeParam : kDefaultRange;
  const { services, range, error, ready, now } = useServices(rangeText, { points: kPoints, paused });
  const service = services.find((one) => one.kind === kind && one.address === address);
  const interval_s = service ? intervalOf(service) : 5;
  const { level, word } = service ? serviceState(service) : { level: "none", word: "Gone" };
  const why = service && service.state !== "up" && service.why;

  let body;
  if (!ready) {
    // Whole at once, because nobody knows yet whether there is something to be said above the pictures.
    body = error ? (
      <Failure error={error} />
    ) : (
      <>
        <section className="panel service-about">
          <Facts />
        </section>
        <div className="panel service-waiting">
          <Skeleton rows={8} height={32} />
        </div>
      </>
    );
  } else {
    body = (
      <>
        <section className="panel service-about" aria-label="What is known of it">
          {service ? (
            <Facts service={service} now={now} />
          ) : (
            <Empty title="It is neither found nor declared any more">
              What was measured of it stays below, as long as the store keeps it.{" "}
              <A href="/services">See what is there</A>.
            </Empty>
          )}
          {why && <Why why={why} level={level} />}
        </section>
        <Pictures kind={kind} address={address} range={range} rangeText={rangeText} interval_s={interval_s} why={why} />
        <Metrics
          kind={kind}
          address={address}
          range={range}
          rangeText={rangeText}
          interval_s={interval_s}
          now={now}
          why={why}
        />
      </>
    );
  }
  return (
    <div className="page service-page">
      <header className="page-head">
        <div className="service-title">
          <p className="crumbs">
            <A href="/services">Services</A> / {kindOf(kind).name}
          </p>
          <div className="service-name" key={ready ? "name" : "waiting"}>
            <h1 title={service?.name}>
              {ready || error ? (service?.name ?? address) : <span className="skeleton title-skeleton" />}
            </h1>
            {ready && <State level={level}>{word}</State>}
          </div>
        </div>
        <LiveControls range={rangeText} setRange={setRange} paused={paused} setPaused={setPaused} />
      </header>
      {body}
    </div>
  );
}
