// Speeds as colours, and the colours of the page's theme, read once per theme.

export const SPEEDS = [
  { below: 3, text: "standing" },
  { below: 30, text: "under 30" },
  { below: 60, text: "30 to 60" },
  { below: 90, text: "60 to 90" },
  { below: Infinity, text: "90 and more" },
];
export const STALE = SPEEDS.length; // The colour of those whose speed is not known, or no more.

export function speedClass(speed) {
  return Number.isFinite(speed) ? SPEEDS.findIndex(({ below }) => speed < below) : STALE;
}

const NAMES = ["ink", "quiet", "card", "line", "land", "road", "camera", "station", "incident", "wait", "good", "focus"];

export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  const theme = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
  theme.speeds = [...SPEEDS.map((_, index) => read(`speed-${index}`)), read("stale")];
  return theme;
}
