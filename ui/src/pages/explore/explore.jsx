// Any query over any span, as an address that can be sent to a colleague.
import "../../styles/explore.css";
import { useEffect, useMemo, useState } from "react";
import { Pause, Play } from "../../components/icons.jsx";
import { serverNow } from "../../lib/clock.js";
import { exploreHref, formatEnd } from "../../lib/explore_href.js";
import { useVisible } from "../../lib/hooks.js";
import { navigate, useLocation } from "../../lib/router.js";
import { recall, remember } from "../../lib/storage.js";
import { formatDuration } from "../../lib/time.js";
import { kQueriesMax, parseAddress } from "./address.js";
import { Link } from "./icons.jsx";
import { QueryBlock } from "./query_block.jsx";
import { RangePicker } from "./range_picker.jsx";

const kRecentMax = 12;
const kLiveBeat_ms = 5000;

function Recent({ onPick }) {
  const recent = recall("recent", []);
  return (
    <select
      className="field recent"
      aria-label="Recent queries"
      disabled={recent.length === 0}
      value=""
      onChange={(event) => event.target.value && onPick(event.target.value)}
    >
      <option value="">Recent queries</option>
      {recent.map((expr) => (
        <option key={expr} value={expr}>
          {expr.length > 80 ? `${expr.slice(0, 80)}…` : expr}
        </option>
      ))}
    </select>
  );
}

function keepRecent(expr) {
  const text = expr.trim();
  if (!text) return;
  const others = recall("recent", []).filter((one) => one !== text);
  remember("recent", [text, ...others].slice(0, kRecentMax));
}

// Copies the address with the span fixed, so that it shows the same picture tomorrow.
function CopyLink({ state }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    const href = exploreHref(state.queries, { ...state, end: state.end ?? serverNow() });
    try {
      await navigator.clipboard.writeText(location.origin + href);
      setCopied(true);
    } catch {
      navigate(href);
    }
  };
  return (
    <button type="button" className="button" title="Copy a link to exactly this span" onClick={copy}>
      <Link size={14} />
      <span className="copy-text" aria-live="polite">
        {copied ? "Copied" : "Copy link"}
      </span>
    </button>
  );
}

export function Explore() {
  const { search } = useLocation();
  const state = useMemo(() => parseAddress(search), [search]);
  const [drafts, setDrafts] = useState(() => state.queries.map((one) => one.expr));
  const [runs, setRuns] = useState(0);
  const [live, setLive] = useState(false);
  const visible = useVisible();

  // Back, forward and links bring other queries: the fields follow.
  const exprs = JSON.stringify(state.queries.map((one) => one.expr));
  useEffect(() => setDrafts(JSON.parse(exprs)), [exprs]);

  const isLive = live && state.end === null;
  useEffect(() => {
    if (!isLive || !visible) return undefined;
    const timer = setInterval(() => setRuns((count) => count + 1), kLiveBeat_ms);
    return () => clearInterval(timer);
  }, [isLive, visible]);

  const go = (next, options) => navigate(exploreHref(next.queries, next), options);
  const change = (index, part) => {
    const queries = state.queries.map((one, i) => (i === index ? { ...one, ...part } : one));
    go({ ...state, queries });
  };
  const run = (index, expr) => {
    keepRecent(expr);
    setDrafts((old) => old.map((one, i) => (i === index ? expr : one)));
    if (expr === state.queries[index].expr) setRuns((count) => count + 1);
    else change(index, { expr });
  };
  const zoom = (from, to) => {
    const end = Math.round(to);
    const seconds = Math.max(5, end - Math.round(from));
    go({ ...state, range: formatDuration(seconds), end });
  };

  return (
    <div className="page explore">
      <header className="page-head">
        <h1>Explore</h1>
        <RangePicker range={state.range} end={state.end} onChange={(time) => go({ ...state, ...time })} />
        <div className="controls">
          <Recent
            onPick={(expr) => {
              const free = state.queries.findIndex((one) => one.expr === "");
              run(free >= 0 ? free : state.queries.length - 1, expr);
            }}
          />
          <button
            type="button"
            data-key="p"
            className={isLive ? "button live live-on" : "button live"}
            aria-pressed={isLive}
            disabled={state.end !== null}
            title={state.end === null ? "Ask again every 5 s (p)" : "Only a span that ends now can be live"}
            onClick={() => setLive(!live)}
          >
            {isLive ? <Pause size={14} /> : <Play size={14} />}
            <span>Live</span>
          </button>
          <CopyLink state={state} />
        </div>
      </header>
      <div className="queries">
        {state.queries.map((one, index) => (
          <QueryBlock
            // biome-ignore lint/suspicious/noArrayIndexKey: a query is its place in the address.
            key={index}
            index={index}
            count={state.queries.length}
            state={one}
            time={state}
            beat={runs}
            draft={drafts[index] ?? ""}
            setDraft={(text) => setDrafts((old) => state.queries.map((_, i) => (i === index ? text : (old[i] ?? ""))))}
            onRun={(expr) => run(index, expr)}
            onTab={(tab) => change(index, { tab })}
            onStacked={(stacked) => change(index, { stacked })}
            onRemove={() => go({ ...state, queries: state.queries.filter((_, i) => i !== index) })}
            onAdd={
              index === state.queries.length - 1 && state.queries.length < kQueriesMax
                ? () => go({ ...state, queries: [...state.queries, { expr: "", tab: "graph", stacked: false }] })
                : null
            }
            onZoom={zoom}
          />
        ))}
      </div>
      {state.end !== null && (
        <p className="page-note">In the address the end of the span is in UTC: {formatEnd(state.end)}.</p>
      )}
    </div>
  );
}
