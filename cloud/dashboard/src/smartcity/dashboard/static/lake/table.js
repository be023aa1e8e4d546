// Rows as a table: a visual of its own, and what every chart can be read as.

import { html, titled, words } from "./svg.js";

export function drawTable(body, visual, rows) {
  const isNumber = (column) => column.type !== "text" && column.type !== "time";
  const heads = visual.columns.map((column) => html("th", { scope: "col", class: isNumber(column) ? "number" : "" }, titled(column)));
  const lines = rows.map((row) => html("tr", {}, ...visual.columns.map((column, at) => cell(visual, column, row[at], isNumber(column)))));
  const table = html("table", {}, html("caption", { class: "unseen" }, visual.title), html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...lines));
  body.append(html("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${visual.title}, table` }, table));
}

function cell(visual, column, value, isNumber) {
  const made = html("td", { class: value === null ? "quiet" : isNumber ? "number" : "" });
  if (visual.link?.column === column.name && value) {
    made.append(html("a", { href: `/lake/${value.split("/").map(encodeURIComponent).join("/")}`, target: "_blank", rel: "noopener" }, visual.link.text));
  } else {
    made.textContent = value === null ? "–" : words(value, column);
  }
  return made;
}
