// What the page remembers in this browser. Storage may be blocked or full: then nothing is remembered and nothing breaks.

const kPrefix = "quarterdeck.";

export function recall(key, fallback) {
  try {
    const text = localStorage.getItem(kPrefix + key);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(kPrefix + key, JSON.stringify(value));
  } catch {
    // See above.
  }
}
