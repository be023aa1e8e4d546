// Coast, lakes, borders and towns behind a map, from Natural Earth. Drawn on a canvas, under whatever the map shows.

const BAND = { far: 1.6, near: 12 }; // Pixels per kilometre below and above which fewer or all junctions are named.
const KM_PER_DEGREE = 111.2;
const TOWN_PX = 11;

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

// Names of towns, the larger first, where none stands already; then junctions as dots, named where there is room.
export function drawNames(pen, region, junctions, at, { width, height }) {
  pen.save();
  pen.font = `${TOWN_PX}px system-ui, 'DejaVu Sans', sans-serif`;
  pen.lineWidth = 3;
  pen.strokeStyle = colour("land");
  const taken = [];
  const write = (text, x, y, ink) => {
    const long = pen.measureText(text).width;
    const left = x + 6 + long > width - 4 ? x - 6 - long : x + 6;
    const isFree = taken.every((other) => left > other.right + 4 || left + long < other.left - 4 || Math.abs(y - other.y) > TOWN_PX + 2);
    if (!isFree || left < 2 || y < 30 || y > height - 6) return;
    taken.push({ left, right: left + long, y });
    pen.strokeText(text, left, y + 4);
    pen.fillStyle = colour(ink);
    pen.fillText(text, left, y + 4);
  };
  for (const [name, longitude, latitude] of region.towns) {
    const [x, y] = at(latitude, longitude);
    if (x < 0 || y < 0 || x > width || y > height) continue;
    pen.fillStyle = colour("quiet");
    pen.fillRect(x - 2, y - 2, 4, 4);
    write(name, x, y, "quiet");
  }
  const pxPerKm = Math.abs(at(region.box[1], region.box[0])[1] - at(region.box[1] + 1, region.box[0])[1]) / KM_PER_DEGREE;
  for (const { latitude, longitude, name } of junctions) {
    const [x, y] = at(latitude, longitude);
    pen.fillStyle = colour("road");
    pen.beginPath();
    pen.arc(x, y, 2.6, 0, 2 * Math.PI);
    pen.fill();
    if (pxPerKm > BAND.far) write(shorter(name, pxPerKm > BAND.near), x, y, "road");
  }
  pen.restore();
}

// "Exit 312 Guelph Line" is "312" until there is room for all of it; "M40 J8A" stays.
const shorter = (name, isWhole) => (isWhole ? name : (/^Exit (\d+)/.exec(name)?.[1] ?? (name.length > 9 ? "" : name)));
