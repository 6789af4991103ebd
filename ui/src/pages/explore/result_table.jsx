import { useMemo, useState } from "react";
import { plural } from "../../lib/format.js";
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

export function ResultTable({ answer }) {
  const [sort, setSort] = useState({ by: "", descending: false });
  const table = useMemo(() => tableFrom(answer), [answer]);
  const rows = useMemo(() => (sort.by ? sortRows(table.rows, sort.by, sort.descending) : table.rows), [table, sort]);
  const wide = table.columns.length === 0;
  return (
    <>
      <div className="table-scroll">
        <table className="table result-table">
          <thead>
            <tr>
              {wide && <Head name="name" title="Series" sort={sort} setSort={setSort} />}
              {table.columns.map((name) => (
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
                  <td>
                    <code>{row.name}</code>
                  </td>
                )}
                {table.columns.map((name) => (
                  <td key={name}>{row.labels[name] ?? <span className="quiet">–</span>}</td>
                ))}
                <td className="num">
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
