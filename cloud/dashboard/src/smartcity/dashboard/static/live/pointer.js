// Mouse and finger on a map: what is pointed at is named, what is clicked is chosen, the wheel zooms, dragging moves.

const REACH_PX = 12;
const DRAG_PX = 4;
const WHEEL_STEP = 1.3;

export function listenTo(map) {
  const { canvas, page, view } = map;
  let pressed = null; // Where the button went down, or last was while dragging.

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (pressed && (map.isDragged || Math.hypot(x - pressed[0], y - pressed[1]) > DRAG_PX) && view.zoom > 1) {
      map.isDragged = true;
      const [fromX, fromY] = pressed;
      pressed = [x, y];
      map.change(() => view.moveBy(fromX - x, fromY - y));
      return;
    }
    const thing = map.at(x, y, REACH_PX);
    canvas.classList.toggle("pointing", Boolean(thing));
    page.hover(thing);
  });
  canvas.addEventListener("pointerdown", (event) => {
    pressed = at(event);
    if (view.zoom > 1) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", (event) => {
    const thing = pressed && !map.isDragged ? map.at(...at(event), REACH_PX) : null;
    if (!map.isDragged) page.choose(thing);
    pressed = null;
    map.isDragged = false;
  });
  canvas.addEventListener("pointercancel", () => {
    pressed = null;
    map.isDragged = false;
  });
  canvas.addEventListener("pointerleave", () => page.hover(null));
  canvas.addEventListener("dblclick", (event) => {
    const thing = map.at(...at(event), REACH_PX);
    if (thing?.kind === "vehicles") page.open(thing);
    else map.change(() => view.zoomBy(2, ...at(event)));
  });
  canvas.addEventListener("wheel", (event) => {
    // Where the page scrolls, the wheel is the page's unless Ctrl is held.
    const isScrolled = document.documentElement.scrollHeight > window.innerHeight + 1;
    if (isScrolled && !event.ctrlKey) return;
    event.preventDefault();
    map.change(() => view.zoomBy(event.deltaY < 0 ? WHEEL_STEP : 1 / WHEEL_STEP, ...at(event)));
  }, { passive: false });
}
