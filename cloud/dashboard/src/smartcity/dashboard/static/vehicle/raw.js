// Native payloads beside their meaning: each line as it came, and what each of its pieces says.
import { html } from "../lake/svg.js";

// `open` holds the titles of the lines that are unfolded, so that they stay so when the next payload comes.
export function showRaw(parent, about, told, open) {
  if (!told) {
    about.textContent = "";
    parent.replaceChildren(html("p", { class: "empty" }, "None has come since this page's server started."));
    return;
  }
  const cut = told.cut ? ", the end is cut off" : "";
  about.textContent = `${told.bytes} bytes${cut}${told.time ? `, of ${told.time.slice(11, 23)} UTC` : ""}${told.id ? `, reading ${told.id.split(".")[1]}` : ", from a foreign device"}`;
  parent.replaceChildren(...told.lines.map((line, index) => drawn(line, `${parent.id} ${index}`, open)));
}

function drawn(line, key, open) {
  const mark = line.trouble ? html("span", { class: "trouble" }, line.trouble) : html("span", { class: "quiet" }, line.title);
  const summary = html("summary", { "data-key": key }, html("code", {}, line.text), mark);
  const pieces = html("dl", {}, ...line.pieces.map((piece) => html("div", {}, html("dt", {}, html("code", {}, piece.raw)), html("dd", {}, html("span", { class: "quiet" }, piece.name), ` ${piece.value}`))));
  const made = html("details", { open: open.has(key) }, summary, pieces);
  made.addEventListener("toggle", () => (made.open ? open.add(key) : open.delete(key)));
  return made;
}
