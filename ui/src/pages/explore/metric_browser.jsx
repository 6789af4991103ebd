// All metrics by name and meaning; choosing one puts it into the query.
import { useMemo, useState } from "react";
import { metadata, metricNames } from "../../api/prometheus.js";
import { Dialog } from "../../components/dialog.jsx";
import { Empty, Failure, Skeleton } from "../../components/notice.jsx";
import { plural } from "../../lib/format.js";
import { useFetch } from "../../lib/hooks.js";

const kShown = 200;

export function findMetrics(names, about, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return names.filter((name) => {
    const all = `${name} ${about[name]?.[0]?.help ?? ""}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

export function MetricBrowser({ onChoose, onClose }) {
  const [text, setText] = useState("");
  const { data, error } = useFetch("metrics", async (signal) => {
    const [names, about] = await Promise.all([metricNames({ signal }), metadata({ signal })]);
    return { names, about };
  });
  const found = useMemo(() => (data ? findMetrics(data.names, data.about, text) : []), [data, text]);
  return (
    <Dialog title="Metrics" onClose={onClose} wide>
      <input
        className="field browser-search"
        type="search"
        placeholder="Search names and descriptions"
        aria-label="Search metrics"
        data-first
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <div className="browser-list">
        {error && <Failure error={error} />}
        {!data && !error && <Skeleton rows={8} height={32} />}
        {data && found.length === 0 && (
          <Empty title={data.names.length === 0 ? "No metric is stored yet" : `No metric matches “${text}”`}>
            {data.names.length === 0 ? "The first samples come within a second of the start." : "Try fewer words."}
          </Empty>
        )}
        {found.slice(0, kShown).map((name) => {
          const about = data.about[name]?.[0];
          return (
            <button key={name} type="button" className="browser-item" onClick={() => onChoose(name)}>
              <code>{name}</code>
              <span className="quiet">
                {about?.type && about.type !== "unknown" && <span className="chip">{about.type}</span>} {about?.help}
              </span>
            </button>
          );
        })}
      </div>
      {data && (
        <p className="quiet">
          {found.length > kShown ? `The first ${kShown} of ${found.length} metrics.` : plural(found.length, "metric")}
        </p>
      )}
    </Dialog>
  );
}
