// The same city as lists, for the keyboard and for those who read: vehicles, incidents, weather, the cameras' frames.
import { html } from "../lake/svg.js";
import { SPEEDS, speedClass, STALE } from "./palette.js";
import { note } from "./state.js";

const VEHICLES_SHOWN_MAX = 100;
const INCIDENTS_SHOWN_MAX = 12;

const at = (id) => document.getElementById(id);
const isNumber = (value) => typeof value === "number";
const fixed = (value, places) => (isNumber(value) ? value.toFixed(places) : "–");
export const whole = (value) => value.toLocaleString("en-US");
export const vehicleAddress = (name) => `/vehicle/${encodeURIComponent(name)}`;

// Tab comes to one vehicle, the arrows go on from there; Enter opens its page.
export class VehicleList {
  constructor(page) {
    this.page = page;
    this.rows = new Map(); // By name: the row and its parts, so that a focused one stays.
    this.list = at("vehicles");
    this.sought = at("seek");
    this.sought.addEventListener("input", () => this.show(performance.now()));
    this.list.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("focusin", (event) => this.choose(event.target.dataset.name));
    this.list.addEventListener("pointerover", (event) => page.hover(this.vehicleOf(event.target)));
    this.list.addEventListener("pointerleave", () => page.hover(null));
  }

  vehicleOf(target) {
    return this.page.city.vehicles.get(target.closest("a")?.dataset.name) ?? null;
  }

  choose(name) {
    const vehicle = this.page.city.vehicles.get(name);
    if (vehicle) this.page.choose(vehicle);
  }

  show(now) {
    const { city } = this.page;
    const text = this.sought.value.trim().toLowerCase();
    const fits = (vehicle) => vehicle.motion && [vehicle.name, vehicle.make, vehicle.model, vehicle.vehicle_type].some((each) => each?.toLowerCase().includes(text));
    const found = [...city.vehicles.values()].filter(fits).sort((a, b) => (a.name < b.name ? -1 : 1));
    const shown = found.slice(0, VEHICLES_SHOWN_MAX);
    const names = shown.map((vehicle) => vehicle.name).join(" ");
    if (names !== this.names) {
      this.names = names;
      const kept = this.rows;
      this.rows = new Map(shown.map(({ name }) => [name, kept.get(name) ?? makeRow(name)]));
      const focused = document.activeElement;
      this.list.replaceChildren(...[...this.rows.values()].map((row) => row.item));
      if (focused?.dataset.name && this.rows.has(focused.dataset.name)) focused.focus();
    }
    for (const vehicle of shown) fillRow(this.rows.get(vehicle.name), vehicle, city, now, this.page.chosen === vehicle);
    this.rove();
    const more = found.length - shown.length;
    at("more-vehicles").hidden = more <= 0;
    at("more-vehicles").textContent = `and ${whole(more)} more: type a part of a name, a make or a kind`;
    at("no-vehicles").hidden = found.length > 0;
    at("no-vehicles").textContent = text ? `No vehicle has “${text}” in its name, make or kind.` : "None has been seen yet.";
    at("vehicle-count").textContent = whole(city.vehicles.size);
  }

  rove() {
    const links = [...this.rows.values()].map((row) => row.link);
    const chosen = this.page.chosen;
    const first = this.rows.get(chosen?.name)?.link ?? links[0];
    for (const link of links) link.tabIndex = link === first ? 0 : -1;
  }

  onKey(event) {
    const links = [...this.rows.values()].map((row) => row.link);
    const from = links.indexOf(document.activeElement);
    const to = { ArrowDown: from + 1, ArrowUp: from - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || !links[to]) return;
    event.preventDefault();
    links[to].focus();
  }
}

function makeRow(name) {
  const [dot, speed, about] = [html("i", { class: "dot", "aria-hidden": "true" }), html("span", { class: "number" }), html("span", { class: "quiet about" })];
  const link = html("a", { href: vehicleAddress(name), "data-name": name, tabindex: "-1" }, dot, html("span", { class: "name" }, name), about, speed);
  return { item: html("li", {}, link), link, dot, speed, about };
}

