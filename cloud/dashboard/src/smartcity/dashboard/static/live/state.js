// The city as the server tells it: members that changed are put over those that were known.
import { Motion } from "./motion.js";

export const KINDS = ["vehicles", "cameras", "weather", "incidents"];
export const SILENT_S = 10; // Not heard of for longer, a vehicle is drawn pale, and the list says so.

export class City {
  constructor() {
    for (const kind of KINDS) this[kind] = new Map();
    this.isStill = false;
    this.now = 0; // The server's clock, seconds, when the last update was made.
    this.updatedAt = 0; // Ours, milliseconds, when it came.
  }

  // Gives the kinds of which something changed, and the incidents that are new or have another status.
  takeIn(update, now) {
    this.now = update.now;
    this.updatedAt = now;
    const changed = new Set();
    const news = [];
    for (const kind of KINDS) {
      const told = update[kind];
      if (!told) continue;
      if (update.full) for (const name of this[kind].keys()) if (!(name in told)) this[kind].delete(name);
      for (const [name, members] of Object.entries(told)) {
        changed.add(kind);
        this.put(kind, name, members, now, update.full, news);
      }
    }
    if (update.full) for (const kind of KINDS) changed.add(kind);
    return { changed, news };
  }

  put(kind, name, members, now, isFull, news) {
    const thing = this[kind].get(name) ?? { name, kind };
    const isNew = !this[kind].has(name);
    const status = thing.status;
    Object.assign(thing, members);
    if (isNew) this[kind].set(name, thing);
    if (kind === "vehicles" && members.seen !== undefined) this.sight(thing, now);
    if (kind === "incidents" && !isFull && (isNew || thing.status !== status)) {
      thing.changedAt = now;
      news.push(thing);
    }
  }

  sight(vehicle, now) {
    const { latitude, longitude, seen } = vehicle;
    if (!Number.isFinite(latitude) || !Number.isFinite(longitude)) return;
    if (vehicle.motion) vehicle.motion.sight(latitude, longitude, seen * 1000, now);
    else vehicle.motion = new Motion(latitude, longitude, seen * 1000, now);
    vehicle.motion.isStill = this.isStill;
    vehicle.undrawn = vehicle.sent ?? null;
  }

  setStill(isStill) {
    this.isStill = isStill;
    for (const vehicle of this.vehicles.values()) if (vehicle.motion) vehicle.motion.isStill = isStill;
  }

  // For how many seconds a vehicle's position has not been heard.
  silence(vehicle, now) {
    return Math.max(0, this.now + (now - this.updatedAt) / 1000 - vehicle.seen);
  }

  isStale(vehicle, now) {
    return vehicle.state === "offline" || vehicle.fix === false || this.silence(vehicle, now) > SILENT_S;
  }
}

// What is the matter with a vehicle, in words; empty where nothing is.
export function note(city, vehicle, now) {
  const silence = city.silence(vehicle, now);
  if (vehicle.state === "offline") return "offline";
  if (silence > SILENT_S) return `silent for ${duration(silence)}`;
  if (vehicle.fix === false) return "no fix";
  return "";
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
