// A route's map: the land below, drawn when it changes; what stands and drives above, drawn when it moves.
import { drawBasemap, drawNames, loadBasemap, roadPoints } from "../basemap.js";
import { html } from "../lake/svg.js";
import { drawCamera, drawIncident, drawStation, isLively, placeChip } from "./marks.js";
import { drawn } from "./measure.js";
import { listenTo } from "./pointer.js";
import { speedClass, STALE } from "./palette.js";
import { Arrows, Chips } from "./sprites.js";
import { View } from "./view.js";

const SEEN_PX = 0.12; // A move of less is not worth a picture.
const CROWD = 40; // Of more vehicles each is smaller, and only those chosen have names.
const NAMED_MAX = 8;
const ARROW_PX = [20, 13];
const STALE_ALPHA = 0.5;
const [NAME_WEIGHT, CAMERA_WEIGHT] = [5, 4]; // What a chip over these costs; over the road 1.
const FOLLOW_SHARE = 0.3; // A chosen vehicle is kept out of this share of each side, where the map is zoomed.
const LABEL_FONT = "600 11px system-ui, 'DejaVu Sans', sans-serif";
const LABEL_OFFSETS_PX = [4, -12, 20];
const LABEL_LINE_PX = 14;

export class RouteMap {
  constructor(route, parent, page) {
    this.route = route;
    this.page = page; // The city, the theme, and what is chosen and hovered over.
    this.view = new View(route);
    this.title = route.name.replace("-", " → ").replace(/\b\w/g, (letter) => letter.toUpperCase());
    this.base = html("canvas", { "aria-hidden": "true" });
    this.canvas = html("canvas", { role: "img", "aria-label": this.title, class: "above" });
    const button = (text, label, act) => {
      const made = html("button", { type: "button", "aria-label": `${label}: ${this.title}`, title: label }, text);
      made.addEventListener("click", () => this.change(act));
      return made;
    };
    const buttons = html("div", { class: "zoom" },
      button("+", "Zoom in", () => this.view.zoomBy(2)),
      button("−", "Zoom out", () => this.view.zoomBy(0.5)),
      button("⤢", "Whole road", () => this.view.whole()));
    this.heading = html("h2", {}, `${this.title}, ${route.length_km.toFixed(0)} km`);
    this.tip = html("div", { class: "tip", hidden: true });
    this.card = html("div", { class: "map" }, this.base, this.canvas, this.heading, buttons, this.tip);
    parent.append(this.card);
    this.shown = []; // The vehicles on this map, as they were last drawn; each has its x and y.
    this.isBaseDirty = this.isDirty = true;
    this.marks = []; // What else can be pointed at: [thing, x, y].
    loadBasemap().then((regions) => {
      this.region = regions.get(route.name) ?? null;
      this.change();
    });
    listenTo(this);
    new ResizeObserver(() => this.change()).observe(this.card);
  }

  // Has everything drawn anew, after a change of the view, the size or the theme.
  change(act) {
    act?.();
    this.isBaseDirty = this.isDirty = true;
    this.page.wake();
  }

  size() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.card;
    for (const canvas of [this.base, this.canvas]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    if (this.ratio !== ratio || this.theme !== this.page.theme) {
      [this.ratio, this.theme] = [ratio, this.page.theme];
      this.arrows = ARROW_PX.map((size) => new Arrows(size, ratio, this.theme));
      this.chips = new Chips(ratio);
    }
    this.view.fit(width, height);
  }

  drawBase() {
    this.isBaseDirty = false;
    this.size();
    const { view } = this;
    const pen = this.base.getContext("2d");
    const at = (latitude, longitude) => [view.x(longitude), view.y(latitude)];
    if (this.region) drawBasemap(pen, this.region, at, view);
    pen.strokeStyle = this.theme.road;
    pen.lineWidth = view.zoom > 4 ? 5 : 3;
    pen.lineJoin = "round";
    for (const piece of this.route.pieces) {
      pen.setLineDash(piece.real ? [] : [6, 4]);
      pen.beginPath();
      for (const [latitude, longitude] of piece.points) pen.lineTo(...at(latitude, longitude));
      pen.stroke();
    }
    pen.setLineDash([]);
    this.chipPlaces = new Map();
    this.road = roadPoints(this.route, at, view);
    this.names = this.region ? drawNames(pen, this.region, this.route.junctions, at, view, this.road) : [];
  }

