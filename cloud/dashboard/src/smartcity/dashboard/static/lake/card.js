// One visual: asks for its rows, and shows them drawn or as a table, or says why it cannot.

import { drawBars, drawHeat } from "./bars.js";
import { drawKpi, drawLines } from "./lines.js";
import { drawMap, loadRegions } from "./map.js";
import { html } from "./svg.js";
import { drawTable } from "./table.js";

const PATIENCE_MS = 300; // Before this an answer needs no announcement.

export class Card {
  // `clicks` has `onClick(visual, values)` and `isChosen(visual, values)`.
  constructor(visual, clicks) {
    this.visual = visual;
    this.clicks = clicks;
    this.rows = null;
    this.isTable = false;
    this.query = null;
    this.body = html("div", { class: "body" });
    this.toggle = html("button", { type: "button", class: "as-table", "aria-pressed": "false", "aria-label": `${visual.title} as a table` }, "Table");
    this.toggle.addEventListener("click", () => this.showAsTable(!this.isTable));
    const title = html("h2", { id: `title-${visual.id}` }, visual.title);
    const head = html("header", {}, title);
    if (visual.kind !== "table") head.append(this.toggle);
    this.element = html("section", { class: `card ${visual.kind}`, id: `visual-${visual.id}`, "aria-labelledby": title.id }, head);
    if (visual.note) this.element.append(html("p", { class: "note quiet" }, visual.note));
    this.element.append(this.body);
    new ResizeObserver(() => this.draw()).observe(this.body);
  }

  showAsTable(isTable) {
    this.isTable = isTable;
    this.toggle.setAttribute("aria-pressed", String(isTable));
    this.draw();
  }

  // Asks with the filters' query; an older question of this card is given up, which stops it at Athena.
  async load(query) {
    this.abort?.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.query = query;
    this.state("asking");
    const impatience = setTimeout(() => {
      if (this.rows === null) this.say("Asking the lake …");
    }, PATIENCE_MS);
    try {
      const [answer, regions] = await Promise.all([
        ask(`/api/lake/visual/${this.visual.id}?${query}`, signal),
        this.visual.kind === "map" ? loadRegions() : null,
      ]);
      this.regions = regions;
      this.rows = answer.rows;
      this.nothing = answer.nothing;
      this.state(this.rows.length ? "drawn" : "empty");
      this.draw();
    } catch (error) {
      if (signal.aborted) return;
      this.rows = null;
      this.state("failed");
      const again = html("button", { type: "button" }, "Ask again");
      again.addEventListener("click", () => this.load(this.query));
      this.say(error.message, again);
    } finally {
      clearTimeout(impatience);
    }
  }

  leave() {
    this.abort?.abort();
  }

  state(name) {
    this.element.dataset.state = name;
    this.element.setAttribute("aria-busy", String(name === "asking"));
  }

  say(text, ...more) {
    this.body.replaceChildren(html("div", { class: "saying" }, html("p", {}, text), ...more));
  }

  draw() {
    const { visual, rows, body } = this;
    if (rows === null || this.element.dataset.state === "failed" || !body.isConnected) return;
    const { scrollTop } = body.querySelector(".scroll") ?? { scrollTop: 0 };
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    if (rows.length === 0) {
      this.say(this.nothing ?? "Nothing in this range, or with these filters.");
      return;
    }
    body.replaceChildren();
    const draws = { kpi: drawKpi, line: drawLines, bar: drawBars, stacked_bar: drawBars, heat_map: drawHeat, map: drawMap, table: drawTable };
    const clicks = { onClick: (values) => this.clicks.onClick(visual, values), isChosen: (values) => this.clicks.isChosen(visual, values) };
    if (this.isTable) drawTable(body, visual, rows);
    else draws[visual.kind](body, visual, rows, visual.kind === "map" ? this.regions : clicks);
    const scroll = body.querySelector(".scroll");
    if (scroll) scroll.scrollTop = scrollTop;
    if (focused) [...body.querySelectorAll("[aria-label]")].find((each) => each.getAttribute("aria-label") === focused)?.focus();
  }
}

export async function ask(address, signal) {
  let answer;
  try {
    answer = await fetch(address, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The dashboard does not answer. Is it still running (smartcity status)?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.trouble ?? `The dashboard answered ${answer.status}.`);
  return body;
}
