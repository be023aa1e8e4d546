// A vehicle's page: asks for it once a second, and shows what came. Texts of devices become text, never markup.
import { html } from "../lake/svg.js";
import { Chart } from "./chart.js";
import { showRaw } from "./raw.js";

const ASK_MS = 1000;
const SILENT_S = 10;
const FIRST_S = 60;

const at = (id) => document.getElementById(id);
const name = decodeURIComponent(window.location.pathname.split("/").pop());
const whole = (value) => value.toLocaleString("en-US");
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
const fixed = (value, places, unit) => (Number.isFinite(value) ? `${value.toFixed(places)} ${unit}` : "–");

const charts = [
  { title: "Speed", unit: "km/h", column: 1, floor: 0, ceiling: 60 },
  { title: "Engine speed", unit: "1/min", column: 2, floor: 0, ceiling: 3000 },
  { title: "Fuel level", unit: "%", column: 3, floor: 0, ceiling: 100 },
  { title: "Coolant temperature", unit: "°C", column: 4, floor: 0, ceiling: 100 },
].map((what) => new Chart(at("charts"), what));

let rows = [];
const open = new Set(["gps 0", "obd 2"]);
const shownRaw = {}; // The reading's id or time by stream, to leave alone what is as it was.

function pairs(list, entries) {
  list.replaceChildren(...entries.map(([term, value, alarm]) => html("div", {}, html("dt", {}, term), html("dd", { class: alarm ? "alarm" : "" }, value))));
}

function show(told) {
  at("unknown").hidden = true;
  at("known").hidden = false;
  banner([told.gateway.trouble].filter(Boolean).join(" · "));
  showAbout(told);
  showOutbox(told.status, told.now);
  const { book } = told;
  rows = rows.concat(book?.rows ?? []).filter((row) => row[0] > told.now - book.keeps_s);
  // The charts begin with a minute, and grow with what they have.
  const seconds = rows.length ? Math.max(FIRST_S, told.now - rows[0][0]) : FIRST_S;
  for (const chart of charts) chart.draw(rows, told.now, seconds);
  for (const [id, stream] of [["gps", "gps"], ["obd", "vehicle"]]) {
    const raw = book?.raw[stream];
    const mark = raw ? `${raw.id} ${raw.at}` : "none";
    if (shownRaw[id] === mark || at(id).contains(document.activeElement)) continue; // What somebody reads stays.
    shownRaw[id] = mark;
    showRaw(at(id), at(`${id}-about`), raw, open);
  }
}

function showAbout({ vehicle, status, now, book }) {
  const newest = Math.max(vehicle.seen ?? 0, ...Object.values(book?.raw ?? {}).map((raw) => raw.at));
  const silence = newest ? now - newest : Infinity;
  const since = status ? ` ${status.since_at_least ? "since before" : "since"} ${clock(status.since)}` : "";
  const state = at("state");
  if (status?.state === "offline") [state.className, state.textContent] = ["lamp bad", `offline${since}`];
  else if (silence > SILENT_S) [state.className, state.textContent] = ["lamp wait", newest ? `silent since ${clock(newest)}` : "no reading yet"];
  else [state.className, state.textContent] = ["lamp good", status ? `online${since}` : "sends, but says no status"];
  at("kind").textContent = [vehicle.make, vehicle.model, vehicle.vehicle_type, vehicle.fuel_type].filter(Boolean).join(" · ");
  const place = Number.isFinite(vehicle.latitude) ? `${vehicle.latitude.toFixed(5)}°, ${vehicle.longitude.toFixed(5)}°` : "not known";
  pairs(at("now"), [
    ["position", vehicle.fix === false ? `no fix; last ${place}` : place],
    ["speed by GPS", fixed(vehicle.speed, 1, "km/h")],
    ["course", fixed(vehicle.direction, 0, "").trim() + (Number.isFinite(vehicle.direction) ? "°" : "")],
    ["last reading", newest ? `${clock(newest)} (${Math.max(0, Math.round(silence))} s ago)` : "none"],
  ]);
  at("clock").textContent = `as of ${clock(now)}`;
}

function showOutbox(status, now) {
  if (!status) {
    pairs(at("counts"), []);
    at("outbox-note").textContent = "This device has said nothing of itself: what it still holds is not known.";
    return;
  }
  pairs(at("counts"), [
    ["waiting", whole(status.pending)],
    ["refused by the gateway", whole(status.refused), status.refused > 0],
    ["dropped, outbox full", whole(status.dropped), status.dropped > 0],
    ["last number", whole(status.sequence)],
    ["boot", status.boot],
  ]);
  const age = Math.round(now - status.at);
  at("outbox-note").textContent = status.state === "offline"
    ? "As it last said. It keeps what waits, and sends it when it is back."
    : `As it said ${age} s ago; it reports every 10 s. What waits was made but has no receipt yet: the device sends it again until Kafka has it.`;
}

function showUnknown(why) {
  at("known").hidden = true;
  at("unknown").hidden = false;
  at("why").textContent = why;
  [at("state").className, at("state").textContent] = ["lamp wait", "not seen"];
  banner("");
  rows = [];
}

function banner(text) {
  at("banner").textContent = text;
  at("banner").hidden = !text;
}

async function ask() {
  try {
    const since = rows.length ? rows[rows.length - 1][0] : 0;
    const answer = await fetch(`/api/vehicle/${encodeURIComponent(name)}?since=${since}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const told = await answer.json();
    if (told.unknown) showUnknown(told.unknown);
    else show(told);
  } catch {
    banner("The dashboard does not answer; what you see is old. Trying again …");
  }
  setTimeout(ask, ASK_MS);
}

document.title = `${name}, smart city`;
at("name").textContent = name;
ask();
