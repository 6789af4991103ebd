// What is wrong, first and in a strip of fixed height: whatever it says, nothing below it moves.
import { A } from "../../components/link.jsx";
import { alertLevel, State } from "../../components/state.jsx";
import { serverNow } from "../../lib/clock.js";
import { plural } from "../../lib/format.js";
import { alertText } from "../../lib/rules.js";
import { useRules } from "../../lib/rules_context.jsx";
import { formatSpan, parseStamp } from "../../lib/time.js";

const kShown = 3;

function Alert({ alert }) {
  const since = parseStamp(alert.activeAt);
  return (
    <A className="firing-alert" href={`/alerts?state=${alert.state}&q=${encodeURIComponent(alert.name)}`}>
      <State level={alertLevel(alert.state, alert.labels)} plain>
        {alert.labels?.severity || "firing"}
      </State>{" "}
      <b>{alert.name}</b> {since !== null && <span className="firing-since">{formatSpan(serverNow() - since)}</span>}{" "}
      <span className="firing-text">{alertText(alert)}</span>
    </A>
  );
}

export function Firing() {
  const { alerts, counts, error, ready } = useRules();
  const firing = alerts.filter((alert) => alert.state === "firing");
  const pending = alerts.length - firing.length;
  const failing = counts.failing > 0 && (
    <A className="firing-more" href="/alerts?state=failing">
      <State level="warn" plain>
        {plural(counts.failing, "rule")} cannot be evaluated
      </State>
    </A>
  );

  let level = "none";
  let content = <div className="skeleton firing-skeleton" />;
  if (firing.length > 0) {
    level = alertLevel("firing", firing[0].labels);
    content = (
      <>
        <State level={level}>{firing.length} firing</State>
        <div className="firing-alerts">
          {firing.slice(0, kShown).map((alert) => (
            <Alert key={`${alert.group} ${alert.name} ${JSON.stringify(alert.labels)}`} alert={alert} />
          ))}
        </div>
        <A className="firing-more" href="/alerts?state=firing">
          {firing.length > 1 ? `All ${firing.length}` : "Details"}
        </A>
      </>
    );
  } else if (ready && counts.alerting === 0) {
    content = (
      <>
        <State level="none">Nothing is judged</State>
        <span className="firing-quiet">No alerting rule is loaded, so nothing here can fire.</span>
        {failing || (
          <A className="firing-more" href="/alerts">
            What to do
          </A>
        )}
      </>
    );
  } else if (ready) {
    level = pending > 0 ? alertLevel("pending", alerts[0].labels) : "good";
    content = (
      <>
        <State level={level}>{pending > 0 ? `${pending} pending` : "Nothing fires"}</State>
        <span className="firing-quiet">
          {plural(counts.alerting, "rule watches", "rules watch")} this platform
          {pending > 0 &&
            `; ${pending === 1 ? "one condition holds" : "some conditions hold"}, but not yet for long enough`}
          .
        </span>
        {failing}
      </>
    );
  } else if (error) {
    content = (
      <>
        <State level="none">Not known</State>
        <span className="firing-quiet">{error.message}</span>
      </>
    );
  }
  return (
    <section className={`firing firing-${level}`} aria-label="What fires">
      {content}
    </section>
  );
}