  // One frame. Gives whether the next one will differ.
  draw(now) {
    const { city } = this.page;
    if (this.isBaseDirty) this.drawBase();
    const { isMoving, farthest, shown } = this.placed(city, now);
    const lively = [...city.incidents.values()].some((incident) => isLively(incident, now));
    const isToDraw = this.isDirty || lively || farthest > SEEN_PX || shown.length !== this.shown.length;
    if (isToDraw) this.paint(city, shown, now);
    for (const vehicle of shown) {
      if (vehicle.undrawn !== null) drawn(vehicle.undrawn);
      vehicle.undrawn = null;
    }
    return isMoving || lively || this.isBaseDirty;
  }

  // Where the vehicles are now, and how far one of them is from where it was last painted.
  placed(city, now) {
    const { view } = this;
    const shown = [];
    const point = {};
    let farthest = 0;
    let isMoving = false;
    for (const vehicle of city.vehicles.values()) {
      if (!vehicle.motion || !view.holds(vehicle.latitude, vehicle.longitude)) continue;
      vehicle.motion.at(now, point);
      vehicle.x = view.x(point.longitude);
      vehicle.y = view.y(point.latitude);
      isMoving ||= vehicle.motion.isMoving(now);
      farthest = Math.max(farthest, Math.abs(vehicle.x - (vehicle.paintedX ?? -99)), Math.abs(vehicle.y - (vehicle.paintedY ?? -99)));
      shown.push(vehicle);
    }
    return { shown, farthest, isMoving };
  }

