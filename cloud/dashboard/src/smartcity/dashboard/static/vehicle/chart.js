// A value over the last minutes as a line, with its newest number beside the title. Times are seconds since 1970.
import { html, linear, svg, ticks } from "../lake/svg.js";

const SIZE = { width: 540, height: 140, left: 42, right: 10, top: 8, bottom: 20 };
const GAP_S = 5; // Over a longer silence no line is drawn.
const MINUTE_S = 60;

export class Chart {
  constructor(parent, { title, unit, column, floor, ceiling, places = 0 }) {
    Object.assign(this, { title, unit, column, floor, ceiling, places });
    this.value = html("b", {}, "–");
    this.drawing = svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": title });
    this.empty = html("p", { class: "empty" }, "No value yet.");
    parent.append(html("figure", { class: "chart" }, html("figcaption", {}, html("span", {}, title), this.value), this.drawing, this.empty));
  }

  draw(rows, now, seconds) {
    const points = rows.filter((row) => row[this.column] !== null).map((row) => [row[0], row[this.column]]);
    this.empty.hidden = points.length > 0;
    this.drawing.toggleAttribute("hidden", points.length === 0);
    if (!points.length) return;
    const values = points.map((point) => point[1]);
    const newest = values[values.length - 1];
    this.value.textContent = `${newest.toFixed(this.places)} ${this.unit}`;
    const [low, high] = [Math.min(this.floor ?? Infinity, ...values), Math.max(this.ceiling ?? -Infinity, ...values)];
    const marks = ticks(low, high > low ? high : low + 1, 3);
    const x = linear([now - seconds, now], [SIZE.left, SIZE.width - SIZE.right]);
    const y = linear([marks[0], marks[marks.length - 1]], [SIZE.height - SIZE.bottom, SIZE.top]);
    const grid = marks.flatMap((mark) => [
      svg("line", { class: "grid", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y(mark), y2: y(mark) }),
      svg("text", { class: "tick", x: SIZE.left - 6, y: y(mark) + 4, "text-anchor": "end" }, mark.toLocaleString("en-US")),
    ]);
    const minutes = Array.from({ length: Math.floor(seconds / MINUTE_S) + 1 }, (_, index) => index);
    const times = minutes.map((minute) => svg("text", { class: "tick", x: x(now - minute * MINUTE_S), y: SIZE.height - 4, "text-anchor": minute ? "middle" : "end" }, minute ? `−${minute} min` : "now"));
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
