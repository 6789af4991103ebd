// The time range of live pictures, and whether they move.
import { kRanges } from "../lib/live_range.js";
import { Pause, Play } from "./icons.jsx";
import { Segments } from "./segments.jsx";

export function LiveControls({ range, setRange, paused, setPaused }) {
  const move = (by) => {
    const next = kRanges[kRanges.indexOf(range) + by];
    if (next) setRange(next);
  };
  return (
    <div className="controls">
      <Segments
        label="Time range"
        options={kRanges.map((one) => ({ value: one, label: one, title: `The last ${one}` }))}
        value={range}
        onChange={setRange}
      />
      <button
        type="button"
        data-key="p"
        className={paused ? "button live" : "button live live-on"}
        aria-pressed={!paused}
        title={paused ? "Resume (p)" : "Pause (p)"}
        onClick={() => setPaused(!paused)}
      >
        {paused ? <Play size={14} /> : <Pause size={14} />}
        <span>{paused ? "Paused" : "Live"}</span>
      </button>
      <button type="button" hidden data-key="[" onClick={() => move(-1)} />
      <button type="button" hidden data-key="]" onClick={() => move(1)} />
    </div>
  );
}
