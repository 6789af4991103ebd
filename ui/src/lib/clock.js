// The server's clock as the browser sees it. A browser's own clock may be minutes off; every "now" that is compared with
// the server's times comes from here.

let offset_s = 0;

export function learnServerTime(server_s) {
  if (Number.isFinite(server_s)) offset_s = server_s - Date.now() / 1000;
}

// From an HTTP Date header, which knows whole seconds only: taken when the clocks are clearly apart.
export function learnServerDate(text) {
  const server_s = Date.parse(text) / 1000;
  if (Number.isFinite(server_s) && Math.abs(server_s - serverNow()) > 3) learnServerTime(server_s + 0.5);
}

export function serverNow() {
  return Date.now() / 1000 + offset_s;
}

export function clockOffset() {
  return offset_s;
}