function fillRow(row, vehicle, city, now, isChosen) {
  const trouble = note(city, vehicle, now);
  const level = city.isStale(vehicle, now) ? STALE : speedClass(vehicle.speed);
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  write(row.speed, isNumber(vehicle.speed) ? `${vehicle.speed.toFixed(0)} km/h` : "–");
  write(row.about, trouble || [vehicle.make, vehicle.model].filter(Boolean).join(" ") || vehicle.vehicle_type || "");
  row.dot.className = `dot speed-${level}`;
  row.link.classList.toggle("stale", Boolean(trouble));
  row.link.classList.toggle("chosen", isChosen);
}

export function showLegend() {
  at("speeds").replaceChildren(...SPEEDS.map(({ text }, index) => html("li", { class: `speed-${index}` }, text)), html("li", { class: `speed-${STALE} stale` }, "silent or offline"));
}

export function showIncidents(city, page) {
  const isOpen = (incident) => incident.status !== "resolved";
  const all = [...city.incidents.values()].sort((a, b) => isOpen(b) - isOpen(a) || b.seen - a.seen);
  at("no-incidents").hidden = all.length > 0;
  at("incident-count").textContent = whole(all.filter(isOpen).length);
  at("incidents").replaceChildren(...all.slice(0, INCIDENTS_SHOWN_MAX).map((incident) => {
    const item = html("li", { class: ["reported", "responding", "resolved"].includes(incident.status) ? incident.status : "" });
    const severity = isNumber(incident.severity) ? `, severity ${incident.severity}` : "";
    item.append(html("b", {}, incident.type || "incident"), ` ${incident.status || ""}${severity}`, html("span", { class: "quiet" }, incident.location || ""));
    if (incident.description) item.title = incident.description;
    item.addEventListener("pointerenter", () => page.hover(incident));
    item.addEventListener("pointerleave", () => page.hover(null));
    return item;
  }));
}

export function showWeather(city, page) {
  const stations = [...city.weather.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  at("weather-table").hidden = stations.length === 0;
  at("no-weather").hidden = stations.length > 0;
  at("weather").replaceChildren(...stations.map((report) => {
    const row = html("tr", {},
      html("td", { title: report.location || report.name }, report.location || report.name),
      html("td", {}, report.condition || "–"),
      ...[["temperature", 0], ["precipitation", 1], ["wind_speed", 0], ["air_quality_index", 0]].map(([name, places]) => html("td", { class: "number" }, fixed(report[name], places))));
    row.addEventListener("pointerenter", () => page.hover(report));
    row.addEventListener("pointerleave", () => page.hover(null));
    return row;
  }));
}

// The chosen camera's last frame, or the latest of all.
export class CameraView {
  constructor(page) {
    this.page = page;
    this.select = at("camera");
    this.address = "";
    this.select.addEventListener("change", () => page.choose(page.city.cameras.get(this.select.value) ?? null));
  }

  showNames() {
    const { cameras } = this.page.city;
    if (this.select.options.length === cameras.size + 1) return;
    const chosen = this.select.value;
    const options = [...cameras.values()].map(({ name, location }) => new Option(location || name, name)).sort((a, b) => (a.text < b.text ? -1 : 1));
    this.select.replaceChildren(new Option("latest frame", ""), ...options);
    this.select.value = cameras.has(chosen) ? chosen : "";
  }

  show() {
    const cameras = [...this.page.city.cameras.values()].filter((camera) => camera.frame);
    const name = this.select.value;
    const camera = name ? cameras.find((each) => each.name === name) : cameras.reduce((newest, each) => (!newest || each.frame > newest.frame ? each : newest), null);
    at("no-frame").hidden = Boolean(camera);
    if (!camera) return;
    const address = `/frames/${encodeURIComponent(camera.name)}.jpg?v=${camera.frame}`;
    if (address === this.address) return;
    this.address = address;
    const image = at("frame");
    image.src = address;
    image.alt = `Last frame of ${camera.location || camera.name}`;
    image.hidden = false;
    const seen = isNumber(camera.vehicle_count) ? `, vehicles in view: ${camera.vehicle_count}` : "";
    at("caption").textContent = `${camera.location || camera.name}${seen}`;
  }
}
