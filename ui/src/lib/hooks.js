// Hooks that fetch: they abort what is stale, keep the last good answer on the screen, and rest while the tab is hidden.
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { isAbort } from "../api/client.js";

function subscribeVisibility(listener) {
  document.addEventListener("visibilitychange", listener);
  return () => document.removeEventListener("visibilitychange", listener);
}

export function useVisible() {
  return useSyncExternalStore(subscribeVisibility, () => !document.hidden);
}

const kNothing = { data: undefined, error: null, loading: true, key: null };

// Runs `load(signal)` whenever `key` changes, and never for key null. `data` is the newest answer, also of an earlier
// key, so that a picture stays until the next one is there; `fresh` says whether it belongs to this key.
export function useFetch(key, load) {
  const [state, setState] = useState(kNothing);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (key === null) return undefined;
    const controller = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    latest.current(controller.signal).then(
      (data) => {
        if (!controller.signal.aborted) setState({ data, error: null, loading: false, key });
      },
      (error) => {
        if (controller.signal.aborted || isAbort(error)) return;
        setState((old) => ({ data: old.data, error, loading: false, key }));
      },
    );
    return () => controller.abort();
  }, [key]);
  return { data: state.data, error: state.error, loading: state.loading, fresh: state.key === key };
}

const pause = (interval_ms) => (typeof interval_ms === "function" ? interval_ms() : interval_ms);

// Runs `load(signal)` at once, again `interval_ms` after each answer, and again whenever `key` changes. It rests while
// the tab is hidden or `paused` (interval_ms may be a function, asked after each answer), and catches up as soon as it is seen again. `again()` asks now.
export function usePoll(key, load, { interval_ms = 5000, paused = false } = {}) {
  const [state, setState] = useState(kNothing);
  const [asked, setAsked] = useState(0);
  const visible = useVisible();
  const latest = useRef({ load, interval_ms });
  latest.current = { load, interval_ms };
  const shownKey = useRef(null);
  const resting = !visible || paused;

  useEffect(() => {
    if (key === null || (resting && shownKey.current === `${key}#${asked}`)) return undefined;
    const controller = new AbortController();
    let timer = 0;
    const run = async () => {
      try {
        const data = await latest.current.load(controller.signal);
        if (controller.signal.aborted) return;
        setState({ data, error: null, loading: false, key });
      } catch (error) {
        if (controller.signal.aborted || isAbort(error)) return;
        setState((old) => ({ data: old.data, error, loading: false, key }));
      }
      shownKey.current = `${key}#${asked}`;
      if (!resting) timer = setTimeout(run, pause(latest.current.interval_ms));
    };
    run();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [key, resting, asked]);

  return {
    data: state.data,
    error: state.error,
    loading: state.loading,
    fresh: state.key === key,
    again: () => setAsked((count) => count + 1),
  };
}

// Whether an element is in sight or nearly so. Where that cannot be known it is.
export function useInView(ref, margin = "240px 0px") {
  const [inView, setInView] = useState(typeof IntersectionObserver === "undefined");
  useEffect(() => {
    if (!ref.current || typeof IntersectionObserver === "undefined") return undefined;
    const observer = new IntersectionObserver((entries) => setInView(entries.at(-1).isIntersecting), {
      rootMargin: margin,
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [ref, margin]);
  return inView;
}

// The size of an element's content box in CSS pixels; [0, 0] before it is laid out.
export function useSize(ref) {
  const [size, setSize] = useState([0, 0]);
  useEffect(() => {
    const element = ref.current;
    if (!element || typeof ResizeObserver === "undefined") return undefined;
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry.contentRect;
      setSize(([w, h]) => (w === width && h === height ? [w, h] : [width, height]));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return size;
}
