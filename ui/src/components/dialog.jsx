// A modal dialog on the browser's own <dialog>: it keeps the focus inside, closes on Escape and gives the focus back.
import { useLayoutEffect, useRef } from "react";
import { Close } from "./icons.jsx";

export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(null);
  // A layout effect, because its cleanup runs while the dialog is still in the document: what was focused in it is lost
  // with it otherwise, and with that the place where a keyboard's user was.
  useLayoutEffect(() => {
    const dialog = ref.current;
    const opener = document.activeElement;
    if (dialog.showModal) dialog.showModal();
    else dialog.setAttribute("open", "");
    // React's autoFocus comes before the dialog is shown, and showing it moves the focus to the first button.
    dialog.querySelector("[data-first]")?.focus();
    return () => {
      dialog.close?.();
      opener?.focus?.({ preventScroll: true });
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it, which the browser turns into onCancel.
    <dialog
      ref={ref}
      className={wide ? "dialog dialog-wide" : "dialog"}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h2>{title}</h2>
          <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
            <Close />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
