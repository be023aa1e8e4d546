// Dead letters: the latest of each reason, and one of them whole. What a device sent goes through textContent alone.

import { html } from "../lake/svg.js";
import { bytes, clock, count } from "./words.js";

const PAUSE_MS = 3000;
const ROW_BYTES = { wide: 16, narrow: 8 };
const NARROW_PX = 620;

async function ask(address) {
  const answer = await fetch(address);
  const said = await answer.json().catch(() => ({ trouble: `The dashboard answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(said.trouble ?? `The dashboard answered ${answer.status}.`);
  return said;
}

export class Letters {
  constructor(at) {
    this.at = at;
    this.chosen = null;
    this.counts = new Map();
    this.shelf = [];
    this.said = "";
    this.readAt = 0;
    at("again").addEventListener("click", () => this.read());
    at("close").addEventListener("click", () => at("letter").close());
    this.read();
  }

  // What the bridge counts. A change of it says that there are new letters.
  heed(reasons) {
    const said = JSON.stringify(reasons.map(({ reason, count: many }) => [reason, many]));
    if (said === this.said && !this.isDue) return;
    this.counts = new Map(reasons.map((each) => [each.reason, each]));
    this.isDue = true;
    if (said !== this.said) this.showReasons();
    this.said = said;
    if (Date.now() - this.readAt >= PAUSE_MS) this.read();
  }

  async read() {
    this.readAt = Date.now();
    this.isDue = false;
    this.at("again").disabled = true;
    try {
      this.shelf = (await ask("/api/flow/dead-letters")).reasons;
      this.trouble = "";
    } catch (error) {
      this.trouble = error.message;
      this.isDue = true; // Once Kafka is back, by itself.
    }
    this.at("again").disabled = false;
    this.showReasons();
    this.showList();
  }

  showReasons() {
    const known = new Map(this.shelf.map(({ reason, meaning }) => [reason, { reason, meaning }]));
    for (const [reason, each] of this.counts) known.set(reason, each);
    const focused = document.activeElement?.dataset?.reason;
    const made = [...known.values()].map(({ reason, meaning, count: many }) => {
      const chip = html("button", { type: "button", class: "chip", "data-reason": reason, title: meaning, "aria-pressed": String(this.chosen === reason) }, reason.replaceAll("_", " "), html("b", {}, many === undefined ? "" : count(many)));
      chip.addEventListener("click", () => {
        this.chosen = this.chosen === reason ? null : reason;
        this.showReasons();
        this.showList();
      });
      return chip;
    });
    this.at("reasons").replaceChildren(...made);
    if (focused) this.at("reasons").querySelector(`[data-reason="${CSS.escape(focused)}"]`)?.focus();
  }

  showList() {
    const shown = this.shelf.filter(({ reason }) => !this.chosen || reason === this.chosen).flatMap(({ letters }) => letters);
    shown.sort((a, b) => String(b.time).localeCompare(String(a.time)) || b.offset - a.offset);
    const saying = this.at("no-letters");
    saying.hidden = shown.length > 0 && !this.trouble;
    saying.textContent = this.trouble || (this.chosen ? "None of this reason is among the latest in Kafka." : "None: every message that the bridge received was a reading that the contract allows.");
    saying.classList.toggle("alarm", Boolean(this.trouble));
    const focused = document.activeElement?.dataset?.place;
    this.at("letters").replaceChildren(...shown.map((letter) => this.line(letter)));
    if (focused) this.at("letters").querySelector(`[data-place="${focused}"]`)?.focus();
  }

  line(letter) {
    const place = `${letter.partition}/${letter.offset}`;
    const button = html(
      "button", { type: "button", class: "letter", "data-place": place },
      html("span", { class: "time" }, clock(letter.time)),
      html("span", { class: "reason" }, letter.reason.replaceAll("_", " ")),
      html("span", { class: "topic" }, letter.topic || "no MQTT topic"),
      html("span", { class: "detail" }, letter.detail),
      html("span", { class: "size" }, bytes(letter.bytes)),
    );
    button.addEventListener("click", () => this.open(place));
    return html("li", {}, button);
  }

  open(place) {
    this.at("letter").showModal();
    this.show(place);
  }

  async show(place) {
    const [title, body] = [this.at("letter-title"), this.at("letter-body")];
    title.textContent = "Dead letter";
    body.replaceChildren(html("p", { class: "empty" }, "Reading it from Kafka …"));
    try {
      const letter = await ask(`/api/flow/dead-letters/${place}`);
      title.textContent = letter.reason.replaceAll("_", " ");
      body.replaceChildren(...whole(letter, place));
      body.scrollTop = 0;
    } catch (error) {
      const again = html("button", { type: "button" }, "Try again");
      again.addEventListener("click", () => this.show(place));
      body.replaceChildren(html("p", { class: "alarm" }, error.message), again);
    }
  }
}

function whole(letter, place) {
  const facts = [
    ["MQTT topic", letter.topic || "–"], ["device", letter.device ?? "–"], ["id", letter.id ?? "none: a foreign message"],
    ["event time", clock(letter.event_time)], ["sent by the device", clock(letter.sent)], ["received by the bridge", clock(letter.received)],
    ["in Kafka", `dead_letters, partition ${letter.partition}, offset ${letter.offset}, ${clock(letter.kafka_time)}`],
    ["sha256", `${letter.sha256 || "–"}${letter.is_whole ? "" : letter.sha256 ? " (not of these bytes: they were cut)" : ""}`],
  ];
  const list = html("dl", { class: "facts" });
  for (const [name, value] of facts) list.append(html("div", {}, html("dt", {}, name), html("dd", {}, value)));
  const shown = letter.hex.length / 2;
  const heading = shown < letter.bytes ? `Payload, the first ${bytes(shown)} of ${bytes(letter.bytes)}` : `Payload, ${bytes(letter.bytes)}`;
  const load = html("a", { href: `/api/flow/dead-letters/${place}/payload`, download: true, class: "load" }, "Download the bytes");
  return [
    html("p", { class: "why" }, letter.meaning), html("p", { class: "detail" }, letter.detail), list,
    html("h3", {}, heading, load), letter.bytes ? dump(letter.hex) : html("p", { class: "empty" }, "The message was empty."),
    html("h3", {}, "User properties"), properties(letter),
  ];
}

// Offset, hexadecimal digits and text of each row, side by side.
function dump(hex) {
  const size = window.innerWidth < NARROW_PX ? ROW_BYTES.narrow : ROW_BYTES.wide;
  const rows = [];
  for (let from = 0; from * 2 < hex.length; from += size) {
    const pairs = hex.slice(from * 2, (from + size) * 2).match(/../g);
    const text = pairs.map((pair) => printable(Number.parseInt(pair, 16))).join("");
    rows.push(html("div", {}, html("span", { class: "offset" }, from.toString(16).padStart(4, "0")), html("span", { class: "hex" }, pairs.join(" ").padEnd(size * 3 - 1)), html("span", { class: "text" }, text)));
  }
  return html("div", { class: "dump", tabindex: "0", role: "group", "aria-label": "Bytes: offset, hexadecimal, text" }, ...rows);
}

const printable = (code) => (code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : "·");

function properties(letter) {
  if (!letter.properties.length) return html("p", { class: "empty" }, "It had none.");
  const list = html("dl", { class: "facts pairs" });
  for (const [name, value] of letter.properties) list.append(html("div", {}, html("dt", {}, name), html("dd", {}, value)));
  if (letter.properties_left_out) list.append(html("div", {}, html("dt", {}, "…"), html("dd", {}, `and ${letter.properties_left_out} more`)));
  return list;
}
