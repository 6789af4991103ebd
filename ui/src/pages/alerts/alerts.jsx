// Every rule by group, with its state: what fires first, what is quiet small.
import "../../styles/lists.css";
import { useState } from "react";
import { Right, Search } from "../../components/icons.jsx";
import { A } from "../../components/link.jsx";
import { Empty, Failure, Skeleton } from "../../components/notice.jsx";
import { Segments } from "../../components/segments.jsx";
import { alertLevel, alertWord, State } from "../../components/state.jsx";
import { serverNow } from "../../lib/clock.js";
import { exploreHref } from "../../lib/explore_href.js";
import { formatValue, parseSample, plural } from "../../lib/format.js";
import { labelPairs } from "../../lib/labels.js";
import { useParam } from "../../lib/router.js";
import { compareAlerts } from "../../lib/rules.js";
import { useRules } from "../../lib/rules_context.jsx";
import { formatAgo, formatDateTime, formatSpan, parseStamp } from "../../lib/time.js";
import { filterGroups, groupPace, worstLabels } from "./groups.js";

function Labels({ labels, without = [] }) {
  const pairs = Object.entries(labels ?? {}).filter(([name]) => !without.includes(name));
  if (pairs.length === 0) return <span className="quiet">none</span>;
  return (
    <span className="chips">
      {pairs.map(([name, value]) => (
        <span key={name} className="chip" title={`${name}="${value}"`}>
          {name} <b>{value}</b>
        </span>
      ))}
    </span>
  );
}

