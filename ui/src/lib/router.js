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

export function navigate(to, { replace = false } = {}) {
  if (to === here()) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  tell();
}

export function useLocation() {
  const text = useSyncExternalStore(subscribe, here);
  const cut = text.indexOf("?");
  return cut < 0 ? { path: text, search: "" } : { path: text.slice(0, cut), search: text.slice(cut) };
}

// One parameter of the URL as state. `fallback` is left out of the URL, so that plain views have plain addresses.
export function useParam(name, fallback = "") {
  const { search } = useLocation();
  const value = new URLSearchParams(search).get(name) ?? fallback;
  const set = useCallback(
    (next) => {
      const params = new URLSearchParams(location.search);
      if (next === fallback || next === null || next === "") params.delete(name);
      else params.set(name, next);
      const text = params.toString();
      navigate(location.pathname + (text ? `?${text}` : ""), { replace: true });
    },
    [name, fallback],
  );
  return [value, set];
}
