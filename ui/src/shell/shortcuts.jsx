// Keys that work anywhere but in a text field: "g" and a letter opens a page, single keys do what the list below says.
// Pages answer to "/", "p", "[" and "]" themselves by marking an element with data-key.
import { useEffect } from "react";
import { Dialog } from "../components/dialog.jsx";
import { navigate } from "../lib/router.js";
import { toggleTheme } from "../lib/theme.js";
import { kPages } from "./pages.js";

const kSequence_ms = 1200;

function typing(target) {
  return (
    target instanceof Element &&
    target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable=true]")
  );
}

export function useShortcuts(onHelp) {
  useEffect(() => {
    let armed = 0;
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (typing(event.target) || document.querySelector("dialog[open]")) return;
      const waiting = event.timeStamp - armed < kSequence_ms && armed > 0;
      armed = 0;
      if (waiting) {
        const page = kPages.find((one) => one.key === event.key);
        if (page) navigate(page.path);
        return;
      }
      if (event.key === "g") armed = event.timeStamp;
      else if (event.key === "?") onHelp();
      else if (event.key === "d") toggleTheme();
      else {
        const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
        if (!target) return;
        event.preventDefault();
        if (target.matches("button")) target.click();
        else target.focus();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [onHelp]);
}

const kKeys = [
  ...kPages.map((page) => [["g", page.key], `Go to ${page.name}`]),
  [["/"], "To the search field or the query"],
  [["p"], "Pause or resume live pictures"],
  [["["], "A shorter time range"],
  [["]"], "A longer time range"],
  [["d"], "Dark or light"],
  [["←", "→"], "On a focused chart: read value by value"],
  [["Enter"], "In the query: run it (Shift+Enter for a new line)"],
  [["?"], "This list"],
];

export function Shortcuts({ onClose }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="keys">
        {kKeys.map(([keys, text]) => (
          <div key={text}>
            <dt>{text}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
