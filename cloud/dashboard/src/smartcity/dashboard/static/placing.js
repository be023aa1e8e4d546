// Where something stands that is drawn beside a point: at the cheapest of the places it could have. Pure.

// The first of the cheapest candidates and its cost; null where none is possible, which is at an infinite cost.
export function cheapest(candidates, cost) {
  let best = { place: null, cost: Infinity };
  for (const place of candidates) {
    const found = cost(place);
    if (found < best.cost) best = { place, cost: found };
    if (best.cost === 0) break;
  }
  return best;
}

// Whether a point lies in a box or nearer to its sides than `clear`.
export const covers = ({ left, right, top, bottom }, [x, y], clear) =>
  x > left - clear && x < right + clear && y > top - clear && y < bottom + clear;
