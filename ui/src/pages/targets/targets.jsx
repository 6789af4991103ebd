// What is scraped and how that goes: by pool, what is down first.
import "../../styles/lists.css";
import { targets } from "../../api/prometheus.js";
import { Empty, Failure, Skeleton } from "../../components/notice.jsx";
import { Segments } from "../../components/segments.jsx";
import { healthLevel, healthWord, State } from "../../components/state.jsx";
import { serverNow } from "../../lib/clock.js";
import { plural } from "../../lib/format.js";
import { usePoll } from "../../lib/hooks.js";
import { useParam } from "../../lib/router.js";
import { formatAgo, formatDateTime, formatSpan, parseStamp } from "../../lib/time.js";
import { countTargets, poolsFrom } from "./pools.js";

function Row({ target }) {
  const scraped = parseStamp(target.lastScrape);
  const labels = Object.entries(target.labels ?? {});
  return (
    <tr>
      <td className="target-state">
        <State level={healthLevel(target.health)}>{healthWord(target.health)}</State>
      </td>
      <td className="target-url">
        <code>{target.scrapeUrl}</code>
        {target.lastError && <p className="fault">{target.lastError}</p>}
        <span className="chips target-labels">
          {labels.map(([name, value]) => (
            <span key={name} className="chip">
              {name} <b>{value}</b>
            </span>
          ))}
        </span>
      </td>
      <td className="num" title={scraped === null ? undefined : formatDateTime(scraped)}>
        {scraped === null ? "not yet" : formatAgo(scraped, serverNow())}
      </td>
      <td className="num">{scraped === null ? "–" : formatSpan(target.lastScrapeDuration)}</td>
      <td className="num target-interval">{target.scrapeInterval || "–"}</td>
    </tr>
  );
}

function Pool({ pool }) {
  const whole = pool.up === pool.all.length;
  return (
    <section className="panel group" aria-label={`Pool ${pool.name}`}>
      <header className="group-head">
        <h2>{pool.name}</h2>
        <span className={whole ? "quiet" : "fault-word"}>
          {pool.up} of {pool.all.length} up
        </span>
      </header>
      <table className="table targets-table">
        <thead>
          <tr>
            <th scope="col" className="target-state">
              State
            </th>
            <th scope="col">Endpoint and labels</th>
            <th scope="col" className="num">
              Last scrape
            </th>
            <th scope="col" className="num">
              Took
            </th>
            <th scope="col" className="num target-interval">
              Every
            </th>
          </tr>
        </thead>
        <tbody>
          {pool.targets.map((target) => (
            <Row key={target.scrapeUrl + JSON.stringify(target.labels)} target={target} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function Targets() {
  const { data, error } = usePoll("targets", (signal) => targets({ signal }));
  const [show, setShow] = useParam("state", "all");
  const [text, setText] = useParam("q");
  const active = data?.activeTargets ?? [];
  const counts = countTargets(active);
  const dropped = Object.values(data?.droppedTargetCounts ?? {}).reduce((sum, count) => sum + count, 0);
  const pools = poolsFrom(active, show, text);
  const number = (count) => (data ? count : "–");

  let body;
  if (!data && error) body = <Failure error={error} />;
  else if (!data) {
    body = (
      <div className="panel">
        <Skeleton rows={6} height={24} />
      </div>
    );
  } else if (active.length === 0) {
    body = (
      <Empty title="Nothing is scraped">
        This machine is watched by Quarterdeck itself, without scraping. To scrape others, list them under
        <code>scrape_configs</code> in a Prometheus file and start with <code>--prometheus prometheus.yml</code>.
      </Empty>
    );
  } else if (pools.length === 0) {
    body = (
      <Empty title={show === "down" && !text ? "Every target is up" : "No target matches"}>
        {show === "down" && !text ? `All ${counts.all} answer their scrapes.` : "Choose All, or search for less."}
      </Empty>
    );
  } else body = pools.map((pool) => <Pool key={pool.name} pool={pool} />);

  return (
    <div className="page">
      <header className="page-head">
        <h1>Targets</h1>
        <p className="quiet">
          {data
            ? `${counts.up} of ${plural(counts.all, "target")} up${dropped > 0 ? `, ${dropped} dropped by relabelling` : ""}`
            : ""}
        </p>
        <div className="controls">
          <Segments
            label="State"
            options={[
              { value: "all", label: "All", count: number(counts.all) },
              { value: "down", label: "Not up", count: number(counts.down + counts.unknown) },
              { value: "up", label: "Up", count: number(counts.up) },
            ]}
            value={show}
            onChange={setShow}
          />
          <input
            className="field"
            type="search"
            data-key="/"
            placeholder="Search targets"
            aria-label="Search targets"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
      </header>
      <div className="stack">{body}</div>
    </div>
  );
}
