// How long a sighting takes from its device to this page's picture, and how many pictures there are in a second.
// A device's clock may differ from ours: what is not plausible is not counted.

const SAMPLES_MAX = 20_000;
const PLAUSIBLE_MS = 60_000;
const RECENT = 500;

const delays = []; // Milliseconds by Date.now() from publishing to drawing.
const frames = []; // Times of the frames, milliseconds of performance.now().
const painted = []; // Those in which something had moved far enough to be painted.

export function drawn(sent) {
  const delay = Date.now() - sent;
  if (delay < 0 || delay > PLAUSIBLE_MS) return;
  delays.push(delay);
  if (delays.length > SAMPLES_MAX) delays.splice(0, SAMPLES_MAX / 2);
}

export function framed(now, isPainted) {
  frames.push(now);
  if (isPainted) painted.push(now);
  for (const kept of [frames, painted]) if (kept.length > SAMPLES_MAX) kept.splice(0, SAMPLES_MAX / 2);
}

// The p50 and p99 of the last delays, or null.
export function recent() {
  const last = delays.slice(-RECENT).sort((a, b) => a - b);
  if (!last.length) return null;
  const at = (share) => last[Math.min(last.length - 1, Math.floor(last.length * share))];
  return { p50: at(0.5), p99: at(0.99) };
}

// For benchmarks: everything since the last call.
export function taken() {
  return { delays: delays.splice(0), frames: frames.splice(0), painted: painted.splice(0) };
}
