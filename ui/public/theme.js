// Runs before the first paint, so that a chosen theme never flashes the other one. A file of its own because the
// Content-Security-Policy allows no inline script.
let theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
try {
  const chosen = localStorage.getItem("quarterdeck.theme");
  if (chosen === "light" || chosen === "dark") theme = chosen;
} catch {
  // Storage may be blocked; the system's preference then decides.
}
document.documentElement.dataset.theme = theme;
