// Every container of the engine: what it takes, how it is; what is wrong first.
import "../../styles/lists.css";
import "../../styles/containers.css";
import { useEffect, useMemo, useRef, useState } from "react";
import { containers } from "../../api/platform.js";
import { query } from "../../api/prometheus.js";
import { CodeBox, Why } from "../../components/code_box.jsx";
import { Empty, Failure } from "../../components/notice.jsx";
import { Segments } from "../../components/segments.jsx";
import { State } from "../../components/state.jsx";
import { serverNow } from "../../lib/clock.js";
import { plural } from "../../lib/format.js";
import { useFetch, usePoll } from "../../lib/hooks.js";
import { beatFor, countContainers } from "../../lib/inventory.js";
import { changeParams, useParam } from "../../lib/router.js";
import { recall, remember } from "../../lib/storage.js";
import {
  falls,
  figuresFrom,
  figuresQuery,
  filterRows,
  inOrder,
  kFigures,
  kNoProject,
  kSorts,
  projectsOf,
  rowsFrom,
  sortRows,
} from "./rows.js";
import { kRowsShown, Pager, SortChoice, Table, Waiting } from "./table.jsx";

const kRemembered = "containers";
// Of more containers, the figures of those that are shown are asked for, unless they are sorted by one.
const kFewEnough = 500;

// "cpu" falls and "-cpu" rises: the address says the way only where it is not the usual one.
function parseSort(text) {
  const turned = text.startsWith("-");
  const by = kSorts.find((one) => one === (turned ? text.slice(1) : text)) ?? "state";
  return { by, descending: falls(by) !== turned };
}

function Engine({ engine, listed }) {
  if (engine.state !== "away") return null;
  return (
    <section className="panel engine" aria-label="The container engine">
      <State level="bad">Away</State>
      <div>
        <p>
          <b>The container engine does not answer</b> at <code>{engine.socket}</code>.
          {listed > 0 && " What is listed is from before."}
        </p>
        {engine.why && <Why why={engine.why} />}
      </div>
    </section>
  );
}

const kExample = `observe:
  docker: {enabled: on, socket: /var/run/docker.sock}`;

function Nothing({ engine }) {
  if (engine.state === "off") {
    return (
      <div className="panel nothing">
        <h2>No container engine is watched</h2>
        <p>
          Neither Docker nor Podman has a socket where Quarterdeck looks, or <code>observe.docker.enabled</code> is off.
          Where the socket is says <code>observe.docker.socket</code> in <code>quarterdeck.yaml</code>:
        </p>
        <CodeBox code={kExample} label="Copy the example" />
      </div>
    );
  }
  return (
    <div className="panel">
      {engine.state === "away" ? (
        <Empty title="No container can be seen">The engine is asked again every few seconds.</Empty>
      ) : (
        <Empty title="No container is there">
          The engine at <code>{engine.socket}</code> has none, running or ended. The first shows up within a second of
          its start.
        </Empty>
      )}
    </div>
  );
}

function Controls({ ready, counts, projects, show, project, text, sort }) {
  const number = (count) => (ready ? count : "–");
  const set = (name, fallback) => (value) => changeParams({ [name]: value === fallback ? null : value, page: null });
  return (
    <div className="controls">
      <div className="scroll-x">
        <Segments
          label="State"
          options={[
            { value: "all", label: "All", count: number(counts.all) },
            { value: "wrong", label: "Wrong", count: number(counts.bad + counts.warn) },
            { value: "running", label: "Running", count: number(counts.running) },
            { value: "ended", label: "Not running", count: number(counts.all - counts.running) },
          ]}
          value={show}
          onChange={set("state", "all")}
        />
      </div>
      <select
        className="field project"
        aria-label="Project"
        value={project}
        onChange={(event) => set("project", "")(event.target.value)}
      >
        <option value="">All projects</option>
        {projects.map(({ name, count }) => (
          <option key={name} value={name}>
            {name === kNoProject ? "No project" : name} ({count})
          </option>
        ))}
      </select>
      <SortChoice sort={sort} />
      <input
        className="field"
        type="search"
        data-key="/"
        placeholder="Search containers"
        aria-label="Search containers"
        value={text}
        onChange={(event) => set("q", "")(event.target.value)}
      />
    </div>
  );
}

