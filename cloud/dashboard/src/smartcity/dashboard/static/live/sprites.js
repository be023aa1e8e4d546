// Vehicles and labels drawn once and copied ever after: a copy costs a tenth of a path.
import { STALE } from "./palette.js";

const HEADINGS = 72;
const CHIPS_MAX = 128;
const GAP_PX = 2;

// Arrows of one size: a row for each colour, a column for each heading, the last one a dot for those without.
export class Arrows {
  constructor(size, ratio, theme) {
    this.size = size;
    this.cell = Math.ceil(size * ratio) + GAP_PX;
    this.span = this.cell / ratio;
    this.sheet = document.createElement("canvas");
    this.sheet.width = this.cell * (HEADINGS + 1);
    this.sheet.height = this.cell * theme.speeds.length;
    const pen = this.sheet.getContext("2d");
    theme.speeds.forEach((colour, row) => {
      for (let column = 0; column <= HEADINGS; column += 1) {
        pen.setTransform(ratio, 0, 0, ratio, (column + 0.5) * this.cell, (row + 0.5) * this.cell);
        outline(pen, size, column === HEADINGS ? null : (column * 2 * Math.PI) / HEADINGS);
        pen.fillStyle = row === STALE ? theme.card : colour;
        pen.strokeStyle = row === STALE ? colour : theme.card;
        pen.lineWidth = Math.max(1, size / 12);
        pen.fill();
        pen.stroke();
      }
    });
  }

  draw(pen, colour, direction, x, y) {
    const column = Number.isFinite(direction) ? Math.round((direction / 360) * HEADINGS) % HEADINGS : HEADINGS;
    const { cell, span } = this;
    pen.drawImage(this.sheet, column * cell, colour * cell, cell, cell, x - span / 2, y - span / 2, span, span);
  }
}

function outline(pen, size, angle) {
  const unit = size / 20;
  pen.beginPath();
  if (angle === null) {
    pen.arc(0, 0, 6 * unit, 0, 2 * Math.PI);
    return;
  }
  pen.rotate(angle);
  pen.moveTo(0, -9 * unit);
  pen.lineTo(6.5 * unit, 8 * unit);
  pen.lineTo(0, 4.5 * unit);
  pen.lineTo(-6.5 * unit, 8 * unit);
  pen.closePath();
}

// Small pictures by what they show, kept until there are too many. `paint` draws around the middle.
export class Chips {
  constructor(ratio) {
    this.ratio = ratio;
    this.kept = new Map();
  }

  draw(pen, key, width, height, x, y, paint) {
    let chip = this.kept.get(key);
    if (!chip) {
      if (this.kept.size >= CHIPS_MAX) this.kept.clear();
      chip = document.createElement("canvas");
      chip.width = Math.ceil(width * this.ratio);
      chip.height = Math.ceil(height * this.ratio);
      const inside = chip.getContext("2d");
      inside.scale(this.ratio, this.ratio);
      inside.translate(width / 2, height / 2);
      paint(inside);
      this.kept.set(key, chip);
    }
    pen.drawImage(chip, x - width / 2, y - height / 2, width, height);
  }
}
