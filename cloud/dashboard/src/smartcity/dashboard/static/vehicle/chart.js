// A value over the last minutes as a line, with its newest number beside the title. Times are seconds since 1970.
import { html, linear, svg, ticks } from "../lake/svg.js";

const SIZE = { height: 140, left: 42, right: 10, top: 8, bottom: 20 };
const WIDTH_PX = 540; // Until the page has given it a width.
const GAP_S = 5; // Over a longer silence no line is drawn.
const TICKS_S = [15, 60];
const SHORT_S = 90; // Up to so long a time, seconds are written below.

export class Chart {
  constructor(parent, { title, unit, column, floor, ceiling, places = 0 }) {
    Object.assign(this, { title, unit, column, floor, ceiling, places });
    this.value = html("b", {}, "–");
    this.drawing = svg("svg", { role: "img", "aria-label": title });
    this.empty = html("p", { class: "empty" }, "No value yet.");
    parent.append(html("figure", { class: "chart" }, html("figcaption", {}, html("span", {}, title), this.value), this.drawing, this.empty));
  }

  draw(rows, now, seconds) {
    const points = rows.filter((row) => row[this.column] !== null).map((row) => [row[0], row[this.column]]);
    this.empty.hidden = points.length > 0;
    this.drawing.toggleAttribute("hidden", points.length === 0);
    if (!points.length) return;
    const width = this.drawing.clientWidth || WIDTH_PX;
    this.drawing.setAttribute("viewBox", `0 0 ${width} ${SIZE.height}`);
    const values = points.map((point) => point[1]);
    const newest = values[values.length - 1];
    this.value.textContent = `${newest.toFixed(this.places)} ${this.unit}`;
    const [low, high] = [Math.min(this.floor ?? Infinity, ...values), Math.max(this.ceiling ?? -Infinity, ...values)];
    const marks = ticks(low, high > low ? high : low + 1, 3);
    const x = linear([now - seconds, now], [SIZE.left, width - SIZE.right]);
    const y = linear([marks[0], marks[marks.length - 1]], [SIZE.height - SIZE.bottom, SIZE.top]);
    const grid = marks.flatMap((mark) => [
      svg("line", { class: "grid", x1: SIZE.left, x2: width - SIZE.right, y1: y(mark), y2: y(mark) }),
      svg("text", { class: "tick", x: SIZE.left - 6, y: y(mark) + 4, "text-anchor": "end" }, mark.toLocaleString("en-US")),
    ]);
    const every = TICKS_S[seconds > SHORT_S ? 1 : 0];
    const ages = Array.from({ length: Math.floor(seconds / every) + 1 }, (_, index) => index * every);
    const times = ages.map((age) => svg("text", { class: "tick", x: x(now - age), y: SIZE.height - 4, "text-anchor": age ? "middle" : "end" }, ago(age, seconds)));
    this.drawing.replaceChildren(...grid, ...times, svg("path", { class: "curve", d: path(points, x, y) }),
      svg("circle", { class: "end", cx: x(points[points.length - 1][0]), cy: y(newest), r: 3.5 }));
    this.drawing.setAttribute("aria-label", `${this.title}: ${newest.toFixed(this.places)} ${this.unit} now, between ${Math.min(...values).toFixed(this.places)} and ${Math.max(...values).toFixed(this.places)} in the last minutes`);
  }
}

function path(points, x, y) {
  let before = -Infinity;
  return points.map(([at, value]) => {
    const letter = at - before > GAP_S ? "M" : "L";
    before = at;
    return `${letter}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  }).join("");
}

function ago(age, seconds) {
  if (!age) return "now";
  return seconds > SHORT_S ? `−${age / 60} min` : `−${age} s`;
}
