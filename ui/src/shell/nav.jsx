import { useState } from "react";
import { Dialog } from "../components/dialog.jsx";
import { Keyboard, Moon, More, Sun, Wheel } from "../components/icons.jsx";
import { A } from "../components/link.jsx";
import { alertLevel } from "../components/state.jsx";
import { plural } from "../lib/format.js";
import { useRules } from "../lib/rules_context.jsx";
import { toggleTheme, useTheme } from "../lib/theme.js";
import { kPages } from "./pages.js";

function AlertCount() {
  const { alerts, firing, pending } = useRules();
  if (alerts.length === 0) return null;
  const [count, word] = firing > 0 ? [firing, "firing"] : [pending, "pending"];
  return (
    <span
      className={`nav-count nav-count-${alertLevel(alerts[0].state, alerts[0].labels)}`}
      title={`${plural(count, "alert")} ${word}`}
    >
      {count} {word}
    </span>
  );
}

function Pages({ pages, page, onFollow }) {
  return pages.map((item) => (
    <li key={item.path} className={item.seldom ? "nav-seldom" : undefined}>
      <A
        href={item.path}
        className="nav-item"
        aria-current={item === page ? "page" : undefined}
        onPointerEnter={() => item.load?.()}
        onFocus={() => item.load?.()}
        onClick={onFollow}
      >
        <item.icon />
        <span className="nav-name">{item.name}</span>
        {item.path === "/alerts" && <AlertCount />}
      </A>
    </li>
  ));
}

function Theme() {
  const theme = useTheme();
  return (
    <button
      type="button"
      className="nav-item"
      onClick={toggleTheme}
      aria-label={theme === "dark" ? "Switch to the light theme" : "Switch to the dark theme"}
    >
      {theme === "dark" ? <Sun /> : <Moon />}
      <span className="nav-name">{theme === "dark" ? "Light" : "Dark"}</span>
    </button>
  );
}

// What a phone's bar has no room for. Elsewhere it is not shown.
function Rest({ page }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <li className="nav-more">
      <button
        type="button"
        className="nav-item"
        aria-haspopup="dialog"
        aria-current={page?.seldom ? "true" : undefined}
        onClick={() => setOpen(true)}
      >
        <More />
        <span className="nav-name">More</span>
      </button>
      {open && (
        <Dialog title="More" onClose={close}>
          <ul className="nav-sheet">
            <Pages pages={kPages.filter((item) => item.seldom)} page={page} onFollow={close} />
            <li>
              <Theme />
            </li>
          </ul>
        </Dialog>
      )}
    </li>
  );
}

export function Nav({ page, onHelp }) {
  return (
    <nav className="nav" aria-label="Pages">
      <A href="/" className="brand" aria-label="Quarterdeck, overview">
        <span className="brand-mark">
          <Wheel size={18} />
        </span>
        <span className="brand-name">Quarterdeck</span>
      </A>
      <ul className="nav-list">
        <Pages pages={kPages} page={page} />
        <Rest page={page} />
      </ul>
      <div className="nav-tools">
        <Theme />
        <button type="button" className="nav-item nav-help" onClick={onHelp} aria-label="Keyboard shortcuts">
          <Keyboard />
          <span className="nav-name">Shortcuts</span>
          <kbd>?</kbd>
        </button>
      </div>
    </nav>
  );
}
