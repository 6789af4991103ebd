import { Keyboard, Moon, Sun, Wheel } from "../components/icons.jsx";
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

export function Nav({ page, onHelp }) {
  const theme = useTheme();
  return (
    <nav className="nav" aria-label="Pages">
      <A href="/" className="brand" aria-label="Quarterdeck, overview">
        <span className="brand-mark">
          <Wheel size={18} />
        </span>
        <span className="brand-name">Quarterdeck</span>
      </A>
      <ul className="nav-list">
        {kPages.map((item) => (
          <li key={item.path}>
            <A
              href={item.path}
              className="nav-item"
              aria-current={item === page ? "page" : undefined}
              onPointerEnter={() => item.load?.()}
              onFocus={() => item.load?.()}
            >
              <item.icon />
              <span className="nav-name">{item.name}</span>
              {item.path === "/alerts" && <AlertCount />}
            </A>
          </li>
        ))}
      </ul>
      <div className="nav-tools">
        <button
          type="button"
          className="nav-item"
          onClick={toggleTheme}
          aria-label={theme === "dark" ? "Switch to the light theme" : "Switch to the dark theme"}
        >
          {theme === "dark" ? <Sun /> : <Moon />}
          <span className="nav-name">{theme === "dark" ? "Light" : "Dark"}</span>
        </button>
        <button type="button" className="nav-item nav-help" onClick={onHelp} aria-label="Keyboard shortcuts">
          <Keyboard />
          <span className="nav-name">Shortcuts</span>
          <kbd>?</kbd>
        </button>
      </div>
    </nav>
  );
}
