// The lake's page: sheets, their filters and visuals, as the server's definition has them.

import { Card, ask } from "./card.js";
import { Filters } from "./filters.js";
import { loadRegions } from "./map.js";
import { html } from "./svg.js";

const ROW_PX = 25; // Height of one row of the definition's grid.

const at = (id) => document.getElementById(id);
let filters;
let cards = [];

function showSheets(definition) {
  const links = definition.sheets.map((sheet) => html("a", { href: filters.address(sheet), "aria-current": sheet === filters.sheet ? "page" : undefined }, sheet.title));
  at("sheets").replaceChildren(...links);
}

function showSheet(definition) {
  for (const card of cards) card.leave();
  filters.clicked = null;
  filters.show();
  showSheets(definition);
  document.title = `${filters.sheet.title} – ${definition.title}, the lake`;
  const clicks = {
    isChosen: (visual, values) => filters.isClicked(visual, values),
    onClick: (visual, values) => {
      filters.click(visual, values);
      loadAll(visual);
    },
  };
  cards = [];
  const rows = filters.sheet.rows.map((row) => {
    const made = row.visuals.map((visual) => {
      const card = new Card(visual, clicks);
      card.element.style.setProperty("grid-column", `span ${visual.width}`);
      cards.push(card);
      return card.element;
    });
    const element = html("div", { class: "row" }, ...made);
    element.style.setProperty("--high", `${row.height * ROW_PX}px`);
    return element;
  });
  at("visuals").replaceChildren(...rows);
  loadAll();
}

// Asks for every card's rows; after a click on a visual, for those that it filters.
function loadAll(clicked) {
  showSheets(filters.definition);
  at("asked").textContent = `asked at ${new Date().toISOString().slice(11, 16)}`;
  for (const card of cards) {
    if (clicked === undefined || clicked.targets.includes(card.visual.id)) card.load(filters.query(card.visual));
    else card.draw();
  }
}

async function start() {
  const definition = await ask("/api/lake/definition");
  filters = new Filters(definition, at("filters"), loadAll);
  showSheet(definition);
  window.addEventListener("hashchange", () => {
    filters.read();
    showSheet(definition);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cards.forEach((card) => card.draw()));
  const regions = await loadRegions();
  at("attribution").textContent = `Map: Natural Earth. Roads: ${regions.map((region) => region.attribution).join(" ")}`;
}

start().catch((error) => {
  at("banner").textContent = error.message;
  at("banner").hidden = false;
});
