// Text to be typed elsewhere, with a button that copies it.
import { useEffect, useRef, useState } from "react";
import { cureParts } from "../lib/cures.js";

const kCopiedShown_ms = 2000;

// Without a secure context there is no clipboard: then the text is selected, so that Ctrl+C does it.
function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

export function CodeBox({ code, label = "Copy" }) {
  const [done, setDone] = useState("");
  const text = useRef(null);
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(""), kCopiedShown_ms);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      setDone("Copied");
    } catch {
      select(text.current);
      setDone("Selected");
    }
  };
  return (
    <div className="code-box">
      <pre className="mono" ref={text}>
        {code}
      </pre>
      <button type="button" className="button button-small" onClick={copy} aria-label={`${label}: ${code}`}>
        <span aria-live="polite">{done || "Copy"}</span>
      </button>
    </div>
  );
}

// Why something is wrong, with the cure ready to be copied.
export function Why({ why, level = "bad" }) {
  const parts = cureParts(why);
  return (
    <div className={`why why-${level}`}>
      {parts.map((part, i) =>
        part.code ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts are one text.
          <CodeBox key={i} code={part.code} label="Copy the cure" />
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts are one text.
          <p key={i}>{part.text}</p>
        ),
      )}
    </div>
  );
}
