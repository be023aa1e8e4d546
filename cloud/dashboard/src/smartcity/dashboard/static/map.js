// One canvas per route: the road as a line, and on it what was last seen. Positions are degrees (WGS 84).
import { drawBasemap, drawNames, loadBasemap } from "./basemap.js";

const SILENT_S = 30; // A vehicle not heard of for this long is drawn pale.
const MARGIN_PX = 34;
const LABEL_OFFSETS_PX = [-6, 16, -22, 32, -38, 48];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export class RouteMap {
  constructor(route, parent) {
    this.route = route;
    this.card = document.createElement("div");
    this.card.className = "map";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    const title = document.createElement("h2");
    title.textContent = `${route.name.replace("-", " → ").replace(/\b\w/g, (c) => c.toUpperCase())}, ${route.length_km.toFixed(0)} km`;
    this.empty = document.createElement("p");
    this.empty.className = "empty";
    this.empty.textContent = "No vehicle has reported here yet.";
    this.card.append(this.canvas, title, this.empty);
    parent.append(this.card);
    this.region = null;
    loadBasemap().then((regions) => {
      this.region = regions.get(route.name) ?? null;
      window.dispatchEvent(new Event("resize")); // Whoever redraws on a resize, redraws.
    });
    const points = route.pieces.flatMap((piece) => piece.points);
    const latitudes = points.map((p) => p[0]);
    const longitudes = points.map((p) => p[1]);
    this.south = Math.min(...latitudes);
    this.north = Math.max(...latitudes);
    this.west = Math.min(...longitudes);
    this.east = Math.max(...longitudes);
    this.shrink = Math.cos(((this.south + this.north) / 2) * (Math.PI / 180));
  }

  // Whether a position lies in the route's rectangle, with a tenth of a degree around it.
  holds(thing) {
    return Number.isFinite(thing.latitude) && Number.isFinite(thing.longitude) &&
      thing.latitude > this.south - 0.1 && thing.latitude < this.north + 0.1 &&
      thing.longitude > this.west - 0.1 && thing.longitude < this.east + 0.1;
  }

  fit() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(box.width * ratio);
    const height = Math.round(box.height * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    const scale = Math.min(
      (box.width - 2 * MARGIN_PX) / ((this.east - this.west) * this.shrink),
      (box.height - 2 * MARGIN_PX) / (this.north - this.south),
    );
    const left = (box.width - (this.east - this.west) * this.shrink * scale) / 2;
    const top = (box.height - (this.north - this.south) * scale) / 2;
    this.place = (latitude, longitude) => [
      left + (longitude - this.west) * this.shrink * scale,
      top + (this.north - latitude) * scale,
    ];
    this.width = box.width;
    this.box = box;
    return pen;
  }

  draw(city) {
    const pen = this.fit();
    if (this.region) drawBasemap(pen, this.region, this.place, this.box);
    this.drawRoad(pen);
    if (this.region) drawNames(pen, this.region, this.route.junctions, this.place, this.box);
    for (const camera of Object.values(city.cameras)) this.drawSquare(pen, camera, "camera", 0);
    for (const station of Object.values(city.weather)) this.drawSquare(pen, station, "station", Math.PI / 4);
    for (const incident of Object.values(city.incidents)) this.drawIncident(pen, incident);
    const vehicles = Object.entries(city.vehicles).filter(([, vehicle]) => this.holds(vehicle));
    for (const [, vehicle] of vehicles) this.drawVehicle(pen, vehicle, city.now);
    this.drawLabels(pen, vehicles);
    this.empty.hidden = vehicles.length > 0;
    this.canvas.setAttribute("aria-label", `${this.route.name}: ${vehicles.length} vehicles`);
  }

  drawRoad(pen) {
    pen.strokeStyle = colour("road");
    pen.lineWidth = 2.5;
    pen.lineJoin = "round";
    for (const piece of this.route.pieces) {
      pen.setLineDash(piece.real ? [] : [5, 4]);
      pen.beginPath();
      for (const [latitude, longitude] of piece.points) pen.lineTo(...this.place(latitude, longitude));
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  drawSquare(pen, thing, name, turn) {
    if (!this.holds(thing)) return;
    pen.save();
    pen.translate(...this.place(thing.latitude, thing.longitude));
    pen.rotate(turn);
    pen.fillStyle = colour(name);
    pen.fillRect(-3, -3, 6, 6);
    pen.restore();
  }

  drawIncident(pen, incident) {
    if (!this.holds(incident) || incident.status === "resolved") return;
    pen.strokeStyle = colour("incident");
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(...this.place(incident.latitude, incident.longitude), 8, 0, 2 * Math.PI);
    pen.stroke();
  }

  drawVehicle(pen, vehicle, now) {
    const [x, y] = this.place(vehicle.latitude, vehicle.longitude);
    pen.save();
    pen.globalAlpha = now - vehicle.seen > SILENT_S ? 0.4 : 1;
    pen.translate(x, y);
    pen.fillStyle = colour("vehicle");
    pen.strokeStyle = colour("card");
    pen.lineWidth = 1.5;
    pen.save();
    pen.beginPath();
    if (Number.isFinite(vehicle.direction)) {
      pen.rotate((vehicle.direction * Math.PI) / 180);
      pen.moveTo(0, -9);
      pen.lineTo(6, 7);
      pen.lineTo(0, 4);
      pen.lineTo(-6, 7);
      pen.closePath();
    } else {
      pen.arc(0, 0, 6, 0, 2 * Math.PI);
    }
    pen.fill();
    pen.stroke();
    pen.restore();
    pen.restore();
  }

  // Labels stand right of their vehicle, or left of it where the card ends, and give way to each other up and down.
  drawLabels(pen, vehicles) {
    pen.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
    pen.strokeStyle = colour("card");
    pen.fillStyle = colour("ink");
    pen.lineWidth = 3;
    const taken = [];
    for (const [name, vehicle] of vehicles) {
      const [x, y] = this.place(vehicle.latitude, vehicle.longitude);
      const speed = Number.isFinite(vehicle.speed) ? ` ${vehicle.speed.toFixed(0)} km/h` : "";
      const width = pen.measureText(name + speed).width;
      const left = x + 14 + width > this.width - 4 ? x - 12 - width : x + 12;
      const isFree = (top) => taken.every(([l, t, w]) => Math.abs(t - top) >= 15 || left > l + w || l > left + width);
      const offset = LABEL_OFFSETS_PX.find((candidate) => isFree(y + candidate));
      if (offset === undefined) continue; // In a crowd some stay without a label.
      taken.push([left, y + offset, width]);
      pen.strokeText(name + speed, left, y + offset);
      pen.fillText(name + speed, left, y + offset);
    }
  }
}
