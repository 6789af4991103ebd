import { useSyncExternalStore } from "react";

// Whether a media query fits the window.
export function useMedia(media) {
  return useSyncExternalStore(
    (listener) => {
      const list = matchMedia(media);
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
    () => matchMedia(media).matches,
  );
}
