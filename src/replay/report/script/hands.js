// Pointer, wheel and keys; then the page begins.

function place(event) {
  const at = canvas.getBoundingClientRect();
  return { x: event.clientX - at.left, y: event.clientY - at.top };
}

const fingers = new Map();
let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  const at = place(event);
  fingers.set(event.pointerId, at);
  canvas.setPointerCapture(event.pointerId);
  const onOverview = at.y >= box.overview && box.overviewMs;
  drag = { x: at.x, from: state.from, to: state.to, onOverview };
  if (onOverview) centreOn(box.overviewMs(at.x));
  if (fingers.size === 2) drag = { pinch: spread(), from: state.from, to: state.to, around: msAt(midpoint()) };
  canvas.classList.add("dragging");
});
const spread = () => {
  const [a, b] = [...fingers.values()];
  return Math.max(10, Math.abs(a.x - b.x));
};
const midpoint = () => {
  const [a, b] = [...fingers.values()];
  return (a.x + b.x) / 2;
};
function centreOn(ms) {
  const half = (state.to - state.from) / 2;
  [state.from, state.to] = [ms - half, ms + half];
  clampView();
  draw();
}
canvas.addEventListener("pointermove", (event) => {
  const at = place(event);
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, at);
  if (drag && fingers.size === 2 && drag.pinch) {
    const factor = drag.pinch / spread();
    state.from = drag.around - (drag.around - drag.from) * factor;
    state.to = drag.around + (drag.to - drag.around) * factor;
    clampView();
  } else if (drag && drag.onOverview) {
    centreOn(box.overviewMs(at.x));
  } else if (drag && drag.x !== undefined) {
    const shift = ((drag.x - at.x) / (box.right - box.left)) * (drag.to - drag.from);
    [state.from, state.to] = [drag.from + shift, drag.to + shift];
    clampView();
    tableLater();
  }
  state.pointer = at;
  const series = current();
  const inside = at.x >= box.left && at.x <= box.right && at.y < box.overview;
  state.bar = inside && series && series.count ? barAt(series, msAt(at.x)) : null;
  showTip();
  draw();
});
const release = (event) => {
  fingers.delete(event.pointerId);
  drag = null;
  canvas.classList.remove("dragging");
  tableLater();
};
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => {
  state.pointer = null;
  state.bar = null;
  $("tip").hidden = true;
  draw();
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    const shift = ((event.deltaX * lines) / (box.right - box.left)) * (state.to - state.from);
    state.from += shift;
    state.to += shift;
    clampView();
    draw();
  } else {
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY * lines)) * 0.004), msAt(place(event).x));
  }
  tableLater();
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const series = current();
  if (!series || !series.count || event.ctrlKey || event.metaKey || event.altKey) return;
  const [first, last] = inView(series);
  const step = event.shiftKey ? 10 : 1;
  const at = state.bar ?? lastTraded(series, first, last);
  const moves = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: series.count - 1 };
  if (event.key in moves) {
    state.bar = Math.max(0, Math.min(series.count - 1, moves[event.key]));
    state.pointer = null;
    const middle = (series.from[state.bar] + series.to[state.bar]) / 2;
    if (middle < state.from || middle > state.to) centreOn(middle);
    speak();
  } else if (event.key === "+" || event.key === "=") zoom(0.7, (series.from[at] + series.to[at]) / 2);
  else if (event.key === "-") zoom(1 / 0.7, (series.from[at] + series.to[at]) / 2);
  else if (event.key === "0") showAll();
  else if (event.key === "Escape") state.bar = null;
  else return;
  event.preventDefault();
  draw();
  tableLater();
});
$("zoom-in").addEventListener("click", () => zoom(0.6));
$("zoom-out").addEventListener("click", () => zoom(1 / 0.6));
$("all").addEventListener("click", () => {
  showAll();
  draw();
  tableLater();
});
$("controls").addEventListener("submit", (event) => event.preventDefault());
$("rows").addEventListener("toggle", () => $("rows").open && barTable());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  refresh();
});
new ResizeObserver(draw).observe($("chart"));

readColours();
header();
legend();
controls();
if (instruments.length) recall();
else $("note").textContent = "This run has no candles.";
