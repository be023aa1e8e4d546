// Lines over time or a number, one for each value of the color column; a lone number with its course for a KPI.

import { hues, html, legend, linear, number, roles, svg, ticks, timeLabel, timeTicks, titled, words } from "./svg.js";

const MARGIN = { top: 10, right: 14, bottom: 34, left: 46 };
const DOTS_MAX = 60;
const GAP_STEPS = 1.5; // Where more than so many steps are missing, a line breaks.

const place = (value, isTime) => (isTime ? Date.parse(value) : value);

function seriesOf(visual, rows) {
  const { x, color, measure } = roles(visual);
  const isTime = visual.columns[x].type === "time";
  const found = new Map();
  for (const row of rows) {
    if (row[x] === null || row[measure] === null) continue;
    const name = color < 0 ? visual.columns[measure].title : row[color];
    if (!found.has(name)) found.set(name, []);
    found.get(name).push([place(row[x], isTime), row[measure]]);
  }
  return { found, isTime };
}

function pathOf(points, step, toX, toY) {
  let before = null;
  return points.map(([x, y]) => {
    const letter = before !== null && x - before <= step * GAP_STEPS ? "L" : "M";
    before = x;
    return `${letter}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
  }).join("");
}

const stepOf = (xs) => {
  let step = Infinity;
  for (let at = 1; at < xs.length; at += 1) step = Math.min(step, xs[at] - xs[at - 1]);
  return step;
};

export function drawLines(body, visual, rows) {
  const { found, isTime } = seriesOf(visual, rows);
  const { x: xAt, color, measure } = roles(visual);
  const all = [...found.values()].flat();
  const xs = [...new Set(all.map(([x]) => x))].sort((a, b) => a - b);
  const colors = color < 0 ? new Map([...found.keys()].map((name) => [name, "hue-0"])) : hues(visual.columns[color].name, found.keys());
  const plot = html("div", { class: "plot" });
  body.append(plot);
  if (color >= 0) body.append(legend(colors));
  const { width, height } = plot.getBoundingClientRect();
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const highest = Math.max(...all.map(([, y]) => y), 0);
  const lowest = Math.min(...all.map(([, y]) => y), 0);
  const yTicks = ticks(lowest, highest || 1, Math.max(2, Math.round(height / 55)));
  const toY = linear([yTicks[0], yTicks.at(-1)], [bottom, MARGIN.top]);
  const pad = xs.length === 1 ? (isTime ? 3600e3 : 1) : 0;
  const domain = [xs[0] - pad, xs.at(-1) + pad];
  const toX = linear(domain, [MARGIN.left, right]);
  const drawn = svg("svg", {
    width, height, role: "img",
    "aria-label": `${visual.title}: ${found.size} ${found.size === 1 ? "line" : "lines"}, ${all.length} points. The table has them all.`,
  });
  for (const value of yTicks) {
    drawn.append(svg("line", { class: value === 0 ? "axis" : "grid", x1: MARGIN.left, x2: right, y1: toY(value), y2: toY(value) }));
    drawn.append(svg("text", { class: "tick", x: MARGIN.left - 6, y: toY(value) + 4, "text-anchor": "end" }, number(value)));
  }
  const many = Math.max(2, Math.floor(width / 90));
  const xTicks = isTime ? timeTicks(...domain, many) : ticks(...domain, many).filter((value) => value >= domain[0] && value <= domain[1]);
  const isWithClock = isTime && xTicks.length > 1 && xTicks[1] - xTicks[0] < 24 * 3600e3;
  for (const value of xTicks) {
    const text = isTime ? timeLabel(value, isWithClock && new Date(value).getUTCHours() !== 0) : number(value);
    const isAtEnd = toX(value) > right - 16;
    drawn.append(svg("text", { class: "tick", x: isAtEnd ? width - 1 : toX(value), y: bottom + 16, "text-anchor": isAtEnd ? "end" : "middle" }, text));
  }
  drawn.append(svg("text", { class: "title", x: (MARGIN.left + right) / 2, y: height - 3, "text-anchor": "middle" }, titled(visual.columns[xAt])));
  const step = stepOf(xs);
  for (const [name, points] of found) {
    const sorted = points.sort((a, b) => a[0] - b[0]);
    const hue = colors.get(name);
    drawn.append(svg("path", { class: `line ${hue}`, d: pathOf(sorted, step, toX, toY) }));
    sorted.forEach(([x, y], at) => {
      const isLone = (at === 0 || x - sorted[at - 1][0] > step * GAP_STEPS) && (at === sorted.length - 1 || sorted[at + 1][0] - x > step * GAP_STEPS);
      if (isLone || sorted.length <= DOTS_MAX) drawn.append(svg("circle", { class: `dot ${hue}`, cx: toX(x), cy: toY(y), r: isLone ? 3 : 2 }));
    });
  }
  plot.append(drawn);
  readOut(plot, drawn, { found, colors, xs, toX, top: MARGIN.top, bottom, column: visual.columns[xAt], measure: visual.columns[measure] });
}

// What stands at the pointer: a hairline, and every line's value there. The same numbers are in the table.
function readOut(plot, drawn, { found, colors, xs, toX, top, bottom, column, measure }) {
  const hair = svg("line", { class: "hair", y1: top, y2: bottom, visibility: "hidden" });
  const box = html("div", { class: "readout", hidden: true, "aria-hidden": "true" });
  drawn.append(hair);
  plot.append(box);
  plot.addEventListener("pointermove", (event) => {
    const left = event.clientX - plot.getBoundingClientRect().left;
    const x = xs.reduce((best, each) => (Math.abs(toX(each) - left) < Math.abs(toX(best) - left) ? each : best));
    hair.setAttribute("x1", toX(x));
    hair.setAttribute("x2", toX(x));
    hair.setAttribute("visibility", "visible");
    const head = column.type === "time" ? words(new Date(x).toISOString(), column) : `${column.title} ${number(x)}`;
    const lines = [...found].flatMap(([name, points]) => {
      const point = points.find((each) => each[0] === x);
      return point ? [html("div", { class: `key ${colors.get(name)}` }, `${name ?? "not known"}: ${number(point[1])}`)] : [];
    });
    box.replaceChildren(html("b", {}, head), ...lines);
    box.title = measure.title;
    box.hidden = false;
    const onLeft = toX(x) > plot.clientWidth / 2;
    box.style.left = onLeft ? "" : `${toX(x) + 10}px`;
    box.style.right = onLeft ? `${plot.clientWidth - toX(x) + 10}px` : "";
  });
  plot.addEventListener("pointerleave", () => {
    hair.setAttribute("visibility", "hidden");
    box.hidden = true;
  });
}

export function drawKpi(body, visual, rows) {
  const { x, measure } = roles(visual);
  const known = rows.filter((row) => row[measure] !== null);
  const last = known.at(-1);
  const line = html("p", { class: "kpi" }, html("span", { class: "kpi-value" }, last ? number(last[measure]) : "–"));
  if (x >= 0 && last) line.append(html("span", { class: "quiet" }, ` at ${words(last[x], visual.columns[x]).slice(5)}`));
  body.append(line);
  if (x < 0 || known.length < 2) return;
  const plot = html("div", { class: "spark" });
  body.append(plot);
  const { width, height } = plot.getBoundingClientRect();
  const points = known.map((row) => [Date.parse(row[x]), row[measure]]);
  const ys = points.map(([, y]) => y);
  const toX = linear([points[0][0], points.at(-1)[0]], [3, width - 4]);
  const toY = linear([Math.min(...ys), Math.max(...ys)], [height - 4, 4]);
  const drawn = svg("svg", {
    width, height, role: "img",
    "aria-label": `Its course: ${known.length} values from ${number(Math.min(...ys))} to ${number(Math.max(...ys))}`,
  });
  drawn.append(svg("path", { class: "line hue-0", d: pathOf(points, stepOf(points.map(([at]) => at)), toX, toY) }));
  drawn.append(svg("circle", { class: "dot hue-0", cx: toX(points.at(-1)[0]), cy: toY(points.at(-1)[1]), r: 3 }));
  plot.append(drawn);
}
