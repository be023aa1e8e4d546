// What stands beside the road: cameras, weather stations, incidents.
import { cheapest, covers } from "../placing.js";

const RESOLVED_MS = 9000; // How long a resolved incident stays on the map, fading.
const PULSE_MS = 3600; // How long a new one draws the eye.
const PULSES = 3;
const FONT = "600 11px system-ui, 'DejaVu Sans', sans-serif";

export function drawCamera(pen, chips, theme, x, y, isChosen) {
  chips.draw(pen, `camera ${isChosen}`, 22, 22, x, y, (chip) => {
    if (isChosen) ring(chip, theme.focus, 9.5, 2);
    chip.fillStyle = theme.camera;
    chip.strokeStyle = theme.card;
    chip.lineWidth = 1;
    chip.beginPath();
    chip.roundRect(-6, -4, 9, 8, 1.5);
    chip.moveTo(4, -1);
    chip.lineTo(7.5, -3.5);
    chip.lineTo(7.5, 3.5);
    chip.lineTo(4, 1);
    chip.closePath();
    chip.fill();
    chip.stroke();
  });
}

// Where a station's chip stands: beside its place and near to it, where it covers as little as can be of what else there
// is. `taken` are points [x, y, weight] and grows by the chip.
const CHIP = { width: 50, height: 22 };
const TURNS = 16;
const REACHES_PX = [20, 30, 42, 56, 72];
const FLAT = 1.7; // A chip is wide: so it stands farther off sideways.
const NEARNESS = 0.06; // What a pixel of the way from the place weighs.
const CHIP_WEIGHT = 20;
const CLEAR_PX = 4;
const PLACES = REACHES_PX.flatMap((reach) => Array.from({ length: TURNS }, (_, turn) => {
  const angle = (2 * Math.PI * turn) / TURNS;
  return [FLAT * reach * Math.sin(angle), -reach * Math.cos(angle)];
}));

export function placeChip(x, y, taken, { width, height, titleHeight }) {
  const { place } = cheapest(PLACES, ([dx, dy]) => {
    const [left, top] = [x + dx - CHIP.width / 2, y + dy - CHIP.height / 2];
    const box = { left, right: left + CHIP.width, top, bottom: top + CHIP.height };
    if (left < 2 || top < titleHeight || box.right > width - 2 || box.bottom > height - 2) return Infinity;
    return taken.filter((each) => covers(box, each, CLEAR_PX)).reduce((sum, [, , weight = 1]) => sum + weight, NEARNESS * Math.hypot(dx, dy));
  });
  const [dx, dy] = place ?? PLACES[0];
  const [chipX, chipY] = [x + dx, y + dy];
  for (const right of [-18, 0, 18]) for (const down of [-7, 7]) taken.push([chipX + right, chipY + down, CHIP_WEIGHT]);
  return [chipX, chipY];
}

// The condition as a small picture and the temperature beside it, tied to the station's place.
export function drawStation(pen, chips, theme, station, [placeX, placeY], [x, y]) {
  pen.strokeStyle = pen.fillStyle = theme.station;
  pen.lineWidth = 1;
  strokes(pen, [[placeX, placeY, x, y]]);
  pen.fillRect(placeX - 2, placeY - 2, 4, 4);
  const degrees = Number.isFinite(station.temperature) ? `${Math.round(station.temperature)}°` : "–";
  const condition = String(station.condition ?? "");
  chips.draw(pen, `station ${condition} ${degrees}`, 52, 22, x, y, (chip) => {
    chip.fillStyle = theme.card;
    chip.strokeStyle = theme.station;
    chip.lineWidth = 1;
    chip.beginPath();
    chip.roundRect(-23, -9, 46, 18, 9);
    chip.fill();
    chip.stroke();
    chip.save();
    chip.translate(-11, 0);
    (SKIES[condition] ?? unknown)(chip, theme);
    chip.restore();
    chip.fillStyle = theme.ink;
    chip.font = FONT;
    chip.textAlign = "center";
    chip.fillText(degrees, 8, 4);
  });
}

