// Numbers in words: counts, rates, times.

export const count = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-GB", { maximumFractionDigits: 1 }));

export function rate(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.05) return "<0.1";
  return value.toLocaleString("en-GB", { maximumFractionDigits: value >= 100 ? 0 : 1 });
}

// Seconds with a unit and two or three digits: 0.8 ms, 43 ms, 1.25 s.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0";
  if (seconds < 0.01) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(0)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  return size < 1024 * 1024 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1024 / 1024).toFixed(1)} MiB`;
}

// An RFC 3339 time in UTC without what a reader does not need.
export const clock = (time) => (time ? time.slice(0, 19).replace("T", " ") : "–");
