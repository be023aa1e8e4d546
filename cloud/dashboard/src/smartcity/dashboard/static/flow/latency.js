// Latency per hop: two quantiles and the distribution behind them; and the same by stream, as a table.

import { html, svg } from "../lake/svg.js";
import { count, duration, rate } from "./words.js";

const [BARS_WIDTH, BARS_HEIGHT] = [300, 54];
const BARS_MIN = 8;

export function showLatency(holder, flow) {
  holder.replaceChildren(...flow.latency.map(card));
}

function card(hop) {
  const made = html("article", { class: "panel hop-card", "data-hop": hop.id }, html("h3", {}, hop.title));
  if (!hop.count) {
    made.append(html("p", { class: "empty" }, hop.is_heard ? "No reading in this time." : "Not known: its process does not answer."), html("p", { class: "quiet small" }, hop.clocks));
    return made;
  }
  made.append(
    html("p", { class: "quantiles" }, html("span", {}, "p50 ", html("b", {}, duration(hop.p50_s))), html("span", {}, "p99 ", html("b", {}, hop.p99_s === null && hop.beyond ? `> ${duration(hop.bound_s)}` : duration(hop.p99_s))), html("span", { class: "quiet" }, `${count(hop.count)} readings`)),
    bars(hop),
  );
  if (hop.note) made.append(html("p", { class: "note" }, hop.note));
  made.append(html("p", { class: "quiet small" }, hop.clocks));
  return made;
}

// A bar for each bucket between the first and the last that has any.
function bars(hop) {
  const filled = hop.bars.map(([, , many], at) => (many ? at : -1)).filter((at) => at >= 0);
  if (!filled.length) return html("p", { class: "empty" }, "None lies within the measured range.");
  let [first, last] = [Math.max(0, filled[0] - 1), Math.min(hop.bars.length - 1, filled.at(-1) + 1)];
  while (last - first + 1 < BARS_MIN && (first > 0 || last < hop.bars.length - 1)) {
    if (first > 0) first -= 1;
    if (last < hop.bars.length - 1) last += 1;
  }
  const shown = hop.bars.slice(first, last + 1);
  const highest = Math.max(...shown.map(([, , many]) => many));
  const step = BARS_WIDTH / shown.length;
  const drawn = svg("svg", {
    viewBox: `0 0 ${BARS_WIDTH} ${BARS_HEIGHT + 14}`, class: "bars", role: "img",
    "aria-label": `${hop.title}: ${shown.filter(([, , many]) => many).map(([low, high, many]) => `${many} from ${duration(low)} to ${duration(high)}`).join(", ")}`,
  });
  shown.forEach(([low, high, many], at) => {
    const height = many ? Math.max(1.5, (many / highest) * BARS_HEIGHT) : 0;
    const bar = svg("rect", { x: at * step + 1, y: BARS_HEIGHT - height, width: Math.max(1, step - 2), height, rx: 1 });
    bar.append(svg("title", {}, `${duration(low)} to ${duration(high)}: ${many}`));
    drawn.append(bar);
  });
  drawn.append(
    svg("line", { x1: 0, x2: BARS_WIDTH, y1: BARS_HEIGHT + 0.5, y2: BARS_HEIGHT + 0.5 }),
    svg("text", { x: 0, y: BARS_HEIGHT + 12 }, duration(shown[0][0])),
    svg("text", { x: BARS_WIDTH, y: BARS_HEIGHT + 12, "text-anchor": "end" }, duration(shown.at(-1)[1])),
  );
  return drawn;
}

const COLUMNS = [["mosquitto", "at the gateway"], ["bridge", "to the bridge"], ["kafka", "to Kafka"], ["lake", "to the lake"]];

export function showStreams(table, flow) {
  const hops = new Map(flow.hops.map((hop) => [hop.to, hop]));
  const heads = [...COLUMNS.map(([, title]) => title), ...flow.latency.map((hop) => hop.title)];
  const head = html("tr", {}, html("th", { scope: "col" }, "stream"), ...heads.map((title) => html("th", { scope: "col", class: "number" }, title)));
  const rows = flow.streams.map((stream) => html(
    "tr", {}, html("th", { scope: "row" }, stream),
    ...COLUMNS.map(([to]) => html("td", { class: "number" }, rate(hops.get(to)?.streams[stream] ?? null))),
    ...flow.latency.map((hop) => html("td", { class: "number" }, both(hop.streams[stream]))),
  ));
  table.replaceChildren(html("thead", {}, head), html("tbody", {}, ...rows));
}

const both = (one) => (one?.count ? `${duration(one.p50_s)} / ${duration(one.p99_s)}` : "–");