const SKIES = {
  clear(pen, theme) {
    pen.strokeStyle = pen.fillStyle = theme.wait;
    pen.lineWidth = 1.3;
    pen.beginPath();
    pen.arc(0, 0, 2.8, 0, 2 * Math.PI);
    pen.fill();
    strokes(pen, [0, 45, 90, 135, 180, 225, 270, 315].map((at) => [4.2, 6, (at * Math.PI) / 180]).map(([from, to, angle]) =>
      [from * Math.cos(angle), from * Math.sin(angle), to * Math.cos(angle), to * Math.sin(angle)]));
  },
  cloudy(pen, theme) {
    cloud(pen, theme.quiet, 0);
  },
  fog(pen, theme) {
    pen.strokeStyle = theme.quiet;
    pen.lineWidth = 1.5;
    strokes(pen, [[-6, -4, 5, -4], [-4, 0, 6, 0], [-6, 4, 4, 4]]);
  },
  rain(pen, theme) {
    cloud(pen, theme.quiet, -2);
    pen.strokeStyle = theme.focus;
    pen.lineWidth = 1.4;
    strokes(pen, [[-3, 3.5, -4.5, 6.5], [0.5, 3.5, -1, 6.5], [4, 3.5, 2.5, 6.5]]);
  },
  snow(pen, theme) {
    cloud(pen, theme.quiet, -2);
    pen.fillStyle = theme.focus;
    for (const [x, y] of [[-4, 4.5], [0, 6], [4, 4.5]]) pen.fillRect(x - 0.9, y - 0.9, 1.8, 1.8);
  },
};

function unknown(pen, theme) {
  pen.fillStyle = theme.quiet;
  pen.fillRect(-2, -2, 4, 4);
}

function cloud(pen, colour, y) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(-3, y + 1, 2.8, 0, 2 * Math.PI);
  pen.arc(0.5, y - 1.2, 3.4, 0, 2 * Math.PI);
  pen.arc(4, y + 1.2, 2.5, 0, 2 * Math.PI);
  pen.rect(-3, y, 7, 3.7);
  pen.fill();
}

function strokes(pen, lines) {
  pen.beginPath();
  for (const [x1, y1, x2, y2] of lines) {
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
  }
  pen.stroke();
}

function ring(pen, colour, radius, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.arc(0, 0, radius, 0, 2 * Math.PI);
  pen.stroke();
}

// A new or changed incident sends out rings; a resolved one turns into a tick and fades. False where it is not drawn.
export function drawIncident(pen, theme, incident, x, y, now, isStill) {
  const age = incident.changedAt === undefined ? Infinity : now - incident.changedAt;
  const isResolved = incident.status === "resolved";
  if (isResolved && age > RESOLVED_MS) return false;
  pen.save();
  pen.translate(x, y);
  const colour = isResolved ? theme.good : incident.status === "responding" ? theme.wait : theme.incident;
  if (age < PULSE_MS && !isStill) {
    const share = ((age / PULSE_MS) * PULSES) % 1;
    pen.globalAlpha = 0.8 * (1 - share);
    ring(pen, colour, 10 + 26 * share, 2);
  }
  pen.globalAlpha = isResolved ? Math.min(1, 2 - (2 * age) / RESOLVED_MS) : 1;
  pen.fillStyle = theme.card;
  pen.beginPath();
  pen.arc(0, 0, 8.5, 0, 2 * Math.PI);
  pen.fill();
  ring(pen, colour, 8.5, 2.4);
  pen.lineWidth = 2.2;
  if (isResolved) strokes(pen, [[-4, 0, -1, 3.5], [-1, 3.5, 4.5, -3.5]]);
  else if (incident.status === "responding") strokes(pen, [[-4, 0, 4, 0], [0, -4, 0, 4]]);
  else {
    strokes(pen, [[0, -5, 0, 1]]);
    pen.fillStyle = colour;
    pen.fillRect(-1.2, 3, 2.4, 2.4);
  }
  pen.restore();
  return true;
}

// Whether an incident still changes its looks.
export const isLively = (incident, now) =>
  incident.changedAt !== undefined && now - incident.changedAt < (incident.status === "resolved" ? RESOLVED_MS : PULSE_MS) + 100;
