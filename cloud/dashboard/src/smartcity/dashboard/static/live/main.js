// The live page. Takes in what the server sends and shows it. Texts of devices become text, never markup.
import { html } from "../lake/svg.js";
import { CameraView, showIncidents, showLegend, showWeather, vehicleAddress, VehicleList, whole } from "./lists.js";
import { RouteMap } from "./map.js";
import { framed, recent } from "./measure.js";
import { readTheme } from "./palette.js";
import { City, note } from "./state.js";

const LISTS_MS = 1000;
const FRAME_MS = 1500; // Between two frames of a camera, so that they can be looked at.
const RATE_WINDOW_S = 5;
const STILL_MS = 1000; // Between two pictures for those who want no motion.
const SAID_MS = 4000;

const at = (id) => document.getElementById(id);
const number = (value, places = 0) => (Number.isFinite(value) ? value.toFixed(places) : "–");

class Page {
  constructor() {
    this.city = new City();
    this.theme = readTheme();
    this.maps = [];
    this.chosen = this.hovered = null;
    this.history = []; // [now, counts] of the last seconds, for the rate.
    this.list = new VehicleList(this);
    this.camera = new CameraView(this);
    this.isAwake = false;
    this.saidAt = -Infinity;
  }

  // Frames are drawn while something moves, and not otherwise.
  wake() {
    if (this.isAwake) return;
    this.isAwake = true;
    const draw = (now) => {
      const time = performance.now();
      const isMoving = this.maps.map((map) => map.draw(time)).some(Boolean);
      framed(now, this.maps.some((map) => map.paintedAt === time));
      this.isAwake = isMoving;
      if (isMoving) requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  dirty() {
    for (const map of this.maps) map.isDirty = true;
    this.wake();
  }

  takeIn(update) {
    const now = performance.now();
    const { changed, news } = this.city.takeIn(update, now);
    if (update.counts) this.showSums(update);
    if (changed.has("incidents")) showIncidents(this.city, this);
    if (changed.has("weather")) showWeather(this.city, this);
    if (changed.has("cameras")) this.camera.showNames();
    if (changed.size > (changed.has("vehicles") ? 1 : 0)) this.dirty();
    else if (changed.size && !this.city.isStill) this.wake();
    if (news.length) this.say(news.map((incident) => `${incident.type || "incident"} ${incident.status || ""}, ${incident.location || "no place given"}`).join("; "), now);
    at("nothing").hidden = this.city.vehicles.size > 0;
  }

  showSums(update) {
    const { gateway, bridge, devices } = update;
    lamp("lamp-page", "good", "connected to the dashboard");
    lamp("lamp-gateway", gateway.trouble ? "bad" : "good", gateway.trouble || `connected to ${gateway.address}`);
    lamp("lamp-bridge", bridge.trouble ? "bad" : "good", bridge.trouble || "answers");
    const troubles = [gateway.trouble, bridge.trouble].filter(Boolean);
    if (gateway.dropped) troubles.push(`${whole(gateway.dropped)} messages came faster than this page's server could read`);
    showBanner(troubles.join(" · "));
    at("start-command").textContent = `smartcity-sim run --vehicles 3 --broker ${gateway.address}`;
    if (update.time) at("clock").textContent = `city time ${update.time.slice(0, 19).replace("T", " ")} UTC`;
    if (update.full) this.history.length = 0;
    const sum = Object.values(update.counts).reduce((all, each) => all + each, 0);
    this.history.push([update.now, sum]);
    while (this.history.length > 2 && update.now - this.history[0][0] > RATE_WINDOW_S) this.history.shift();
    const [then, before] = this.history[0];
    at("rate").textContent = update.now > then ? ((sum - before) / (update.now - then)).toFixed(0) : "–";
    at("unreadable").textContent = whole(Object.values(update.unreadable).reduce((all, each) => all + each, 0));
    at("devices-online").textContent = devices.offline ? `${whole(devices.online)} of ${whole(devices.online + devices.offline)}` : whole(devices.online);
    at("devices-pending").textContent = whole(devices.pending);
    at("dead-letters").textContent = bridge.trouble ? "?" : whole(bridge.dead_lettered);
    const delay = recent();
    at("delay").textContent = delay ? `${delay.p50} ms` : "–";
    at("delay").title = delay ? `From a device's sending to this picture: half within ${delay.p50} ms, 99 % within ${delay.p99} ms` : "No reading has come that says when it was sent";
  }

  // For those who hear the page: news of incidents, not more often than they can be followed.
  say(text, now) {
    if (now - this.saidAt < SAID_MS) return;
    this.saidAt = now;
    at("said").textContent = text;
  }

  choose(thing) {
    if (this.chosen === thing) return;
    this.chosen = thing;
    if (thing?.kind === "cameras") this.camera.select.value = thing.name;
    this.camera.show();
    this.list.show(performance.now());
    if (thing?.kind === "vehicles") this.list.rows.get(thing.name)?.item.scrollIntoView({ block: "nearest" });
    at("open").replaceChildren(...(thing?.kind === "vehicles" ? [html("a", { href: vehicleAddress(thing.name) }, `Open ${thing.name}`)] : []));
    this.dirty();
  }

  hover(thing) {
    if (this.hovered === thing) return;
    this.hovered = thing;
    this.dirty();
  }

  open(vehicle) {
    window.location.href = vehicleAddress(vehicle.name);
  }

  // What is said of a thing beside the pointer, the first line as a title.
  words(thing) {
    if (thing.kind === "vehicles") {
      const kind = [thing.vehicle_type, thing.make, thing.model].filter(Boolean).join(" ");
      return [thing.name, kind, note(this.city, thing, performance.now()) || `${number(thing.speed)} km/h`, "double-click: its page"].filter(Boolean);
    }
    if (thing.kind === "cameras") return [thing.location || thing.name, `camera, ${number(thing.vehicle_count)} vehicles in view`, "click: its last frame"];
    if (thing.kind === "weather") {
      return [thing.location || thing.name, `${thing.condition || "–"}, ${number(thing.temperature, 1)} °C`,
        `rain ${number(thing.precipitation, 1)} mm/h, wind ${number(thing.wind_speed)} km/h`, `air quality ${number(thing.air_quality_index)}, humidity ${number(thing.humidity)} %`];
    }
    return [`${thing.type || "incident"}, ${thing.status || ""}`, thing.location || "", thing.description || "", `severity ${number(thing.severity)}`].filter(Boolean);
  }
}

function lamp(id, state, title) {
  at(id).className = `lamp ${state}`;
  at(id).title = title;
}

function showBanner(text) {
  if (at("banner").textContent !== text) at("banner").textContent = text;
  at("banner").hidden = !text;
}

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("city", (event) => page.takeIn(JSON.parse(event.data)));
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
  showLegend();
  listen();
  const routes = await (await fetch("/routes.json")).json();
  page.maps = routes.map((route) => new RouteMap(route, at("maps"), page));
  at("attribution").textContent = `Map: Natural Earth. Roads: ${routes.map((route) => route.attribution).join(" ")}`;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const obey = () => page.city.setStill(still.matches);
  obey();
  still.addEventListener("change", obey);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    page.theme = readTheme();
    for (const map of page.maps) map.change();
  });
  // Once a second: who has become silent, and what the lists say.
  setInterval(() => {
    page.list.show(performance.now());
    page.dirty();
  }, LISTS_MS);
  setInterval(() => { if (page.city.isStill) page.wake(); }, STILL_MS);
  setInterval(() => page.camera.show(), FRAME_MS);
  page.dirty();
}

export const page = new Page();
start().catch((error) => showBanner(`The roads could not be loaded: ${error.message}. Reload the page.`));
