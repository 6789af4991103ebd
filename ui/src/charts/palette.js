// Colours of series, named by the style sheet. None is red, amber or green: those only mean state.

const kColors = 8;
const kDashes = [undefined, [6, 3], [2, 3]];

export function seriesColor(index) {
  return `var(--series-${(index % kColors) + 1})`;
}

// After the last colour they come again with another dash, so that no two of 24 lines look alike.
export function seriesDash(index) {
  return kDashes[Math.floor(index / kColors) % kDashes.length];
}

// A canvas knows no CSS variables.
export function resolveColor(color, element = document.documentElement) {
  const match = /^var\((--[\w-]+)\)$/.exec(color);
  if (!match) return color;
  return getComputedStyle(element).getPropertyValue(match[1]).trim() || "#888888";
}

// "#rrggbb" with an alpha from 0 to 1.
export function fade(color, alpha) {
  const hex = Math.round(alpha * 255)
    .toString(16)
    .padStart(2, "0");
  return /^#[0-9a-f]{6}$/i.test(color) ? color + hex : color;
}