  paint(city, shown, now) {
    this.isDirty = false;
    this.paintedAt = now;
    this.follow(shown);
    const { view } = this;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, view.width, view.height);
    this.paintMarks(pen, city, now);
    const arrows = this.arrows[shown.length > CROWD && view.zoom < 4 ? 1 : 0];
    for (const vehicle of shown) {
      const isStale = city.isStale(vehicle, now);
      pen.globalAlpha = (isStale ? STALE_ALPHA : 1) * vehicle.motion.presence(now);
      arrows.draw(pen, isStale ? STALE : speedClass(vehicle.speed), vehicle.direction, vehicle.x, vehicle.y);
      vehicle.paintedX = vehicle.x;
      vehicle.paintedY = vehicle.y;
    }
    pen.globalAlpha = 1;
    this.paintNames(pen, shown);
    this.shown = shown;
    this.canvas.setAttribute("aria-label", `${this.title}: ${shown.length} ${shown.length === 1 ? "vehicle" : "vehicles"}`);
    this.showTip();
  }

  paintMarks(pen, city, now) {
    const { view, page } = this;
    this.marks = [];
    const each = (kind, draw) => {
      for (const thing of city[kind].values()) {
        if (!view.holds(thing.latitude, thing.longitude)) continue;
        const [x, y] = [view.x(thing.longitude), view.y(thing.latitude)];
        if (draw(thing, x, y) !== false) this.marks.push([thing, ...(this.chipPlaces.get(thing) ?? [x, y])]);
      }
    };
    if (this.chipPlaces.size !== city.weather.size) this.placeChips(city);
    each("weather", (station, x, y) => drawStation(pen, this.chips, this.theme, station, [x, y], this.chipPlaces.get(station)));
    each("cameras", (camera, x, y) => drawCamera(pen, this.chips, this.theme, x, y, page.chosen === camera));
    each("incidents", (incident, x, y) => drawIncident(pen, this.theme, incident, x, y, now, city.isStill));
  }

  placeChips(city) {
    const { view } = this;
    const cameras = [...city.cameras.values()].map((camera) => [view.x(camera.longitude), view.y(camera.latitude), CAMERA_WEIGHT]);
    const taken = [...this.road, ...this.names.map(([x, y]) => [x, y, NAME_WEIGHT]), ...cameras];
    this.chipPlaces = new Map([...city.weather.values()].map((station) =>
      [station, placeChip(view.x(station.longitude), view.y(station.latitude), taken, view)]));
  }

  // Names of few vehicles, or of the chosen one, each where there is room.
  paintNames(pen, shown) {
    const { chosen, hovered } = this.page;
    const named = shown.length <= NAMED_MAX ? shown : shown.filter((vehicle) => vehicle === chosen || vehicle === hovered);
    pen.font = LABEL_FONT;
    pen.lineWidth = 3;
    pen.strokeStyle = this.theme.card;
    const taken = [];
    for (const vehicle of named) {
      if (vehicle === chosen) this.ring(pen, vehicle);
      const isTold = (vehicle === chosen || vehicle === hovered) && Number.isFinite(vehicle.speed);
      const text = isTold ? `${vehicle.name}, ${vehicle.speed.toFixed(0)} km/h` : vehicle.name;
      const { x, y } = vehicle;
      const width = pen.measureText(text).width;
      const left = x + 15 + width > this.view.width - 4 ? x - 13 - width : x + 13;
      const isFree = (top) => taken.every(([l, t, w]) => Math.abs(t - top) >= LABEL_LINE_PX || left > l + w || l > left + width);
      const offset = LABEL_OFFSETS_PX.find((candidate) => isFree(y + candidate));
      if (offset === undefined) continue;
      taken.push([left, y + offset, width]);
      pen.fillStyle = this.theme.ink;
      pen.strokeText(text, left, y + offset);
      pen.fillText(text, left, y + offset);
    }
  }

  ring(pen, { x, y }) {
    pen.save();
    pen.strokeStyle = this.theme.focus;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(x, y, 15, 0, 2 * Math.PI);
    pen.stroke();
    pen.restore();
  }

  // Where the map is zoomed, it goes along with the chosen vehicle.
  follow(shown) {
    const { chosen } = this.page;
    const { view } = this;
    if (view.zoom === 1 || !shown.includes(chosen) || this.isDragged) return;
    const over = (value, size) => Math.max(0, value - size * (1 - FOLLOW_SHARE)) + Math.min(0, value - size * FOLLOW_SHARE);
    const [x, y] = [over(chosen.x, view.width), over(chosen.y, view.height)];
    if (!x && !y) return;
    view.moveBy(x, y);
    this.drawBase();
    for (const vehicle of shown) {
      const place = vehicle.motion.at(performance.now());
      vehicle.x = view.x(place.longitude);
      vehicle.y = view.y(place.latitude);
    }
  }

  // What lies nearest to a point, or null.
  at(x, y, reach) {
    let [found, nearest] = [null, reach];
    const look = (thing, thingX, thingY, bonus) => {
      const distance = Math.hypot(thingX - x, thingY - y) - bonus;
      if (distance < nearest) [found, nearest] = [thing, distance];
    };
    for (const vehicle of this.shown) look(vehicle, vehicle.x, vehicle.y, 2);
    for (const [thing, thingX, thingY] of this.marks) look(thing, thingX, thingY, thing.kind === "incidents" ? 3 : 0);
    return found;
  }

  // The words on what the pointer is at, beside it.
  showTip() {
    const thing = this.page.hovered;
    const mark = this.marks.find(([each]) => each === thing);
    const place = this.shown.includes(thing) ? thing : mark && { x: mark[1], y: mark[2] };
    this.tip.hidden = !place;
    if (!place) return;
    const lines = this.page.words(thing);
    this.tip.replaceChildren(html("b", {}, lines[0]), ...lines.slice(1).map((line) => html("span", {}, line)));
    const left = Math.min(Math.max(4, place.x + 14), this.view.width - this.tip.offsetWidth - 4);
    const isLow = place.y + this.tip.offsetHeight + 16 > this.view.height;
    const top = isLow ? place.y - this.tip.offsetHeight - 12 : place.y + 12;
    this.tip.style.transform = `translate(${left}px, ${top}px)`;
  }
}
