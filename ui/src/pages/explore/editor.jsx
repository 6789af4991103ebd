// A PromQL field: highlighting, completion of metrics, labels and functions, and marks under what does not parse.
// Enter runs; Shift+Enter starts a new line.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewline } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useLayoutEffect, useRef } from "react";

const kHighlight = HighlightStyle.define([
  { tag: [tags.variableName, tags.labelName], color: "var(--code-name)" },
  {
    tag: [tags.function(tags.variableName), tags.keyword, tags.modifier, tags.operatorKeyword],
    color: "var(--code-function)",
  },
  { tag: tags.string, color: "var(--code-string)" },
  { tag: [tags.number, tags.literal], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--text-3)", fontStyle: "italic" },
  { tag: tags.invalid, textDecoration: "underline wavy var(--bad)" },
]);

const kTheme = EditorView.theme({
  "&": { fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { padding: "7px 0", caretColor: "var(--text)", fontFamily: "inherit" },
  ".cm-scroller": { fontFamily: "inherit", lineHeight: "20px" },
  ".cm-line": { padding: "0 12px" },
  ".cm-placeholder": { color: "var(--text-3)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground, ::selection": {
    background: "var(--accent-soft)",
  },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": {
    background: "var(--accent-soft)",
    outline: "1px solid var(--accent)",
  },
  ".cm-tooltip": {
    border: "1px solid var(--line-strong)",
    borderRadius: "8px",
    background: "var(--raised)",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { maxHeight: "280px", fontFamily: "inherit" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 12px", lineHeight: "20px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent-soft)", color: "var(--text)" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700", color: "var(--accent-text)" },
  ".cm-completionDetail": { fontStyle: "normal", color: "var(--text-3)" },
  ".cm-completionIcon": { display: "none" },
  ".cm-completionInfo": { maxWidth: "320px", padding: "8px 12px", color: "var(--text-2)" },
  ".cm-diagnostic": { padding: "4px 12px", borderLeft: "3px solid var(--bad)", fontFamily: "inherit" },
});

function language() {
  // The same origin, through the endpoints that the page uses anyway.
  return new PromQLExtension().setComplete({ remote: { url: "", lookbackInterval: 3_600_000, httpMethod: "GET" } });
}

export default function Editor({ value, onChange, onRun, label, shortcut, hint }) {
  const place = useRef(null);
  const view = useRef(null);
  const latest = useRef({ onChange, onRun });
  latest.current = { onChange, onRun };

  // Before the first paint, which would show an empty field of one line otherwise.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the editor is made once; later values come by the effect below.
  useLayoutEffect(() => {
    const run = () => {
      latest.current.onRun();
      return true;
    };
    const state = EditorState.create({
      doc: value,
      extensions: [
        Prec.low(keymap.of([{ key: "Enter", run }])),
        Prec.highest(
          keymap.of([
            { key: "Mod-Enter", run },
            { key: "Shift-Enter", run: insertNewline },
          ]),
        ),
        keymap.of([...closeBracketsKeymap, ...completionKeymap]),
        history(),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ activateOnTyping: true, maxRenderedOptions: 100 }),
        syntaxHighlighting(kHighlight),
        EditorView.lineWrapping,
        kTheme,
        language().asExtension(),
        placeholder(hint),
        EditorView.contentAttributes.of({ "aria-label": label, ...(shortcut ? { "data-key": "/" } : {}) }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) latest.current.onChange(update.state.doc.toString());
        }),
        Prec.lowest(keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap])),
      ],
    });
    view.current = new EditorView({ state, parent: place.current });
    return () => view.current.destroy();
  }, []);

  useEffect(() => {
    const now = view.current.state.doc.toString();
    if (now !== value) view.current.dispatch({ changes: { from: 0, to: now.length, insert: value } });
  }, [value]);

  return <div ref={place} className="editor mono" />;
}
