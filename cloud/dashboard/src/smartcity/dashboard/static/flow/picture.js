// The pipeline as one SVG: a box for each part, an arrow for each hop. Built once per width, then kept up to date, so that
// nothing flickers.

import { svg } from "../lake/svg.js";
import { count, rate } from "./words.js";

const NARROW_PX = 760;
const WIDE = { boxHeight: 112, gap: 58, top: 4, receipts: 44 };
const TALL = { boxHeight: 62, gap: 30 };
const IN_WORDS = { up: "up", waiting: "waiting", down: "down", unwatched: "not watched", unknown: "not known" };

export class Picture {
  constructor(holder) {
    this.holder = holder;
    this.built = "";
  }

  show(flow) {
    const width = Math.floor(this.holder.clientWidth);
    if (!width) return;
    const layout = `${width} ${flow.parts.map((part) => part.id).join(" ")}`;
    if (layout !== this.built) this.build(flow, width);
    this.built = layout;
    flow.parts.forEach((part, at) => showBox(this.boxes[at], part));
    flow.hops.forEach((hop, at) => showArrow(this.arrows[at], hop, flow.parts[at].state === "down" ? flow.parts[at] : flow.parts[at + 1]));
    if (this.receipts) {
      const isDown = flow.parts.some((part) => part.id === "bridge" && part.state !== "up");
      showArrow(this.receipts, { per_s: isDown ? null : flow.receipts_per_s }, { state: isDown ? "down" : "up" }, "receipts ");
    }
  }

  build(flow, width) {
    const isNarrow = width < NARROW_PX;
    const places = isNarrow ? tall(flow.parts.length, width) : wide(flow.parts.length, width);
    const drawn = svg("svg", { width, height: places.height, role: "list", "aria-label": "Parts of the pipeline, in the order of a reading's way" });
    this.arrows = flow.hops.map((hop, at) => arrow(drawn, places.arrows[at]));
    this.receipts = isNarrow ? null : arrow(drawn, places.receipts);
    this.boxes = flow.parts.map((part, at) => box(drawn, places.boxes[at], part, isNarrow));
    this.holder.replaceChildren(drawn);
  }

  // Nothing is heard any more: what stands there is old.
  fade(isOld) {
    this.holder.classList.toggle("old", isOld);
  }
}

function wide(count_, width) {
  const { boxHeight, gap, top, receipts } = WIDE;
  const boxWidth = (width - gap * (count_ - 1) - 2) / count_;
  const boxes = Array.from({ length: count_ }, (_, at) => ({ x: 1 + at * (boxWidth + gap), y: top, width: boxWidth, height: boxHeight }));
  const middle = top + boxHeight / 2;
  const arrows = boxes.slice(1).map((each, at) => {
    const from = boxes[at].x + boxWidth;
    return { d: `M${from + 4} ${middle}H${each.x - 11}`, head: `M${each.x - 12} ${middle - 5}l8 5l-8 5z`, x: (from + each.x) / 2, y: middle - 10 };
  });
  const [first, bridge] = [boxes[0].x + boxWidth / 2, boxes[2].x + boxWidth / 2];
  const [under, low] = [top + boxHeight + 4, top + boxHeight + 26];
  const back = { d: `M${bridge} ${under}V${low - 8}Q${bridge} ${low} ${bridge - 8} ${low}H${first + 8}Q${first} ${low} ${first} ${low - 8}V${under + 8}`, head: `M${first - 5} ${under + 8}l5 -8l5 8z`, x: (first + bridge) / 2, y: low - 5 };
  return { boxes, arrows, receipts: back, height: top + boxHeight + receipts };
}

function tall(count_, width) {
  const { boxHeight, gap } = TALL;
  const boxes = Array.from({ length: count_ }, (_, at) => ({ x: 1, y: 2 + at * (boxHeight + gap), width: width - 2, height: boxHeight }));
  const arrows = boxes.slice(1).map((each, at) => {
    const from = boxes[at].y + boxHeight;
    return { d: `M28 ${from + 3}V${each.y - 10}`, head: `M23 ${each.y - 11}l5 8l5 -8z`, x: 44, y: from + gap / 2 + 4, anchor: "start" };
  });
  return { boxes, arrows, height: 4 + count_ * (boxHeight + gap) - gap };
}

function box(drawn, place, part, isNarrow) {
  const { x, y, width, height } = place;
  const group = svg("g", { role: "listitem" });
  const lamp = svg("path", { class: "lamp-mark" });
  const title = svg("text", { class: "part-title", x: x + 27, y: y + 21 }, part.title);
  const says = isNarrow
    ? svg("text", { class: "part-says", x: x + width - 12, y: y + 21, "text-anchor": "end" })
    : svg("text", { class: "part-says", x: x + 11, y: y + 41 });
  group.append(svg("rect", { class: "part-box", x, y, width, height, rx: 8 }), lamp, title, says);
  const numbers = part.numbers.map((_, at) => {
    if (isNarrow) return null;
    const line = y + 62 + at * 17;
    const name = svg("text", { class: "part-name", x: x + 11, y: line });
    const value = svg("text", { class: "part-value", x: x + width - 11, y: line, "text-anchor": "end" });
    group.append(name, value);
    return { name, value };
  });
  const line = isNarrow ? svg("text", { class: "part-name", x: x + 12, y: y + 45 }) : null;
  if (line) group.append(line);
  drawn.append(group);
  return { group, lamp, says, numbers, line, at: { x: x + 16, y: y + 16.5 } };
}

// The lamp's form says the state, too: a disc, a triangle, a square, a ring.
function lampPath(state, { x, y }) {
  if (state === "down") return `M${x - 5} ${y - 5}h10v10h-10z`;
  if (state === "waiting") return `M${x} ${y - 6}l6.5 11h-13z`;
  return `M${x - 5} ${y}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z`;
}

function showBox(made, part) {
  made.group.setAttribute("class", `part ${part.state}`);
  made.group.setAttribute("data-part", part.id);
  made.lamp.setAttribute("d", lampPath(part.state, made.at));
  made.says.textContent = part.says;
  part.numbers.forEach((number, at) => {
    if (!made.numbers[at]) return;
    made.numbers[at].name.textContent = number.name;
    made.numbers[at].value.textContent = count(number.value);
    made.numbers[at].value.classList.toggle("bad", number.bad);
  });
  const known = part.numbers.filter((number) => number.value !== null && number.value !== undefined);
  const inOne = known.map((number) => `${number.name} ${count(number.value)}`).join(" · ");
  if (made.line) made.line.textContent = inOne;
  made.group.setAttribute("aria-label", [`${part.title}: ${IN_WORDS[part.state]}, ${part.says}`, inOne].filter(Boolean).join("; "));
}

function arrow(drawn, place) {
  const line = svg("path", { class: "hop", d: place.d });
  const head = svg("path", { class: "hop-head", d: place.head });
  const text = svg("text", { class: "hop-rate", x: place.x, y: place.y, "text-anchor": place.anchor ?? "middle" });
  const group = svg("g", { "aria-hidden": "true" }, line, head, text);
  drawn.append(group);
  return { group, text };
}

function showArrow(made, hop, to, name = "") {
  const isFlowing = hop.per_s > 0;
  made.group.setAttribute("class", `arrow ${to.state}${isFlowing ? " flowing" : ""}`);
  made.text.textContent = hop.per_s === null || hop.per_s === undefined ? "" : `${name}${rate(hop.per_s)}/s`;
}
