// Light or dark. public/theme.js has put the theme on <html> before the first paint; this changes it. Without a choice
// of the user's the page follows the system, also while it is open.
import { useSyncExternalStore } from "react";

const kKey = "quarterdeck.theme";
const listeners = new Set();

function chosen() {
  try {
    const value = localStorage.getItem(kKey);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null;
  }
}

function show(theme) {
  document.documentElement.dataset.theme = theme;
  for (const listener of listeners) listener();
}

const system = typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: dark)") : null;
system?.addEventListener("change", () => {
  if (!chosen()) show(system.matches ? "dark" : "light");
});

export function shownTheme() {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

export function setTheme(theme) {
  try {
    localStorage.setItem(kKey, theme);
  } catch {
    // The choice then lasts until the page is closed.
  }
  show(theme);
}

export function toggleTheme() {
  setTheme(shownTheme() === "dark" ? "light" : "dark");
}

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme() {
  return useSyncExternalStore(subscribe, shownTheme);
}
