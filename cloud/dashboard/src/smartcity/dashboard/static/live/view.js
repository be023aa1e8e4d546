// Degrees to pixels: a route's rectangle fitted into a canvas, zoomed and moved. Pure.

const MARGIN_PX = { x: 34, y: 46 }; // Above lies the title.
const TITLE_PX = 36;
const ROUND_DEGREES = 0.12; // How far around the route's rectangle something still belongs to it.
export const ZOOM_MAX = 128;

export class View {
  constructor(route) {
    const points = route.pieces.flatMap((piece) => piece.points);
    this.south = Math.min(...points.map((point) => point[0]));
    this.north = Math.max(...points.map((point) => point[0]));
    this.west = Math.min(...points.map((point) => point[1]));
    this.east = Math.max(...points.map((point) => point[1]));
    this.shrink = Math.cos(((this.south + this.north) / 2) * (Math.PI / 180));
    this.width = this.height = 0;
    this.titleHeight = TITLE_PX;
    this.whole();
  }

  holds(latitude, longitude) {
    return latitude > this.south - ROUND_DEGREES && latitude < this.north + ROUND_DEGREES &&
      longitude > this.west - ROUND_DEGREES && longitude < this.east + ROUND_DEGREES;
  }

  whole() {
    this.zoom = 1;
    this.latitude = (this.south + this.north) / 2;
    this.longitude = (this.west + this.east) / 2;
    this.fit(this.width, this.height);
  }

  fit(width, height) {
    this.width = width;
    this.height = height;
    this.scale = this.zoom * Math.max(1, Math.min(
      (width - 2 * MARGIN_PX.x) / ((this.east - this.west) * this.shrink),
      (height - 2 * MARGIN_PX.y) / (this.north - this.south),
    )); // Pixels per degree of latitude.
  }

  x(longitude) {
    return this.width / 2 + (longitude - this.longitude) * this.shrink * this.scale;
  }

  y(latitude) {
    return this.height / 2 + (this.latitude - latitude) * this.scale;
  }

  // Zooms by a factor; what lies at the point stays there.
  zoomBy(factor, x = this.width / 2, y = this.height / 2) {
    const zoom = Math.min(ZOOM_MAX, Math.max(1, this.zoom * factor));
    if (zoom === 1) {
      this.whole();
      return;
    }
    const [latitude, longitude] = [this.latitudeAt(y), this.longitudeAt(x)];
    this.zoom = zoom;
    this.fit(this.width, this.height);
    this.moveBy(this.x(longitude) - x, this.y(latitude) - y);
  }

  // Moves the picture's middle by pixels, within the route's rectangle.
  moveBy(x, y) {
    const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
    this.longitude = clamp(this.longitudeAt(this.width / 2 + x), this.west, this.east);
    this.latitude = clamp(this.latitudeAt(this.height / 2 + y), this.south, this.north);
  }

  latitudeAt(y) {
    return this.latitude - (y - this.height / 2) / this.scale;
  }

  longitudeAt(x) {
    return this.longitude + (x - this.width / 2) / (this.shrink * this.scale);
  }
}
