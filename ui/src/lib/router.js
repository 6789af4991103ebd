// History routing for a handful of pages: the URL is the state, and every change of it renders again.
import { useCallback, useSyncExternalStore } from "react";

const listeners = new Set();

function tell() {
  for (const listener of listeners) listener();
}

function subscribe(listener) {
  listeners.add(listener);
  addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("popstate", listener);
  };
}

const here = () => location.pathname + location.search;

// Another page begins at its top; going back, the browser scrolls to where the page was left.
export function navigate(to, { replace = false } = {}) {
  if (to === here()) return;
  const before = location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  tell();
  if (!replace && location.pathname !== before) document.documentElement.scrollTop = 0;
}

export function useLocation() {
  const text = useSyncExternalStore(subscribe, here);
  const cut = text.indexOf("?");
  return cut < 0 ? { path: text, search: "" } : { path: text.slice(0, cut), search: text.slice(cut) };
}

// Changes several parameters of the URL at once; null takes one away.
export function changeParams(changes) {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") params.delete(name);
    else params.set(name, value);
  }
  const text = params.toString();
  navigate(location.pathname + (text ? `?${text}` : ""), { replace: true });
}

// One parameter of the URL as state. `fallback` is left out of the URL, so that plain views have plain addresses.
export function useParam(name, fallback = "") {
  const { search } = useLocation();
  const value = new URLSearchParams(search).get(name) ?? fallback;
  const set = useCallback((next) => changeParams({ [name]: next === fallback ? null : next }), [name, fallback]);
  return [value, set];
}
