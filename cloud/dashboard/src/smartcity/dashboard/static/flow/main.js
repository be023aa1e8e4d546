// The pipeline's page: takes in what the server says of every part, once a second.

import { html } from "../lake/svg.js";
import { showLatency, showStreams } from "./latency.js";
import { Letters } from "./letters.js";
import { Picture } from "./picture.js";

const RETRY_MS = 3000;
const at = (id) => document.getElementById(id);
const picture = new Picture(at("picture"));
const letters = new Letters(at);
let shown = null;
let troubles = "";

function show(flow) {
  shown = flow;
  at("banner").hidden = true;
  picture.fade(false);
  picture.show(flow);
  showTroubles(flow.parts);
  showLatency(at("latency"), flow);
  showStreams(at("streams"), flow);
  letters.heed(flow.dead_letters);
  const over = Math.round(Math.max(...flow.latency.map((hop) => hop.over_s)));
  at("window").textContent = over < flow.window_s ? `watched for ${over} s` : "last minute";
  const states = flow.parts.map((part) => part.state);
  const down = states.filter((state) => state === "down").length;
  const waiting = states.filter((state) => state === "waiting").length;
  at("at").textContent = down ? `${down} down` : waiting ? `${waiting} waiting` : states.includes("unknown") ? "asking the parts …" : "all is well";
  at("at").className = down ? "alarm" : "quiet";
}

// Said again only when it changes: a screen reader reads every change aloud.
function showTroubles(parts) {
  const wrong = parts.filter((part) => ["down", "waiting"].includes(part.state));
  const said = JSON.stringify(wrong.map((part) => [part.id, part.state, part.says, part.remedy]));
  if (said === troubles) return;
  troubles = said;
  at("troubles").replaceChildren(...wrong.map((part) => html("li", { class: part.state, "data-trouble": part.id }, html("b", {}, part.title), ` ${part.reason} `, html("span", { class: "remedy" }, ...withCode(part.remedy ?? "")))));
}

// What stands between backticks is a command.
const withCode = (text) => text.split("`").map((piece, at) => (at % 2 ? html("code", {}, piece) : piece));

function listen() {
  const events = new EventSource("/api/flow/events");
  events.addEventListener("flow", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    picture.fade(true);
    at("banner").textContent = "The dashboard does not answer; what you see is old. Trying again …";
    at("banner").hidden = false;
    // The browser gives up after an answer other than 200.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  });
}

new ResizeObserver(() => shown && picture.show(shown)).observe(at("picture"));
listen();
