// Bars: lying, as rows of text and buttons, for names; standing for numbers. And the heat map.

import { html, hues, legend, linear, number, roles, svg, ticks, titled, words } from "./svg.js";

const MARGIN = { top: 10, right: 10, bottom: 34, left: 42 };
const HEATS = 7;

function grouped(visual, rows) {
  const { x, color, measure } = roles(visual);
  const groups = new Map();
  for (const row of rows) {
    if (row[measure] === null) continue;
    if (!groups.has(row[x])) groups.set(row[x], []);
    groups.get(row[x]).push({ color: color < 0 ? null : row[color], value: row[measure], row });
  }
  const names = rows.map((row) => (color < 0 ? null : row[color]));
  const colors = color < 0 ? new Map([[null, "hue-0"]]) : hues(visual.columns[color].name, names);
  return { groups, colors, hasColor: color >= 0 };
}

// `onClick(values)` gets the clicked bar's columns and values; `isChosen(values)` says whether they are set already.
export function drawBars(body, visual, rows, { onClick, isChosen }) {
  const { x } = roles(visual);
  if (visual.columns[x].type === "text") drawLying(body, visual, rows, { onClick, isChosen });
  else drawStanding(body, visual, rows);
}

function drawLying(body, visual, rows, { onClick, isChosen }) {
  const { x, color, measure } = roles(visual);
  const isStacked = visual.kind === "stacked_bar";
  const { groups, colors, hasColor } = grouped(visual, rows);
  const total = (parts) => (isStacked ? parts.reduce((sum, part) => sum + part.value, 0) : Math.max(...parts.map((part) => part.value)));
  const highest = Math.max(...[...groups.values()].map(total), 0) || 1;
  const list = html("ul", { class: isStacked ? "bars stacked" : "bars", "aria-label": `${visual.columns[measure].title} by ${visual.columns[x].title}` });
  for (const [name, parts] of groups) {
    const track = html("div", { class: "track" });
    for (const part of parts) {
      const values = { [visual.columns[x].name]: name };
      if (color >= 0) values[visual.columns[color].name] = part.color;
      const label = [name ?? "not known", hasColor ? part.color ?? "not known" : "", number(part.value)].filter(Boolean).join(", ");
      track.append(lyingBar({ visual, part, hue: colors.get(part.color), share: part.value / highest, label, values, onClick, isChosen, isStacked }));
    }
    if (isStacked) track.append(html("span", { class: "sum" }, number(total(parts))));
    list.append(html("li", {}, html("span", { class: "name", title: name ?? "" }, name ?? "not known"), track));
  }
  body.append(html("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": visual.title }, list));
  body.append(hasColor ? legend(colors) : html("p", { class: "quiet measure" }, visual.columns[measure].title));
}

function lyingBar({ visual, part, hue, share, label, values, onClick, isChosen, isStacked }) {
  const isButton = visual.clicks.length > 0 && Object.values(values).every((value) => value !== null);
  const bar = html(isButton ? "button" : "span", {
    class: `bar ${hue}`, title: label,
    ...(isButton ? { type: "button", "aria-label": `Filter by ${label}`, "aria-pressed": String(isChosen(values)) } : {}),
  });
  bar.style.width = `calc(${(Math.max(0, share) * 100).toFixed(2)}% - ${isStacked ? "3rem" : "0px"} * ${Math.max(0, share).toFixed(4)})`;
  if (isButton) bar.addEventListener("click", () => onClick(values));
  if (isStacked) return bar;
  return html("div", { class: "lane" }, bar, html("span", { class: "sum" }, number(part.value)));
}

