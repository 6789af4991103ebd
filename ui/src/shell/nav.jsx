import { Keyboard, Moon, Sun, Wheel } from "../components/icons.jsx";
import { A } from "../components/link.jsx";
import { useRules } from "../lib/rules_context.jsx";
import { toggleTheme, useTheme } from "../lib/theme.js";
import { kPages } from "./pages.js";

function AlertCount() {
  const { firing, pending } = useRules();
  if (firing > 0) {
    return <span className="nav-count nav-count-bad">{firing} firing</span>;
  }
  if (pending > 0) {
    return <span className="nav-count nav-count-warn">{pending} pending</span>;
  }
  return null;
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
