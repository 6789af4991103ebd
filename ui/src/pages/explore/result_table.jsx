import { Fragment, useMemo, useState } from "react";
import { plural } from "../../lib/format.js";
import { commonLabels, labelPairs } from "../../lib/labels.js";
import { useMedia } from "../../lib/media.js";
import { kRowsShown, sortRows, tableFrom } from "./results.js";

function Head({ name, title, sort, setSort, className }) {
  const on = sort.by === name;
  return (
    <th scope="col" className={className} aria-sort={on ? (sort.descending ? "descending" : "ascending") : "none"}>
      <button type="button" className="sort" onClick={() => setSort({ by: name, descending: on && !sort.descending })}>
        {title}
        <span aria-hidden="true">{on ? (sort.descending ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
}

// A series' whole name, which breaks between its labels.
function SeriesName({ row, without }) {
  const pairs = labelPairs(row.labels, without);
  const name = row.labels.__name__ ?? (pairs.length > 0 ? "" : row.name);
  return (
    <code>
      {name}
      {pairs.length > 0 && "{"}
      {pairs.map((pair, i) => (
        <Fragment key={pair}>
          <span className="pair">{pair + (i < pairs.length - 1 ? "," : "}")}</span>{" "}
        </Fragment>
      ))}
    </code>
  );
}

export function ResultTable({ answer }) {
  const [sort, setSort] = useState({ by: "", descending: false });
  const table = useMemo(() => tableFrom(answer), [answer]);
  const rows = useMemo(() => (sort.by ? sortRows(table.rows, sort.by, sort.descending) : table.rows), [table, sort]);
  // A column a label where the labels are few and the window is not narrow.
  const narrow = useMedia("(max-width: 640px)");
  const columns = narrow ? [] : table.columns;
  const wide = columns.length === 0;
  const common = useMemo(() => {
    const shared = narrow ? commonLabels(table.rows.map((row) => row.labels)) : {};
    return labelPairs(shared).length > 0 ? shared : null;
  }, [table, narrow]);
  const without = Object.keys(common ?? {});
  return (
    <>
      {common && <p className="result-common">In all: {labelPairs(common).join(", ")}</p>}
      <div className="table-scroll">
        <table className="table result-table">
          <thead>
            <tr>
              {wide && <Head name="name" title="Series" sort={sort} setSort={setSort} />}
              {columns.map((name) => (
                <Head
                  key={name}
                  name={name}
                  title={name === "__name__" ? "metric" : name}
                  sort={sort}
                  setSort={setSort}
                />
              ))}
              <Head name="value" title="Value" sort={sort} setSort={setSort} className="num" />
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, kRowsShown).map((row) => (
              <tr key={row.key}>
                {wide && (
                  <td className="result-name">
                    <SeriesName row={row} without={without} />
                  </td>
                )}
                {columns.map((name) => (
                  <td key={name}>{row.labels[name] ?? <span className="quiet">–</span>}</td>
                ))}
                <td className={Number.isNaN(Number(row.text)) ? "num result-text" : "num"}>
                  <b>{row.text}</b>
                  {row.note && <span className="quiet"> {row.note}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="result-count">
        {table.total > kRowsShown
          ? `The first ${kRowsShown} of ${table.total} rows; aggregate with sum by (…) or pick with topk(…).`
          : plural(table.total, "row")}
      </p>
    </>
  );
}
