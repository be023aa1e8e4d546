// SVG elements, scales and numbers in words: what every drawing needs.

const NAMESPACE = "http://www.w3.org/2000/svg";
const HUES = 8;

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// A function from the domain [low, high] to the range [from, to].
export function linear([low, high], [from, to]) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

// Round numbers between low and high, about `count` of them, both ends covered.
export function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw * 0.999);
  const found = [];
  for (let at = Math.floor(low / step); at <= Math.ceil(high / step - 1e-9); at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

const HOURS = [1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720];
const HOUR_MS = 3600e3;

// Full hours or days between two times, in milliseconds.
export function timeTicks(low, high, count) {
  const step = (HOURS.find((hours) => (high - low) / (hours * HOUR_MS) <= count) ?? 1440) * HOUR_MS;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
  return found;
}

export function timeLabel(at, withClock) {
  const text = new Date(at).toISOString();
  return withClock ? text.slice(11, 16) : `${text.slice(8, 10)} ${MONTHS[Number(text.slice(5, 7)) - 1]}`;
}
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const places = Number.isInteger(value) ? 0 : size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en-GB", { maximumFractionDigits: places, minimumFractionDigits: 0 });
}

// A cell in words. `column` is one of the definition's.
export function words(value, column) {
  if (value === null || value === undefined) return "not known";
  if (column.type === "time") {
    const text = String(value).replace("T", " ");
    return column.by === "day" ? text.slice(0, 10) : text.slice(0, 16);
  }
  if (column.type === "latitude" || column.type === "longitude") return value.toFixed(3);
  return typeof value === "number" ? number(value) : String(value);
}

export const titled = (column) => (column.unit && column.unit !== "°" ? `${column.title}, ${column.unit}` : column.title);

// Each value of a column keeps its hue on the page, whatever the filters leave. Values that begin with numbers are
// ordered bands, and get a ramp.
const seen = new Map();

export function hues(column, values) {
  const distinct = [...new Set(values)].sort((a, b) => String(a).localeCompare(String(b), "en", { numeric: true }));
  if (distinct.length && distinct.every((value) => /^\d/.test(String(value)))) {
    return new Map(distinct.map((value) => [value, `ramp-${bandOf(value)}`]));
  }
  if (!seen.has(column)) seen.set(column, new Map());
  const known = seen.get(column);
  for (const value of distinct) if (!known.has(value)) known.set(value, known.size % HUES);
  return new Map(distinct.map((value) => [value, `hue-${known.get(value)}`]));
}

// The first number of a band such as "30 to 60 km/h", by thirties.
function bandOf(value) {
  return Math.min(3, Math.floor(Number.parseFloat(value) / 30));
}

export function legend(found) {
  const list = html("ul", { class: "legend" });
  for (const [value, hue] of found) list.append(html("li", { class: hue }, value ?? "not known"));
  return list;
}

export function roles(visual) {
  const at = (role) => visual.columns.findIndex((column) => column.role === role);
  return { x: at("dimension"), color: at("color"), measure: at("measure") };
}