export function Containers() {
  const [show] = useParam("state", "all");
  const [project] = useParam("project");
  const [text] = useParam("q");
  const [sortText] = useParam("sort", "state");
  const [pageText] = useParam("page", "");
  const [open] = useParam("id");
  const sort = useMemo(() => parseSort(sortText), [sortText]);

  const length = useRef(0);
  const { data, error } = usePoll(
    "containers",
    async (signal) => {
      const answer = await containers({ signal });
      length.current = answer.containers.length;
      return { ...answer, at: serverNow() };
    },
    { interval_ms: () => beatFor(length.current) },
  );

  // With thousands, only the figures of the rows in sight; which rows that are follows from everything but figures.
  const [names, setNames] = useState(null);
  const many = (data?.containers.length ?? 0) > kFewEnough;
  const asked = many && !kFigures.has(sort.by) ? names : null;
  const waits = many && !kFigures.has(sort.by) && !names;
  const expr = data && !waits ? figuresQuery(asked) : null;
  const figures = useFetch(expr ? `${expr} ${data.at}` : null, async (signal) =>
    figuresFrom((await query(expr, { signal })).result),
  );

  const all = useMemo(() => (data ? rowsFrom(data.containers, figures.data, data.at) : []), [data, figures.data]);
  const counts = useMemo(() => countContainers(data?.containers ?? []), [data]);
  const projects = useMemo(() => projectsOf(data?.containers ?? []), [data]);

  // While a row is pointed at or has the focus, rows keep their order: none runs away from who wants to open it.
  const held = useRef({ on: false, key: "", ids: [] });
  const key = [show, project, text, sortText].join("\n");
  const rows = useMemo(() => {
    const found = filterRows(all, { show, text, project });
    const focused = document.activeElement?.closest(".containers-table tbody");
    const sorted =
      (held.current.on || focused) && held.current.key === key
        ? inOrder(found, held.current.ids)
        : sortRows(found, sort.by, sort.descending);
    held.current.key = key;
    held.current.ids = sorted.map((row) => row.id);
    return sorted;
  }, [all, show, text, project, sort, key]);

  const pages = Math.max(1, Math.ceil(rows.length / kRowsShown));
  const opened = rows.findIndex((row) => row.id === open);
  const wanted = pageText ? Number(pageText) : opened >= 0 ? Math.floor(opened / kRowsShown) + 1 : 1;
  const page = Math.min(pages, Math.max(1, Number.isInteger(wanted) ? wanted : 1));
  const shown = rows.slice((page - 1) * kRowsShown, page * kRowsShown);

  const shownNames = many
    ? JSON.stringify(
        shown
          .filter((row) => row.running)
          .map((row) => row.name)
          .sort(),
      )
    : "";
  useEffect(() => setNames(shownNames ? JSON.parse(shownNames) : null), [shownNames]);
  useEffect(() => {
    if (data) remember(kRemembered, data.containers.length);
  }, [data]);
  const [expected] = useState(() => recall(kRemembered, 8));

  const measured = figures.data !== undefined || figures.error !== null;
  let body;
  if (!data && error) body = <Failure error={error} />;
  else if (!data || (kFigures.has(sort.by) && !measured)) body = <Waiting rows={Math.min(expected, 30)} />;
  else if (counts.all === 0) body = <Nothing engine={data.engine} />;
  else if (rows.length === 0)
    body = (
      <div className="panel">
        <Empty title={show === "wrong" && !text && !project ? "Nothing is wrong" : "No container matches"}>
          {show === "wrong" && !text && !project
            ? `${plural(counts.running, "container")} run, none fails its health check or ended with an error.`
            : "Choose All and all projects, or search for less."}
        </Empty>
      </div>
    );
  else
    body = (
      <section
        className="panel containers"
        aria-label="Containers"
        onPointerEnter={() => {
          held.current.on = true;
        }}
        onPointerLeave={() => {
          held.current.on = false;
        }}
      >
        <Table
          rows={shown}
          sort={sort}
          open={open}
          now={data.at}
          measured={measured}
          onOpen={(id) => changeParams({ id: id === open ? null : id, page: page > 1 ? String(page) : null })}
        />
        {pages > 1 && <Pager page={page} pages={pages} total={rows.length} />}
      </section>
    );

  const wrong = counts.bad + counts.warn;
  return (
    <div className="page">
      <header className="page-head">
        <h1>Containers</h1>
        <p className="quiet head-note">
          {data && counts.all > 0 && `${counts.running} of ${counts.all} running${wrong > 0 ? `, ${wrong} wrong` : ""}`}
        </p>
        <Controls
          ready={data !== undefined}
          counts={counts}
          projects={projects}
          show={show}
          project={project}
          text={text}
          sort={sort}
        />
      </header>
      {data && <Engine engine={data.engine} listed={counts.all} />}
      {body}
    </div>
  );
}
