// The table itself: a page of rows, one of them opened.
import { Fragment, useEffect, useRef } from "react";
import { Bar } from "../../components/bar.jsx";
import { Right } from "../../components/icons.jsx";
import { State } from "../../components/state.jsx";
import { formatBytes, formatPercent, formatValue } from "../../lib/format.js";
import { changeParams } from "../../lib/router.js";
import { formatDateTime, formatSpan } from "../../lib/time.js";
import { Detail } from "./detail.jsx";
import { falls, kFigures, memoryLevel } from "./rows.js";

export const kRowsShown = 200;

const kColumns = [
  { by: "state", title: "State", className: "c-state" },
  { by: "name", title: "Container", className: "c-name" },
  { by: "cpu", title: "CPU", className: "num c-cpu", hint: "Of one core: 200 % are two cores" },
  { by: "memory", title: "Memory", className: "num c-memory", hint: "The working set: what counts against the limit" },
  { by: "part", title: "Of its limit", className: "c-part", hint: "Memory against the limit" },
  { by: "in", title: "Net in", className: "num c-in" },
  { by: "out", title: "Net out", className: "num c-out" },
  { by: "restarts", title: "Restarts", className: "num c-restarts" },
  { by: "age", title: "Age", className: "num c-age", hint: "Since it started, or was made where it does not run" },
];

// The address of a sort; the usual way of a column has the plain name.
function sortTo(by, descending) {
  const text = descending === falls(by) ? by : `-${by}`;
  changeParams({ sort: text === "state" ? null : text, page: null });
}

function Head({ column, sort }) {
  const { by, title, className, hint } = column;
  const on = sort.by === by;
  return (
    <th scope="col" className={className} aria-sort={on ? (sort.descending ? "descending" : "ascending") : "none"}>
      <button type="button" className="sort" title={hint} onClick={() => sortTo(by, on ? !sort.descending : falls(by))}>
        {title}
        <span aria-hidden="true" className="sort-way">
          {on ? (sort.descending ? "↓" : "↑") : ""}
        </span>
      </button>
    </th>
  );
}

// Where the head of the table has no room.
export function SortChoice({ sort }) {
  return (
    <select
      className="field sort-choice"
      aria-label="Sort by"
      value={sort.by}
      onChange={(event) => sortTo(event.target.value, falls(event.target.value))}
    >
      {kColumns.map(({ by, title }) => (
        <option key={by} value={by}>
          By {title.toLowerCase()}
        </option>
      ))}
    </select>
  );
}

const kNone = <span className="quiet">–</span>;

function Figure({ value, unit, measured }) {
  if (value !== null) return formatValue(value, unit);
  return measured ? kNone : <span className="skeleton cell-skeleton" />;
}

function Part({ row }) {
  if (row.part === null) return row.memory === null ? null : <span className="quiet">no limit</span>;
  const level = memoryLevel(row.part);
  return (
    <>
      <Bar percent={row.part} level={level} label={`Memory of ${row.name}`} />
      <span className={`part-text part-${level}`}>
        {formatPercent(row.part)} <span className="part-limit">of {formatBytes(row.limit)}</span>
      </span>
    </>
  );
}

function Row({ row, open, measured, now, onOpen }) {
  const line = useRef(null);
  const measuredHere = measured || !row.running;
  // An address that names a container shows it, wherever in the list it is.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the page is opened.
  useEffect(() => {
    if (open) line.current?.scrollIntoView?.({ block: "center" });
  }, []);
  // Compose begins a container's name with its project's: of all that could be cut that is missed the least.
  const named = row.project && /^[-_.]/.test(row.name.slice(row.project.length)) && row.name.startsWith(row.project);
  const start = named ? row.name.slice(0, row.project.length + 1) : "";
  const place = named ? "" : [row.project, row.service].filter(Boolean).join(" / ");
  const below = [place, row.image].filter(Boolean).join(" · ");
  return (
    <Fragment>
      <tr className={open ? "container-row container-open" : "container-row"} ref={line}>
        <td className="c-state">
          <State level={row.level} plain>
            {row.word}
          </State>
        </td>
        <th scope="row" className="c-name">
          <button type="button" className="row-button" aria-expanded={open} onClick={() => onOpen(row.id)}>
            <Right size={12} className="chevron" />
            <span>
              <span className="container-title" title={row.name}>
                {start && <span className="container-start">{start}</span>}
                <b>{row.name.slice(start.length)}</b>
              </span>
              <span className="container-place" title={below}>
                {below}
              </span>
            </span>
          </button>
        </th>
        <td className="num c-cpu">
          <Figure value={row.cpu === null ? null : 100 * row.cpu} unit="percent" measured={measuredHere} />
        </td>
        <td className="num c-memory">
          <Figure value={row.memory} unit="bytes" measured={measuredHere} />
        </td>
        <td className="c-part">
          <Part row={row} />
        </td>
        <td className="num c-in">
          <Figure value={row.in} unit="bytes_per_s" measured={measuredHere} />
        </td>
        <td className="num c-out">
          <Figure value={row.out} unit="bytes_per_s" measured={measuredHere} />
        </td>
        <td className={row.restarts > 0 ? "num c-restarts" : "num c-restarts quiet"}>{row.restarts}</td>
        <td className="num c-age" title={row.born_s === null ? undefined : formatDateTime(row.born_s)}>
          {row.age_s === null ? kNone : formatSpan(row.age_s)}
        </td>
      </tr>
      {open && (
        <tr className="container-detail">
          <td colSpan={kColumns.length}>
            <Detail row={row} now={now} />
          </td>
        </tr>
      )}
    </Fragment>
  );
}

// What is sorted by a figure changes places with every beat: there a place keeps its row, and other values come to stand in
// it, because rows that wander cannot be read.
export function Table({ rows, sort, open, measured, now, onOpen }) {
  const fixed = kFigures.has(sort.by);

  return (
    <table className="table containers-table">
      <thead>
        <tr>
          {kColumns.map((column) => (
            <Head key={column.by} column={column} sort={sort} />
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, i) => (
          <Row
            key={fixed ? i : row.id}
            row={row}
            open={row.id === open}
            measured={measured}
            now={now}
            onOpen={onOpen}
          />
        ))}
      </tbody>
    </table>
  );
}

export function Pager({ page, pages, total }) {
  const go = (to) => {
    changeParams({ page: to === 1 ? null : String(to), id: null });
    document.documentElement.scrollTop = 0;
  };
  const first = (page - 1) * kRowsShown + 1;
  return (
    <nav className="pager" aria-label="Pages of the table">
      <span className="quiet">
        {first} to {Math.min(total, page * kRowsShown)} of {total}
      </span>
      <button type="button" className="button" disabled={page === 1} onClick={() => go(page - 1)}>
        Previous
      </button>
      <button type="button" className="button" disabled={page === pages} onClick={() => go(page + 1)}>
        Next
      </button>
    </nav>
  );
}

// Grey rows of the same height as those that come.
export function Waiting({ rows }) {
  return (
    <section className="panel containers" aria-hidden="true">
      <div className="containers-waiting" style={{ "--rows": rows }}>
        {Array.from({ length: rows }, (_, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows are alike.
          <div key={i} className="container-waiting">
            <span className="skeleton" style={{ width: `${[72, 58, 80][i % 3]}%` }} />
          </div>
        ))}
      </div>
    </section>
  );
}