function Annotations({ annotations }) {
  const entries = Object.entries(annotations ?? {});
  if (entries.length === 0) return null;
  return (
    <dl className="annotations">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {/^https?:\/\//.test(value) ? (
              <a href={value} rel="noreferrer noopener" target="_blank">
                {value}
              </a>
            ) : (
              value
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function ActiveAlert({ alert }) {
  const since = parseStamp(alert.activeAt);
  const gone = alert.keepFiringSince ? parseStamp(alert.keepFiringSince) : null;
  return (
    <li className="active-alert">
      <div className="active-line">
        <State level={alertLevel(alert.state, alert.labels)}>{alertWord(alert.state)}</State>
        <Labels labels={alert.labels} without={["alertname"]} />
        <span className="active-side">
          <span>
            value <b>{formatValue(parseSample(alert.value), "count")}</b>
          </span>
          {gone !== null && (
            <span className="quiet" title={formatDateTime(gone)}>
              kept firing for {formatSpan(serverNow() - gone)}
            </span>
          )}
          {since !== null && (
            <time dateTime={alert.activeAt} title={formatDateTime(since)}>
              for {formatSpan(serverNow() - since)}
            </time>
          )}
        </span>
      </div>
      <Annotations annotations={alert.annotations} />
    </li>
  );
}

function ruleState(rule, labels) {
  if (rule.health === "err") return { level: "bad", word: "Failing" };
  if (rule.type === "recording") return { level: rule.health === "ok" ? "good" : "none", word: "Recording" };
  return { level: alertLevel(rule.state, labels), word: alertWord(rule.state) };
}

function Rule({ rule, opened }) {
  const labels = worstLabels(rule);
  const { level, word } = ruleState(rule, labels);
  const alerts = [...(rule.alerts ?? [])].sort(compareAlerts);
  const [open, setOpen] = useState(opened);
  const evaluated = parseStamp(rule.lastEvaluation);
  return (
    <li className={alerts.length > 0 ? "rule rule-active" : "rule"}>
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <Right size={12} className="chevron" />
          <State level={level} plain>
            {word}
          </State>
          <span className="rule-name">{rule.name}</span>
          {labels?.severity && <span className="chip">{labels.severity}</span>}
          <code className="rule-query">{rule.query}</code>
          <span className="rule-side">{alerts.length > 0 ? plural(alerts.length, "alert") : ""}</span>
        </summary>
        <div className="rule-body">
          {rule.lastError && <p className="fault">{rule.lastError}</p>}
          <div className="rule-expr">
            <code>{rule.query}</code>
            <A href={exploreHref([{ expr: rule.query }])} className="button">
              <Search size={14} />
              Explore
            </A>
          </div>
          <dl className="rule-facts">
            {rule.type === "alerting" && (
              <div>
                <dt>Fires after</dt>
                <dd>{rule.duration > 0 ? formatSpan(rule.duration) : "the first evaluation"}</dd>
              </div>
            )}
            {rule.keepFiringFor > 0 && (
              <div>
                <dt>Keeps firing for</dt>
                <dd>{formatSpan(rule.keepFiringFor)}</dd>
              </div>
            )}
            <div>
              <dt>Evaluated</dt>
              <dd>
                {evaluated === null
                  ? "not yet"
                  : `${formatAgo(evaluated, serverNow())}, in ${formatSpan(rule.evaluationTime)}`}
              </dd>
            </div>
            <div>
              <dt>Labels</dt>
              <dd>
                <Labels labels={rule.labels} />
              </dd>
            </div>
          </dl>
          {alerts.length === 0 && <Annotations annotations={rule.annotations} />}
          {alerts.length > 0 && (
            <ul className="active-alerts">
              {alerts.map((alert) => (
                <ActiveAlert key={labelPairs(alert.labels).join()} alert={alert} />
              ))}
            </ul>
          )}
        </div>
      </details>
    </li>
  );
}

function Group({ group, openAll }) {
  return (
    <section className="panel group" aria-label={`Group ${group.name}`}>
      <header className="group-head">
        <h2>{group.name}</h2>
        {group.file && <span className="quiet group-file">{group.file}</span>}
        <span className="quiet group-side">{groupPace(group, formatSpan)}</span>
      </header>
      <ul>
        {group.rules.map((rule, index) => (
          <Rule
            // biome-ignore lint/suspicious/noArrayIndexKey: a group may hold two rules of one name and query.
            key={`${rule.name} ${rule.query} ${index}`}
            rule={rule}
            opened={openAll || rule.state === "firing" || rule.health === "err"}
          />
        ))}
      </ul>
    </section>
  );
}

export function Alerts() {
  const { groups, counts, firing, pending, error, ready } = useRules();
  const [show, setShow] = useParam("state", "all");
  const [text, setText] = useParam("q");
  const found = filterGroups(groups, show, text);
  const all = counts.alerting + counts.recording;
  const options = [
    { value: "all", label: "All", count: ready ? all : "–" },
    { value: "firing", label: "Firing", count: ready ? counts.firing : "–" },
    { value: "pending", label: "Pending", count: ready ? counts.pending : "–" },
    { value: "inactive", label: "Quiet", count: ready ? counts.inactive : "–" },
    { value: "recording", label: "Recording", count: ready ? counts.recording : "–" },
    { value: "failing", label: "Failing", count: ready ? counts.failing : "–" },
  ];

  let body;
  if (!ready && error) body = <Failure error={error} />;
  else if (!ready) {
    body = (
      <div className="panel">
        <Skeleton rows={6} height={24} />
      </div>
    );
  } else if (all === 0) {
    body = (
      <Empty title="No rule is loaded">
        The rules for hosts that come with Quarterdeck are off: set <code>judge.rules.defaults</code> to true. Rules of
        your own are named in <code>judge.rules.files</code>, or under <code>rule_files</code> in the file that you give
        with <code>--prometheus</code>.
      </Empty>
    );
  } else if (found.length === 0) {
    body = (
      <Empty title={show === "firing" && !text ? "Nothing fires" : "No rule matches"}>
        {show === "firing" && !text
          ? `${plural(counts.alerting, "alerting rule")} were looked at, none has its condition met for long enough.`
          : "Choose All, or search for less."}
      </Empty>
    );
  } else
    body = found.map((group) => (
      <Group key={`${group.file} ${group.name} ${show}`} group={group} openAll={text !== ""} />
    ));

  return (
    <div className="page">
      <header className="page-head">
        <h1>Alerts</h1>
        <p className="quiet head-note">
          {ready &&
            (firing + pending > 0 ? `${plural(firing, "alert")} firing, ${pending} pending` : "No alert is active")}
        </p>
        <div className="controls">
          <div className="scroll-x">
            <Segments label="Rules" labelShown options={options} value={show} onChange={setShow} />
          </div>
          <input
            className="field"
            type="search"
            data-key="/"
            placeholder="Search rules"
            aria-label="Search rules"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
      </header>
      <div className="stack">{body}</div>
    </div>
  );
}
