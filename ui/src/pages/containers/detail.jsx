// What the engine knows of one container, and the services that were recognised in it.
import { services } from "../../api/platform.js";
import { Search } from "../../components/icons.jsx";
import { A } from "../../components/link.jsx";
import { State } from "../../components/state.jsx";
import { exploreHref } from "../../lib/explore_href.js";
import { useFetch } from "../../lib/hooks.js";
import { serviceHref, serviceState } from "../../lib/inventory.js";
import { quote } from "../../lib/quote.js";
import { formatAgo, formatDateTime, parseStamp } from "../../lib/time.js";

const dash = <span className="quiet">–</span>;

export function portText({ containerPort, hostPort, hostIp, protocol }) {
  const inside = `${containerPort}/${protocol}`;
  if (!hostPort) return `${inside}, not published`;
  const host = hostIp.includes(":") ? `[${hostIp}]` : hostIp;
  return `${host ? `${host}:` : ""}${hostPort} to ${inside}`;
}

function when(text, now) {
  const time = parseStamp(text);
  return time === null ? dash : <span title={formatAgo(time, now)}>{formatDateTime(time)}</span>;
}

function Found({ id }) {
  const { data, error } = useFetch(`services ${id}`, async (signal) =>
    (await services({ signal })).services.filter((one) => one.containerId === id),
  );
  if (!data && error) return <span className="quiet">{error.message}</span>;
  if (!data) return <span className="skeleton cell-skeleton" />;
  if (data.length === 0) return <span className="quiet">none is recognised in it</span>;
  return (
    <ul className="detail-list">
      {data.map((one) => {
        const { level, word } = serviceState(one);
        return (
          <li key={one.kind + one.address} className="detail-service">
            <State level={level} plain>
              {word}
            </State>
            <A href={serviceHref(one)}>
              {one.kind} {one.address}
            </A>
          </li>
        );
      })}
    </ul>
  );
}

const List = ({ items }) =>
  items.length === 0 ? (
    dash
  ) : (
    <ul className="detail-list">
      {items.map((item) => (
        <li key={item}>
          <code>{item}</code>
        </li>
      ))}
    </ul>
  );

export function Detail({ row, now }) {
  const facts = [
    ["Services in it", <Found key="services" id={row.id} />],
    ["Image", <code key="image">{row.image}</code>],
    ["Ports", <List key="ports" items={row.ports.map(portText)} />],
    [
      "Addresses",
      <List key="addresses" items={row.addresses.map(({ network, address }) => `${address} in ${network}`)} />,
    ],
    ["Network mode", row.networkMode || dash],
    ["Made", when(row.created, now)],
    ["Started", when(row.started, now)],
    ["Exit code", row.running ? dash : row.exitCode],
    ["Killed for memory", row.oomKilled ? "yes, by the kernel" : "no"],
    ["Id", <code key="id">{row.id}</code>],
  ];
  const series = `{job="cadvisor",name=${quote(row.name)}}`;
  return (
    <div className="detail">
      <dl>
        {facts.map(([name, value]) => (
          <div key={name} className={name === "Id" ? "detail-wide" : undefined}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p className="detail-links">
        <A
          className="button button-small"
          href={exploreHref([
            { expr: `rate(container_cpu_usage_seconds_total${series}[1m])` },
            { expr: `container_memory_working_set_bytes${series}` },
          ])}
        >
          <Search size={14} />
          CPU and memory in Explore
        </A>
      </p>
    </div>
  );
}
