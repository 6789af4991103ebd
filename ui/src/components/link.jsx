// A link inside the page: a real <a>, so that it opens in a new tab and can be copied, followed without loading again.
import { navigate } from "../lib/router.js";

export function A({ href, onClick, children, ...rest }) {
  const follow = (event) => {
    onClick?.(event);
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    event.preventDefault();
    navigate(href);
  };
  return (
    <a href={href} onClick={follow} {...rest}>
      {children}
    </a>
  );
}
