import { Bar } from "../../components/bar.jsx";
import { Empty, Skeleton } from "../../components/notice.jsx";
import { Panel } from "../../components/panel.jsx";
import { State } from "../../components/state.jsx";
import { formatCount, formatPercent, formatValue } from "../../lib/format.js";
import { limitsFrom } from "./facts.js";
import { roomLevel } from "./shapes.js";

export function Limits({ host, ready }) {
  const limits = host ? limitsFrom(host) : [];
  const counts = host
    ? [
        ["Running now", host.values.node_procs_running],
        ["Blocked on I/O", host.values.node_procs_blocked],
        ["TCP sockets in use", host.values.node_sockstat_TCP_inuse],
        ["TCP in time-wait", host.values.node_sockstat_TCP_tw],
      ].filter(([, value]) => value !== undefined)
    : [];
  return (
    <Panel title="How close the kernel's limits are" unit="used of limit">
      {!ready && <Skeleton rows={4} height={24} />}
      {ready && !host && <Empty title="No host is observed yet" />}
      {limits.map((limit) => {
        const percent = (100 * limit.used) / limit.limit;
        const { level, word } = roomLevel(percent);
        return (
          <div className="limit" key={limit.name}>
            <span className="limit-name">
              {limit.name}
              {level !== "good" && (
                <State level={level} plain>
                  {word}
                </State>
              )}
            </span>
            <span className="limit-value">
              {formatValue(limit.used, limit.unit)} of {formatValue(limit.limit, limit.unit)}
              <b>{formatPercent(percent)}</b>
            </span>
            <Bar percent={percent} level={level} label={`${limit.name} used`} />
          </div>
        );
      })}
      {counts.length > 0 && (
        <dl className="counts">
          {counts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{formatCount(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </Panel>
  );
}
