// Where the series come from: which metric, target or label to look at when there are too many.
import "../../styles/lists.css";
import { cardinality } from "../../api/platform.js";
import { Bar } from "../../components/bar.jsx";
import { A } from "../../components/link.jsx";
import { Empty, Failure } from "../../components/notice.jsx";
import { Panel } from "../../components/panel.jsx";
import { State } from "../../components/state.jsx";
import { exploreHref } from "../../lib/explore_href.js";
import { formatBytes, formatCount } from "../../lib/format.js";
import { usePoll } from "../../lib/hooks.js";
import { useParam } from "../../lib/router.js";
import { fullness, jobRows, labelRows, metricRows, pairRows, targetRows } from "./shares.js";

const kRows = ["10", "50", "200"];
const kInterval_ms = 15_000;
const kWaiting = <span className="skeleton pair-skeleton" style={{ width: "60%" }} />;

const series = ["Series", (row) => formatCount(row.series)];
const share = ["Of all", (row) => row.share];

// columns: [[head, of(row)]] behind the name, numbers all. As many rows as usual have their room before they come.
function Table({ title, unit, state, rows, head, columns, name }) {
  const shown = state.data ? rows(state.data) : Array.from({ length: 10 }, (_, i) => ({ key: i }));
  return (
    <Panel title={title} unit={unit}>
      {!state.data && state.error ? (
        <Failure error={state.error} />
      ) : shown.length === 0 ? (
        <Empty title="There are no series yet">They come with the first scrape, or with the first remote write.</Empty>
      ) : (
        <div className="table-scroll">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">{head}</th>
                {columns.map(([column]) => (
                  <th key={column} scope="col" className="num">
                    {column}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <tr key={row.key}>
                  <td className="cell-name">{state.data ? name(row) : kWaiting}</td>
                  {columns.map(([column, of]) => (
                    <td key={column} className="num">
                      {state.data ? of(row) : ""}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

const linked = (row) => (
  <A href={exploreHref([{ expr: row.expr, tab: "table" }])}>
    <code>{row.name}</code>
  </A>
);

function Whole({ state }) {
  if (!state.data && state.error) {
    return (
      <Panel title="How many series there are">
        <Failure error={state.error} />
      </Panel>
    );
  }
  const full = state.data && fullness(state.data);
  const facts = [
    ["Series", (data) => formatCount(data.series)],
    ["Label pairs", (data) => formatCount(data.labelPairs)],
    ["Label names", (data) => formatCount(data.labelNames)],
    ["Jobs", (data) => formatCount(data.jobs)],
    ["Targets", (data) => formatCount(data.targets)],
  ];
  return (
    <Panel title="How many series there are" unit="in memory">
      <dl className="pairs">
        <div>
          <dt>Limit</dt>
          <dd>
            {full ? (
              <>
                <State level={full.level}>{full.word}</State>
                <Bar percent={full.percent} level={full.level} label="Series, of as many as are allowed" />
                {full.level !== "good" && (
                  <p className="quiet">
                    At the limit new series are refused: drop labels that take many values, or raise{" "}
                    <code>store.metrics.series_limit</code>.
                  </p>
                )}
              </>
            ) : (
              kWaiting
            )}
          </dd>
        </div>
        {facts.map(([name, of]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{state.data ? of(state.data) : kWaiting}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

export function Cardinality() {
  const [limit, setLimit] = useParam("rows", kRows[0]);
  const state = usePoll(`cardinality ${limit}`, (signal) => cardinality({ limit }, { signal }), {
    interval_ms: kInterval_ms,
  });
  const table = (title, head, rows, columns, name = linked, unit = undefined) => (
    <Table title={title} head={head} rows={rows} columns={columns} name={name} unit={unit} state={state} />
  );
  return (
    <div className="page">
      <header className="page-head">
        <h1>Cardinality</h1>
        <p className="quiet">
          Where the series come from; back to <A href="/status">Status</A>
        </p>
        <label className="rows-choice">
          Rows{" "}
          <select className="field" value={limit} onChange={(event) => setLimit(event.target.value)}>
            {kRows.map((rows) => (
              <option key={rows}>{rows}</option>
            ))}
          </select>
        </label>
      </header>
      <div className="parts">
        <div className="parts-side">
          <Whole state={state} />
          {table("Which jobs bring the most series", "Job", jobRows, [series, share])}
          {table(
            "Which labels take the most values",
            "Label",
            labelRows,
            [
              ["Values", (row) => formatCount(row.values)],
              ["Bytes", (row) => (row.bytes === null ? "–" : formatBytes(row.bytes))],
            ],
            linked,
            "bytes of all values, by series",
          )}
        </div>
        <div className="parts-side">
          {table("Which metrics have the most series", "Metric", metricRows, [series, share])}
          {table("Which targets bring the most series", "Target", targetRows, [series, share], (row) => (
            <>
              {linked(row)} <span className="quiet">{row.job}</span>
            </>
          ))}
          {table("Which values of labels are on the most series", "Label and value", pairRows, [series, share])}
        </div>
      </div>
    </div>
  );
}
