// Points on the roads, a canvas for each region that has any. Positions are degrees (WGS 84).

import { drawBasemap, drawNames, loadBasemap, roadPoints } from "../basemap.js";
import { html, hues, legend, linear, number, roles } from "./svg.js";

const MARGIN_PX = 22;
const TITLE_PX = 22;
const AROUND_DEGREES = 0.6; // How far from its road a point still belongs to a region.
const RADIUS_PX = [3.5, 10];
const CROWD_RADIUS_PX = [2, 5];
const CROWD_POINTS = 60; // Of more points each is smaller.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

let regions = null;

// The roads, asked for once.
export async function loadRegions() {
  regions ??= Promise.all([fetch("/routes.json"), loadBasemap()]).then(async ([answer, behind]) =>
    (await answer.json()).map((route) => ({ ...region(route), behind: behind.get(route.name) })));
  return regions;
}

function region(route) {
  const points = route.pieces.flatMap((piece) => piece.points);
  const [latitudes, longitudes] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const box = { south: Math.min(...latitudes), north: Math.max(...latitudes), west: Math.min(...longitudes), east: Math.max(...longitudes) };
  return { ...route, ...box, shrink: Math.cos(((box.south + box.north) / 2) * (Math.PI / 180)) };
}

const isNear = (place, latitude, longitude) =>
  latitude > place.south - AROUND_DEGREES && latitude < place.north + AROUND_DEGREES &&
  longitude > place.west - AROUND_DEGREES && longitude < place.east + AROUND_DEGREES;

export function drawMap(body, visual, rows, places) {
  const { color, measure } = roles(visual);
  const [latitudeAt, longitudeAt] = ["latitude", "longitude"].map((type) => visual.columns.findIndex((column) => column.type === type));
  const points = rows
    .filter((row) => row[latitudeAt] !== null && row[longitudeAt] !== null)
    .map((row) => ({ latitude: row[latitudeAt], longitude: row[longitudeAt], value: row[measure], color: color < 0 ? null : row[color] }));
  const colors = color < 0 ? new Map([[null, "hue-0"]]) : hues(visual.columns[color].name, points.map((point) => point.color));
  const values = points.map((point) => point.value ?? 0);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const radii = points.length > CROWD_POINTS ? CROWD_RADIUS_PX : RADIUS_PX;
  const size = lowest === highest ? () => radii[0] + 1 : linear([lowest, highest], radii);
  const near = places.map((place) => [place, points.filter((point) => isNear(place, point.latitude, point.longitude))]);
  const used = near.filter(([, inside]) => inside.length);
  const row = html("div", { class: "maps" });
  body.append(row);
  if (color >= 0) body.append(legend(colors));
  const panels = (used.length ? used : near).map(([place, inside]) => {
    const canvas = html("canvas", { role: "img", "aria-label": `${visual.title}, ${place.name}: ${inside.length} points. The table has them all.` });
    row.append(html("div", { class: "panel" }, canvas));
    return { canvas, place, inside };
  });
  for (const panel of panels) drawPanel(panel, colors, size);
  const elsewhere = points.length - near.reduce((sum, [, inside]) => sum + inside.length, 0);
  const name = visual.columns[measure].title;
  const text = lowest === highest ? `${name}: ${number(lowest)} each` : `Size: ${name.toLowerCase()}, ${number(lowest)} to ${number(highest)}`;
  body.append(html("p", { class: "quiet measure" }, elsewhere ? `${text}. ${number(elsewhere)} points lie elsewhere.` : text));
}

function drawPanel({ canvas, place, inside }, colors, size) {
  const box = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const scale = Math.min((box.width - 2 * MARGIN_PX) / ((place.east - place.west) * place.shrink), (box.height - 2 * MARGIN_PX) / (place.north - place.south));
  const left = (box.width - (place.east - place.west) * place.shrink * scale) / 2;
  const top = (box.height - (place.north - place.south) * scale) / 2;
  const at = (latitude, longitude) => [left + (longitude - place.west) * place.shrink * scale, top + (place.north - latitude) * scale];
  if (place.behind) drawBasemap(pen, place.behind, at, box);
  pen.strokeStyle = colour("road");
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  for (const piece of place.pieces) {
    pen.beginPath();
    for (const [latitude, longitude] of piece.points) pen.lineTo(...at(latitude, longitude));
    pen.stroke();
  }
  if (place.behind) drawNames(pen, place.behind, [], at, { width: box.width, height: box.height, titleHeight: TITLE_PX }, roadPoints(place, at, box));
  pen.strokeStyle = colour("card");
  pen.lineWidth = 1;
  for (const point of inside) {
    pen.fillStyle = colour(colors.get(point.color));
    pen.globalAlpha = 0.85;
    pen.beginPath();
    pen.arc(...at(point.latitude, point.longitude), size(point.value ?? 0), 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
  pen.globalAlpha = 1;
  pen.fillStyle = colour("quiet");
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.fillText(place.name.replace("-", " – ").replace(/\b\w/g, (letter) => letter.toUpperCase()), 10, 18);
}
