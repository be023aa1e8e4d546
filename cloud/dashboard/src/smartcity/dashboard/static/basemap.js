// Coast, lakes, borders and towns behind a map, from Natural Earth. Drawn on a canvas, under whatever the map shows.
import { cheapest, covers } from "./placing.js";

const BAND = { far: 1.6, near: 12 }; // Pixels per kilometre below and above which fewer or all junctions are named.
const KM_PER_DEGREE = 111.2;
const TOWN_PX = 11;
const ROAD_STEP_PX = 8;
const CLEAR_PX = 7; // Half an arrow: between a name and the road's middle.
const TOWN_REACH_PX = [6, 12, 18];
const JUNCTION_REACH_PX = [9, 16, 24];
const AROUND = [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [-1, 1], [1, -1]]; // Where a name may stand: right, up.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

let asked = null;

// The regions by their route's name; asked for once.
export function loadBasemap() {
  asked ??= fetch("/static/basemap.json").then(async (answer) => new Map((await answer.json()).regions.map((each) => [each.name, each])));
  return asked;
}

function trace(pen, line, at) {
  for (let index = 0; index < line.length; index += 2) {
    const [x, y] = at(line[index + 1], line[index]);
    if (index === 0) pen.moveTo(x, y);
    else pen.lineTo(x, y);
  }
}

function fill(pen, rings, at, name) {
  pen.fillStyle = colour(name);
  pen.beginPath();
  for (const ring of rings) {
    trace(pen, ring, at);
    pen.closePath();
  }
  pen.fill("evenodd");
}

// `at` gives pixels of a latitude and a longitude; `size` is the canvas in CSS pixels.
export function drawBasemap(pen, region, at, { width, height }) {
  pen.save();
  pen.fillStyle = colour("water");
  pen.fillRect(0, 0, width, height);
  fill(pen, region.land, at, "land");
  fill(pen, region.lakes, at, "water");
  pen.strokeStyle = colour("border");
  pen.lineWidth = 1;
  pen.setLineDash([4, 3]);
  pen.beginPath();
  for (const line of region.borders) trace(pen, line, at);
  pen.stroke();
  pen.restore();
}

// The road in pixels, a point every few of them, as far as it is on the canvas.
export function roadPoints(route, at, size) {
  const found = [];
  for (const piece of route.pieces) {
    for (const [latitude, longitude] of piece.points) {
      const point = at(latitude, longitude);
      const last = found[found.length - 1];
      const isApart = !last || Math.hypot(point[0] - last[0], point[1] - last[1]) >= ROAD_STEP_PX;
      if (isApart && covers(whole(size), point, ROAD_STEP_PX)) found.push(point);
    }
  }
  return found;
}

const whole = ({ width, height }) => ({ left: 0, right: width, top: 0, bottom: height });

// Names of towns, the larger first, then junctions as dots with theirs; each beside its point, where it covers no other
// name. A junction's keeps off the road, a town's if it can. `road` is `roadPoints`. Gives points that lie on names.
export function drawNames(pen, region, junctions, at, { width, height, titleHeight }, road) {
  pen.save();
  pen.font = `${TOWN_PX}px system-ui, 'DejaVu Sans', sans-serif`;
  pen.lineWidth = 3;
  pen.strokeStyle = colour("land");
  const isOn = (point) => covers(whole({ width, height }), point, 0);
  const towns = region.towns.map(([name, longitude, latitude]) => ({ name, point: at(latitude, longitude) })).filter(({ point }) => isOn(point));
  const avoided = [...road, ...towns.map(({ point }) => point)];
  const taken = [];
  const write = (text, point, ink, reaches, most) => {
    const long = pen.measureText(text).width;
    const [x, y] = point;
    const places = reaches.flatMap((reach) => AROUND.map(([side, up]) =>
      [side > 0 ? x + reach : side < 0 ? x - reach - long : x - long / 2, y - up * (reach + 4)]));
    const { place, cost } = cheapest(places, ([left, middle]) => {
      if (left < 2 || left + long > width - 4 || middle < titleHeight + TOWN_PX / 2 || middle > height - 6) return Infinity;
      if (taken.some((other) => left < other.right + 4 && left + long > other.left - 4 && Math.abs(middle - other.y) < TOWN_PX + 3)) return Infinity;
      const box = { left, right: left + long, top: middle - TOWN_PX / 2, bottom: middle + TOWN_PX / 2 };
      return avoided.filter((each) => each !== point && covers(box, each, CLEAR_PX)).length;
    });
    if (!place || cost > most) return;
    const [left, middle] = place;
    taken.push({ left, right: left + long, y: middle });
    pen.strokeText(text, left, middle + 4);
    pen.fillStyle = colour(ink);
    pen.fillText(text, left, middle + 4);
  };
  for (const { name, point } of towns) {
    pen.fillStyle = colour("quiet");
    pen.fillRect(point[0] - 2, point[1] - 2, 4, 4);
    write(name, point, "quiet", TOWN_REACH_PX, Infinity);
  }
  const pxPerKm = Math.abs(at(region.box[1], region.box[0])[1] - at(region.box[1] + 1, region.box[0])[1]) / KM_PER_DEGREE;
  for (const { latitude, longitude, name } of junctions) {
    const point = at(latitude, longitude);
    if (!isOn(point)) continue;
    pen.fillStyle = colour("road");
    pen.beginPath();
    pen.arc(...point, 2.6, 0, 2 * Math.PI);
    pen.fill();
    if (pxPerKm > BAND.far) write(shorter(name, pxPerKm > BAND.near), point, "road", JUNCTION_REACH_PX, 0);
  }
  pen.restore();
  return taken.flatMap(({ left, right, y }) => [0, 0.33, 0.67, 1].map((share) => [left + share * (right - left), y]));
}

// "Exit 312 Guelph Line" is "312" until there is room for all of it; "M40 J8A" stays.
const shorter = (name, isWhole) => (isWhole ? name : (/^Exit (\d+)/.exec(name)?.[1] ?? (name.length > 9 ? "" : name)));
