// Where each pane lies on the canvas.

const AXIS = 24;
const OVERVIEW = 46;
const SPACE = 14;
let box = { width: 0, height: 0, plot: 0, panes: [] };

function layout() {
  const width = $("chart").clientWidth;
  const below = studies.filter((s) => !s.onPrice && state.active.has(s));
  const narrow = width < 640;
  // Room for the longest price, and for a digit more under the cursor.
  const series = current();
  const longest = series && series.count ? series.text.h.reduce((most, text) => Math.max(most, text.length), 0) + 1 : 0;
  const right = Math.max(narrow ? 62 : 84, longest * 6.8 + 20);
  const panes = [{ kind: "price", height: narrow ? 260 : 372 }, { kind: "volume", height: 84 }];
  for (const study of below) panes.push({ kind: "study", study, height: narrow ? 92 : 108 });
  let y = 8;
  for (const pane of panes) {
    pane.top = y;
    y += pane.height + SPACE;
  }
  const axis = y - SPACE + 2;
  const overview = axis + AXIS + 6;
  const height = overview + OVERVIEW + 4;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = height + "px";
  }
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  box = { width, height, left: 4, right: width - right, panes, axis, overview };
}

const X = (ms) => box.left + ((ms - state.from) / (state.to - state.from)) * (box.right - box.left);
const msAt = (x) => state.from + ((x - box.left) / (box.right - box.left)) * (state.to - state.from);
const crisp = (v) => Math.round(v) + 0.5;
