// Where a vehicle is taken to be between two sightings. Pure: times are milliseconds of one clock, positions degrees.
//
// The last step is carried on: at its own speed for as long as steps take, then slower, to a stand half a step further.
// What a new sighting corrects wears off within CORRECT_MS. So what is drawn is the present, does not wait for the next
// sighting, never jumps, and runs ahead by one and a half steps at most, of CARRY_MS at most.

export const CARRY_MS = 3000; // A step that took longer is carried on for so long.
export const CORRECT_MS = 350;
const BORN_MS = 600; // What appears, fades in.
const STEP_MS = [20, 6000]; // A shorter step says nothing of the speed; after a longer silence none is known.
const TRUSTED_MS = 500; // A shorter step says less of the speed: positions are a little wrong, and so are times.
const RESTART_KM = 5; // What is further off, and further than its speed explains, has not driven there: it departs anew.
const RESTART_TIMES = 3;
const KM_PER_DEGREE = 111.2;

export class Motion {
  constructor(latitude, longitude, seen, now) {
    this.isStill = false; // For those who want no motion: it is drawn where it was seen.
    this.startAt(latitude, longitude, seen, now);
  }

  startAt(latitude, longitude, seen, now) {
    this.latitude = latitude;
    this.longitude = longitude;
    this.seen = seen;
    this.since = now;
    this.bornAt = now;
    this.stepMs = 0;
    this.north = this.east = this.offNorth = this.offEast = 0;
  }

  // A sighting: where it was at `seen`, by the clock of those who send; `now` is ours.
  sight(latitude, longitude, seen, now) {
    const here = this.at(now);
    const [north, east, step] = [latitude - this.latitude, longitude - this.longitude, seen - this.seen];
    const shrink = Math.cos((latitude * Math.PI) / 180);
    const km = KM_PER_DEGREE * Math.hypot(latitude - here.latitude, (longitude - here.longitude) * shrink);
    const drivenKm = KM_PER_DEGREE * Math.hypot(this.north, this.east * shrink) * Math.max(0, step);
    if (km > Math.max(RESTART_KM, RESTART_TIMES * drivenKm)) {
      this.startAt(latitude, longitude, seen, now);
      return;
    }
    if (step >= STEP_MS[0]) {
      const isKnown = step <= STEP_MS[1];
      const weight = this.stepMs ? Math.min(1, step / TRUSTED_MS) : 1;
      this.north = isKnown ? this.north + (north / step - this.north) * weight : 0;
      this.east = isKnown ? this.east + (east / step - this.east) * weight : 0;
      this.stepMs = Math.min(CARRY_MS, step > this.stepMs ? step : this.stepMs + (step - this.stepMs) * weight);
    }
    this.offNorth = here.latitude - latitude;
    this.offEast = here.longitude - longitude;
    this.latitude = latitude;
    this.longitude = longitude;
    this.seen = seen;
    this.since = now;
  }

  // Where it is drawn.
  at(now, point = {}) {
    const elapsed = Math.max(0, now - this.since);
    const ahead = this.isStill ? 0 : carried(elapsed, this.stepMs);
    const rest = this.isStill || elapsed >= CORRECT_MS ? 0 : 1 - smooth(elapsed / CORRECT_MS);
    point.latitude = this.latitude + this.north * ahead + this.offNorth * rest;
    point.longitude = this.longitude + this.east * ahead + this.offEast * rest;
    return point;
  }

  // How far it has appeared, 0 to 1.
  presence(now) {
    return this.isStill ? 1 : Math.min(1, (now - this.bornAt) / BORN_MS);
  }

  isMoving(now) {
    return !this.isStill && (now - this.since < Math.max(2 * this.stepMs, CORRECT_MS) || now - this.bornAt < BORN_MS + 50);
  }
}

// Milliseconds' worth of the step's speed: all of them for one step, then ever less, to half a step more.
function carried(elapsed, stepMs) {
  if (elapsed <= stepMs) return elapsed;
  const over = Math.min(elapsed, 2 * stepMs) - stepMs;
  return stepMs ? stepMs + over - (over * over) / (2 * stepMs) : 0;
}

const smooth = (share) => share * share * (3 - 2 * share);
