// What the reader has set: the sheet, a range of times, choices, clicks. It stands in the address, so it can be kept.

import { ask } from "./card.js";
import { html } from "./svg.js";

const DAY_MS = 86_400e3;
const RANGES = { "1": "last 24 hours", "7": "last 7 days", "30": "last 30 days", own: "own range" };

export class Filters {
  constructor(definition, form, onChange) {
    this.definition = definition;
    this.form = form;
    this.onChange = onChange;
    this.clicked = null; // { visual, values } of the sheet shown.
    this.read();
    form.addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("click", (event) => {
      for (const menu of form.querySelectorAll("details[open]")) if (!menu.contains(event.target)) menu.open = false;
    });
    document.addEventListener("keydown", (event) => {
      const menu = event.key === "Escape" && form.querySelector("details[open]");
      if (!menu) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }

  // Takes everything from the address.
  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const { sheets, filters } = this.definition;
    this.sheet = sheets.find((sheet) => sheet.id === given.get("sheet")) ?? sheets[0];
    const range = filters.find((filter) => filter.control === "range");
    this.range = given.get("range") in RANGES ? given.get("range") : String(range.days);
    this.since = given.get("since") ?? "";
    this.until = given.get("until") ?? "";
    this.choices = {};
    for (const filter of filters) if (filter.control === "choice" && given.has(filter.id)) this.choices[filter.id] = given.getAll(filter.id);
  }

  address(sheet = this.sheet) {
    const kept = new URLSearchParams({ sheet: sheet.id, range: this.range });
    if (this.range === "own") {
      kept.set("since", this.since);
      kept.set("until", this.until);
    }
    for (const [id, values] of Object.entries(this.choices)) for (const value of values) kept.append(id, value);
    return `#${kept}`;
  }

  // The query for a visual of the sheet shown.
  query(visual) {
    const asked = new URLSearchParams();
    for (const [key, value] of Object.entries(this.times())) if (value) asked.set(key, value);
    for (const id of this.sheet.filters) for (const value of this.choices[id] ?? []) asked.append(id, value);
    if (this.clicked?.visual.targets.includes(visual.id)) {
      for (const [column, value] of Object.entries(this.clicked.values)) asked.append(`clicked.${column}`, value);
    }
    return asked.toString();
  }

  // Whole days end with today; the last 24 hours begin with a full hour.
  times() {
    if (!this.sheet.filters.some((id) => this.definition.filters.find((filter) => filter.id === id).control === "range")) return {};
    if (this.range === "own") return { since: this.since && `${this.since}Z`, until: this.until && `${this.until}Z` };
    const now = Date.now();
    const midnight = Math.floor(now / DAY_MS) * DAY_MS;
    const since = this.range === "1" ? Math.floor((now - DAY_MS) / 3600e3) * 3600e3 : midnight - Number(this.range) * DAY_MS;
    return { since: iso(since), until: iso(midnight + DAY_MS) };
  }

  changed() {
    history.replaceState(null, "", this.address());
    this.onChange();
  }

  show() {
    const controls = this.sheet.filters.map((id) => {
      const filter = this.definition.filters.find((each) => each.id === id);
      return filter.control === "range" ? this.rangeControl(filter) : this.choiceControl(filter);
    });
    this.chips = html("div", { class: "chips", role: "status" });
    const again = html("button", { type: "button", id: "again" }, "Ask again");
    again.addEventListener("click", () => this.onChange());
    this.form.replaceChildren(...controls, this.chips, again);
    this.showClicked();
  }

  rangeControl(filter) {
    const select = html("select", { id: "filter-range" }, ...Object.entries(RANGES).map(([value, text]) => html("option", { value }, text)));
    select.value = this.range;
    const inputs = ["since", "until"].map((key) => {
      const input = html("input", { type: "datetime-local", "aria-label": `${filter.title} ${key === "since" ? "from" : "until"}, UTC` });
      input.value = this[key];
      input.addEventListener("change", () => {
        this[key] = input.value;
        this.changed();
      });
      return input;
    });
    const own = html("span", { class: "own", hidden: this.range !== "own" }, inputs[0], " to ", inputs[1]);
    select.addEventListener("change", () => {
      if (select.value === "own") {
        const { since, until } = this.times();
        [this.since, this.until] = [since.slice(0, 16), until.slice(0, 16)];
        [inputs[0].value, inputs[1].value] = [this.since, this.until];
      }
      this.range = select.value;
      own.hidden = this.range !== "own";
      this.changed();
    });
    return html("label", { class: "filter" }, html("span", {}, filter.title), select, own);
  }

  choiceControl(filter) {
    const summary = html("summary", {});
    const menu = html("div", { class: "menu", role: "group", "aria-label": filter.title }, html("p", { class: "quiet" }, "Asking the lake …"));
    const details = html("details", { class: "filter", id: `filter-${filter.id}` }, summary, menu);
    const name = () => {
      const chosen = this.choices[filter.id] ?? [];
      summary.replaceChildren(html("span", {}, filter.title), html("b", {}, chosen.length === 0 ? "all" : chosen.length === 1 ? chosen[0] : `${chosen.length} chosen`));
    };
    details.addEventListener("toggle", () => details.open && this.fill(filter, menu, name));
    name();
    return details;
  }

  async fill(filter, menu, name) {
    let offered;
    try {
      const answer = await ask(`/api/lake/choices/${filter.id}`);
      offered = answer.rows.map((row) => row[0]);
      if (answer.nothing) throw new Error(answer.nothing);
    } catch (error) {
      menu.replaceChildren(html("p", {}, error.message));
      return;
    }
    const chosen = () => this.choices[filter.id] ?? [];
    const boxes = [...new Set([...offered, ...chosen()])].map((value) => {
      const box = html("input", { type: "checkbox", value });
      box.checked = chosen().includes(value);
      box.addEventListener("change", () => {
        this.choices[filter.id] = box.checked ? [...chosen(), value] : chosen().filter((each) => each !== value);
        name();
        this.changed();
      });
      return html("label", {}, box, ` ${value}`);
    });
    const all = html("button", { type: "button" }, "All");
    all.addEventListener("click", () => {
      delete this.choices[filter.id];
      for (const box of menu.querySelectorAll("input")) box.checked = false;
      name();
      this.changed();
    });
    menu.replaceChildren(...(boxes.length ? [all, ...boxes] : [html("p", {}, "The lake has no value to choose yet.")]));
  }

  isClicked(visual, values) {
    return this.clicked?.visual.id === visual.id && Object.entries(values).every(([column, value]) => this.clicked.values[column] === value);
  }

  // A click sets its columns' values, and the same click again takes them away.
  click(visual, values) {
    this.clicked = this.isClicked(visual, values) ? null : { visual, values };
    this.showClicked();
  }

  showClicked() {
    this.chips.replaceChildren();
    if (!this.clicked) return;
    const { visual, values } = this.clicked;
    const drop = html("button", { type: "button", class: "chip", "aria-label": "Take the click's filter away" }, `${Object.values(values).join(", ")} ✕`);
    drop.addEventListener("click", () => {
      this.clicked = null;
      this.showClicked();
      this.onChange(visual);
    });
    this.chips.append(drop);
  }
}

const iso = (at) => new Date(at).toISOString().slice(0, 19) + "Z";
