// Says over the page, moving nothing, that the server does not answer; and when it is back.
import { useEffect, useState, useSyncExternalStore } from "react";
import { connection } from "../api/client.js";
import { formatClock } from "../lib/time.js";
import { MarkBad, MarkGood } from "./icons.jsx";

const kBackShown_ms = 4000;

export function ConnectionBanner() {
  const state = useSyncExternalStore(connection.subscribe, connection.snapshot);
  const [back, setBack] = useState(false);
  const [wasLost, setWasLost] = useState(false);

  useEffect(() => {
    if (state.ok === false) {
      setWasLost(true);
      return undefined;
    }
    if (!wasLost) return undefined;
    setWasLost(false);
    setBack(true);
    return undefined;
  }, [state, wasLost]);

  useEffect(() => {
    if (!back) return undefined;
    const timer = setTimeout(() => setBack(false), kBackShown_ms);
    return () => clearTimeout(timer);
  }, [back]);

  let content = null;
  if (state.ok === false) {
    content = (
      <div className="banner banner-bad">
        <MarkBad />
        <span>
          <b>Quarterdeck does not answer</b> since {formatClock(state.since / 1000)} ({state.reason}).{" "}
          {state.ever && "What you see is from then. "}Trying again every few seconds.
        </span>
      </div>
    );
  } else if (back) {
    content = (
      <div className="banner banner-good">
        <MarkGood />
        <span>
          <b>Connected again.</b>
        </span>
      </div>
    );
  }
  return (
    <div className="banner-place" role="status" aria-live="polite">
      {content}
    </div>
  );
}