function drawStanding(body, visual, rows) {
  const { x, color, measure } = roles(visual);
  const { groups, colors, hasColor } = grouped(visual, rows);
  const plot = html("div", { class: "plot" });
  body.append(plot);
  body.append(hasColor ? legend(colors) : html("p", { class: "quiet measure" }, visual.columns[measure].title));
  const { width, height } = plot.getBoundingClientRect();
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const keys = [...groups.keys()].sort((a, b) => a - b);
  const [low, high] = visual.columns[x].name === "hour_of_day" ? [0, 23] : [keys[0], keys.at(-1)];
  const values = [...groups.values()].flat().map((part) => part.value);
  const yTicks = ticks(0, Math.max(...values, 0) || 1, Math.max(2, Math.round(height / 55)));
  const toY = linear([0, yTicks.at(-1)], [bottom, MARGIN.top]);
  const slot = (right - MARGIN.left) / (high - low + 1);
  const order = [...colors.keys()];
  const wide = (slot * 0.8) / Math.max(1, order.length);
  const drawn = svg("svg", { width, height, role: "img", "aria-label": `${visual.title}: ${values.length} bars. The table has them all.` });
  for (const value of yTicks) {
    drawn.append(svg("line", { class: value === 0 ? "axis" : "grid", x1: MARGIN.left, x2: right, y1: toY(value), y2: toY(value) }));
    drawn.append(svg("text", { class: "tick", x: MARGIN.left - 6, y: toY(value) + 4, "text-anchor": "end" }, number(value)));
  }
  for (const key of ticks(low, high, Math.max(2, width / 60)).filter((each) => Number.isInteger(each) && each >= low && each <= high)) {
    drawn.append(svg("text", { class: "tick", x: MARGIN.left + (key - low + 0.5) * slot, y: bottom + 16, "text-anchor": "middle" }, number(key)));
  }
  drawn.append(svg("text", { class: "title", x: (MARGIN.left + right) / 2, y: height - 3, "text-anchor": "middle" }, titled(visual.columns[x])));
  for (const [key, parts] of groups) {
    for (const part of parts) {
      const left = MARGIN.left + (key - low + 0.1) * slot + order.indexOf(part.color) * wide;
      const bar = svg("rect", {
        class: `column ${colors.get(part.color)}`, x: left, y: toY(part.value), width: Math.max(1, wide - 0.5), height: Math.max(0, bottom - toY(part.value)),
      });
      bar.append(svg("title", {}, `${words(key, visual.columns[x])}${color < 0 ? "" : `, ${part.color}`}: ${number(part.value)}`));
      drawn.append(bar);
    }
  }
  plot.append(drawn);
}

export function drawHeat(body, visual, rows) {
  const dimensions = visual.columns.map((column, at) => [column, at]).filter(([column]) => column.role === "dimension");
  const [[rowColumn, rowAt], [columnColumn, columnAt]] = dimensions;
  const { measure } = roles(visual);
  const known = rows.filter((row) => row[measure] !== null);
  const plot = html("div", { class: "plot" });
  body.append(plot);
  const values = known.map((row) => row[measure]);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  body.append(heatLegend(lowest, highest, visual.columns[measure].title));
  const { width, height } = plot.getBoundingClientRect();
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const ys = [...new Set(known.map((row) => row[rowAt]))].sort((a, b) => a - b);
  const xs = columnColumn.name === "hour_of_day" ? [...Array(24).keys()] : [...new Set(known.map((row) => row[columnAt]))].sort((a, b) => a - b);
  const [wide, high] = [(right - MARGIN.left) / xs.length, (bottom - MARGIN.top) / ys.length];
  const drawn = svg("svg", { width, height, role: "img", "aria-label": `${visual.title}: ${known.length} cells from ${number(lowest)} to ${number(highest)}. The table has them all.` });
  for (const row of known) {
    const level = Math.min(HEATS - 1, Math.floor(((row[measure] - lowest) / (highest - lowest || 1)) * HEATS));
    const cell = svg("rect", {
      class: `heat-${level}`, x: MARGIN.left + xs.indexOf(row[columnAt]) * wide, y: bottom - (ys.indexOf(row[rowAt]) + 1) * high,
      width: Math.max(1, wide - 1), height: Math.max(1, high - 1),
    });
    cell.append(svg("title", {}, `${titled(rowColumn)} ${row[rowAt]}, ${titled(columnColumn)} ${row[columnAt]}: ${number(row[measure])}`));
    drawn.append(cell);
  }
  const everyY = Math.ceil(ys.length / Math.max(1, Math.floor((bottom - MARGIN.top) / 16)));
  ys.forEach((value, at) => {
    if (at % everyY === 0) drawn.append(svg("text", { class: "tick", x: MARGIN.left - 6, y: bottom - (at + 0.5) * high + 4, "text-anchor": "end" }, number(value)));
  });
  const everyX = Math.ceil(xs.length / Math.max(1, Math.floor((right - MARGIN.left) / 28)));
  xs.forEach((value, at) => {
    if (at % everyX === 0) drawn.append(svg("text", { class: "tick", x: MARGIN.left + (at + 0.5) * wide, y: bottom + 16, "text-anchor": "middle" }, number(value)));
  });
  drawn.append(svg("text", { class: "title", x: (MARGIN.left + right) / 2, y: height - 3, "text-anchor": "middle" }, `${titled(rowColumn)} over ${titled(columnColumn)}`));
  plot.append(drawn);
}

function heatLegend(lowest, highest, title) {
  const steps = [...Array(HEATS).keys()].map((level) => html("i", { class: `swatch heat-${level}` }));
  return html("p", { class: "quiet measure" }, `${title}: ${number(lowest)} `, ...steps, ` ${number(highest)}`);
}
