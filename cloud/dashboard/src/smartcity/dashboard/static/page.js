// Takes in what the server sends and shows it. All texts of devices go through textContent: none can become markup.
import { RouteMap } from "./map.js";

const FRAME_INTERVAL_MS = 1500;
const RATE_WINDOW_S = 5;
const INCIDENTS_SHOWN_MAX = 12;
const COUNTERS = ["received", "delivered", "dead_lettered", "in_flight"];

const city = { vehicles: {}, cameras: {}, weather: {}, incidents: {}, now: 0 };
const history = []; // [now, counts] of the last seconds, for rates.
let maps = [];
let shownFrame = "";
let isDirty = false;

const at = (id) => document.getElementById(id);
const whole = (value) => value.toLocaleString("en-US");
const isNumber = (value) => typeof value === "number";
const fixed = (value, places) => (isNumber(value) ? value.toFixed(places) : "–");

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function lamp(id, state, title) {
  at(id).className = `lamp ${state}`;
  at(id).title = title;
}

function takeIn(update) {
  if (update.full) for (const kind of ["vehicles", "cameras", "weather", "incidents"]) city[kind] = {};
  for (const kind of ["vehicles", "cameras", "weather", "incidents"]) Object.assign(city[kind], update[kind]);
  city.now = update.now;
  if (update.full) history.length = 0;
  history.push([update.now, update.counts]);
  while (history.length > 2 && update.now - history[0][0] > RATE_WINDOW_S) history.shift();
  showTroubles(update);
  showFlow(update);
  showCameraNames();
  showWeather();
  showIncidents();
  if (update.time) at("clock").textContent = `city time ${update.time.slice(0, 19).replace("T", " ")} UTC`;
  isDirty = true;
}

function showTroubles(update) {
  const { gateway, bridge } = update;
  lamp("lamp-page", "good", "connected to the dashboard");
  lamp("lamp-gateway", gateway.trouble ? "bad" : "good", gateway.trouble || `connected to ${gateway.address}`);
  lamp("lamp-bridge", bridge.trouble ? "bad" : "good", bridge.trouble || "answers");
  const troubles = [gateway.trouble, bridge.trouble].filter(Boolean);
  if (gateway.dropped) troubles.push(`${whole(gateway.dropped)} messages came faster than this page's server could read`);
  showBanner(troubles.join(" · "));
}

function showBanner(text) {
  at("banner").textContent = text;
  at("banner").hidden = !text;
}

function showFlow(update) {
  const [then, before] = history[0];
  const seconds = update.now - then;
  const rows = Object.entries(update.counts).map(([stream, count]) => {
    const row = document.createElement("tr");
    const name = element("td", stream);
    const broken = update.unreadable[stream];
    if (broken) name.append(element("span", ` ${whole(broken)} unreadable`, "unreadable"));
    const rate = seconds > 0 ? (count - before[stream]) / seconds : 0;
    row.append(name, element("td", whole(count), "number"), element("td", rate.toFixed(1), "number"));
    return row;
  });
  at("streams").replaceChildren(...rows);
  const isBad = Boolean(update.bridge.trouble);
  at("bridge").classList.toggle("bad", isBad);
  for (const name of COUNTERS) at(`bridge-${name}`).textContent = isBad ? "?" : whole(update.bridge[name]);
  at("bridge-dead_lettered").classList.toggle("alarm", !isBad && update.bridge.dead_lettered > 0);
  const { online, offline, pending } = update.devices;
  at("devices-online").textContent = offline ? `${whole(online)} of ${whole(online + offline)}` : whole(online);
  at("devices-pending").textContent = whole(pending);
}

function showCameraNames() {
  const select = at("camera");
  const names = Object.keys(city.cameras).sort();
  if (select.options.length === names.length + 1) return;
  const chosen = select.value;
  const options = names.map((name) => new Option(city.cameras[name].location || name, name));
  select.replaceChildren(new Option("latest frame", ""), ...options);
  select.value = names.includes(chosen) ? chosen : "";
}

function showFrame() {
  const cameras = Object.entries(city.cameras).filter(([, camera]) => camera.frame);
  const chosen = at("camera").value;
  const found = chosen
    ? cameras.find(([name]) => name === chosen)
    : cameras.reduce((newest, each) => (!newest || each[1].frame > newest[1].frame ? each : newest), null);
  at("no-frame").hidden = Boolean(found);
  if (!found) return;
  const [name, camera] = found;
  const address = `/frames/${encodeURIComponent(name)}.jpg?v=${camera.frame}`;
  if (address === shownFrame) return;
  shownFrame = address;
  at("frame").src = address;
  at("frame").alt = `Last frame of ${camera.location || name}`;
  at("frame").hidden = false;
  const seen = isNumber(camera.vehicle_count) ? `, vehicles in view: ${camera.vehicle_count}` : "";
  at("caption").textContent = `${camera.location || name}${seen}`;
}

function showWeather() {
  const stations = Object.entries(city.weather).sort();
  at("weather-table").hidden = stations.length === 0;
  at("no-weather").hidden = stations.length > 0;
  const rows = stations.map(([name, report]) => {
    const row = document.createElement("tr");
    const place = element("td", report.location || name);
    place.title = `${report.location || name}: humidity ${fixed(report.humidity, 0)} %, air quality ${fixed(report.air_quality_index, 0)}`;
    row.append(
      place,
      element("td", report.condition || "–"),
      element("td", fixed(report.temperature, 1), "number"),
      element("td", fixed(report.precipitation, 1), "number"),
      element("td", fixed(report.wind_speed, 0), "number"),
    );
    return row;
  });
  at("weather").replaceChildren(...rows);
}

function showIncidents() {
  const isOpen = (incident) => incident.status !== "resolved";
  const all = Object.values(city.incidents).sort((a, b) => isOpen(b) - isOpen(a) || b.seen - a.seen);
  at("no-incidents").hidden = all.length > 0;
  const items = all.slice(0, INCIDENTS_SHOWN_MAX).map((incident) => {
    const item = element("li", "", incident.status === "resolved" ? "resolved" : "");
    const where = incident.location ? ` · ${incident.location}` : "";
    item.append(
      element("b", incident.type || "incident"),
      ` ${incident.status || ""}${isNumber(incident.severity) ? `, severity ${incident.severity}` : ""}${where}`,
    );
    if (incident.description) item.title = incident.description;
    return item;
  });
  at("incidents").replaceChildren(...items);
}

function drawMaps() {
  if (isDirty) for (const map of maps) map.draw(city);
  isDirty = false;
  requestAnimationFrame(drawMaps);
}

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("city", (event) => takeIn(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    lamp("lamp-page", "bad", "no connection to the dashboard");
    lamp("lamp-gateway", "wait", "unknown");
    lamp("lamp-bridge", "wait", "unknown");
    showBanner("The dashboard does not answer; what you see is old. Trying again …");
    // The browser gives up after an answer other than 200.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

async function start() {
  listen();
  const routes = await (await fetch("/routes.json")).json();
  maps = routes.map((route) => new RouteMap(route, at("maps")));
  at("attribution").textContent = `Map: Natural Earth. Roads: ${routes.map((route) => route.attribution).join(" ")}`;
  isDirty = true;
  const redraw = () => { isDirty = true; };
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  setInterval(showFrame, FRAME_INTERVAL_MS);
  at("camera").addEventListener("change", showFrame);
  requestAnimationFrame(drawMaps);
}

start().catch((error) => showBanner(`The roads could not be loaded: ${error.message}. Reload the page.`));
