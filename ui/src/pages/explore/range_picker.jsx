// Which span of time is looked at: a length, and an end that is "now" or fixed.
import { useState } from "react";
import { Dialog } from "../../components/dialog.jsx";
import { Right } from "../../components/icons.jsx";
import { serverNow } from "../../lib/clock.js";
import { formatClock, formatDate, formatDateTime, formatDuration, parseDuration } from "../../lib/time.js";
import { Clock, Left, ZoomOut } from "./icons.jsx";

export const kPresets = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "24h", "2d", "7d", "15d"];

const forInput = (time_s) => `${formatDate(time_s)}T${formatClock(time_s)}`;

export function rangeText(range, end) {
  if (end === null) return `Last ${range}`;
  const start = end - parseDuration(range);
  const sameDay = formatDate(start) === formatDate(end);
  return `${formatDateTime(start)} – ${sameDay ? formatClock(end) : formatDateTime(end)}`;
}

function Custom({ range, end, onChange, onClose }) {
  const shownEnd = end ?? serverNow();
  const [from, setFrom] = useState(forInput(shownEnd - parseDuration(range)));
  const [to, setTo] = useState(forInput(shownEnd));
  const [length, setLength] = useState(range);
  const [start_s, end_s] = [Date.parse(from) / 1000, Date.parse(to) / 1000];
  const valid = end_s > start_s;
  const lengthValid = parseDuration(length) !== null;
  return (
    <Dialog title="Time range" onClose={onClose}>
      <form
        className="range-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!lengthValid) return;
          onChange({ range: length.trim(), end: null });
          onClose();
        }}
      >
        <div className="presets">
          {kPresets.map((preset) => (
            <button
              key={preset}
              type="button"
              className={end === null && preset === range ? "button button-main" : "button"}
              onClick={() => {
                onChange({ range: preset, end: null });
                onClose();
              }}
            >
              {preset}
            </button>
          ))}
        </div>
        <label>
          The last
          <input
            className="field"
            value={length}
            onChange={(event) => setLength(event.target.value)}
            aria-invalid={!lengthValid}
          />
        </label>
        <button type="submit" className="button" disabled={!lengthValid}>
          Show the last {lengthValid ? length.trim() : "…"}
        </button>
        {!lengthValid && <p className="quiet">A duration as PromQL writes it: 90s, 45m, 1h30m, 2d.</p>}
      </form>
      <form
        className="range-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!valid) return;
          onChange({ range: formatDuration(end_s - start_s), end: end_s });
          onClose();
        }}
      >
        <label>
          From
          <input
            className="field"
            type="datetime-local"
            step="1"
            value={from}
            onChange={(event) => setFrom(event.target.value)}
          />
        </label>
        <label>
          To
          <input
            className="field"
            type="datetime-local"
            step="1"
            value={to}
            onChange={(event) => setTo(event.target.value)}
          />
        </label>
        <button type="submit" className="button" disabled={!valid}>
          Show this span
        </button>
        {!valid && <p className="quiet">The span has to end after it begins.</p>}
      </form>
    </Dialog>
  );
}

export function RangePicker({ range, end, onChange }) {
  const [custom, setCustom] = useState(false);
  const seconds = parseDuration(range);
  const shift = (by) => {
    const next = (end ?? serverNow()) + (by * seconds) / 2;
    onChange({ range, end: by > 0 && next >= serverNow() ? null : next });
  };
  const preset = (by) => {
    const larger = kPresets.filter((one) => (by > 0 ? parseDuration(one) > seconds : parseDuration(one) < seconds));
    const next = by > 0 ? larger[0] : larger.at(-1);
    if (next) onChange({ range: next, end });
  };
  return (
    <div className="range">
      <button
        type="button"
        className="icon-button"
        aria-label="Half a span earlier"
        title="Earlier"
        onClick={() => shift(-1)}
      >
        <Left />
      </button>
      <button type="button" className="button range-text" aria-haspopup="dialog" onClick={() => setCustom(true)}>
        <Clock size={14} />
        {rangeText(range, end)}
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label="Half a span later"
        title="Later"
        disabled={end === null}
        onClick={() => shift(1)}
      >
        <Right />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label="A longer span"
        title="Longer span (])"
        data-key="]"
        onClick={() => preset(1)}
      >
        <ZoomOut />
      </button>
      <button type="button" hidden data-key="[" onClick={() => preset(-1)} />
      {end !== null && (
        <button type="button" className="button button-quiet" onClick={() => onChange({ range, end: null })}>
          Back to now
        </button>
      )}
      {custom && <Custom range={range} end={end} onChange={onChange} onClose={() => setCustom(false)} />}
    </div>
  );
}
