// The strip below that shows the whole series, and what is written over the panes.

/** The whole of the series, and where the view is. */
function drawOverview(series) {
  const [from, to] = [series.from[0], series.to[series.count - 1]];
  const x = (ms) => box.left + ((ms - from) / (to - from || 1)) * (box.right - box.left);
  const [top, height] = [box.overview, OVERVIEW];
  box.overviewMs = (px) => from + ((px - box.left) / (box.right - box.left)) * (to - from);
  pen.fillStyle = ink.grid;
  pen.globalAlpha = 0.6;
  pen.fillRect(box.left, top, box.right - box.left, height);
  pen.globalAlpha = 1;
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < series.count; i++) {
    if (series.l[i] < low) low = series.l[i];
    if (series.h[i] > high) high = series.h[i];
  }
  const y = (value) => top + height - 5 - ((value - low) / (high - low || 1)) * (height - 10);
  for (const gap of gapsHere()) {
    const [a, b] = [x(gap.fromMs), x(gap.toMs)];
    pen.fillStyle = ink.gap;
    pen.globalAlpha = gap.state === "filled" ? 0.3 : 0.75;
    pen.fillRect(a, top, Math.max(1.5, b - a), height);
    pen.globalAlpha = 1;
  }
  pen.strokeStyle = ink.soft;
  pen.lineWidth = 1;
  pen.beginPath();
  let broken = true;
  for (let i = 0; i < series.count; i++) {
    if (series.states[i] === "u") broken = true;
    if (Number.isNaN(series.c[i])) continue;
    const middle = x((series.from[i] + series.to[i]) / 2);
    pen[broken ? "moveTo" : "lineTo"](middle, y(series.c[i]));
    broken = false;
  }
  pen.stroke();
  const [a, b] = [Math.max(box.left, x(state.from)), Math.min(box.right, x(state.to))];
  pen.fillStyle = ink.card;
  pen.globalAlpha = 0.66;
  pen.fillRect(box.left, top, Math.max(0, a - box.left), height);
  pen.fillRect(b, top, Math.max(0, box.right - b), height);
  pen.globalAlpha = 1;
  pen.strokeStyle = ink.soft;
  pen.strokeRect(crisp(a), crisp(top), Math.max(2, Math.round(b - a) - 1), height - 1);
}

function drawTitles(series, bar) {
  pen.textAlign = "left";
  for (const pane of box.panes) {
    if (pane.kind === "price") continue;
    const parts = [];
    if (pane.kind === "volume") {
      parts.push(["volume " + state.instrument.replace(/^.*:([^-]*)-.*$/, "$1"), ink.soft]);
    } else {
      parts.push([pane.study.key, ink.soft]);
      pane.study.outputs.forEach((output, index) => {
        const value = bar === null ? NaN : series.values[output.column][bar];
        const name = pane.study.outputs.length > 1 ? output.output + " " : "";
        parts.push([name + (Number.isNaN(value) ? "–" : short(value)), output.bars ? ink.soft : colourOf(pane.study, index)]);
      });
    }
    pen.font = "600 11px system-ui, sans-serif";
    let x = box.left + 6;
    const y = pane.top + 8;
    const widths = parts.map(([text]) => pen.measureText(text).width);
    pen.fillStyle = ink.card;
    pen.globalAlpha = 0.82;
    pen.fillRect(x - 4, y - 8, widths.reduce((sum, w) => sum + w + 10, 0), 16);
    pen.globalAlpha = 1;
    parts.forEach(([text, colour], k) => {
      pen.fillStyle = colour;
      pen.fillText(text, x, y);
      x += widths[k] + 10;
    });
    pen.font = "11px system-ui, sans-serif";
  }
}

function label(text, x, y, align) {
  const width = pen.measureText(text).width + 10;
  const left = align === "center" ? Math.max(box.left, Math.min(x - width / 2, box.right - width)) : x;
  pen.fillStyle = ink.ink;
  pen.beginPath();
  pen.roundRect(left, y - 9, width, 18, 4);
  pen.fill();
  pen.fillStyle = ink.paper;
  pen.textAlign = "left";
  pen.fillText(text, left + 5, y + 0.5);
}

function drawCross(series, bar) {
  const x = crisp(centre(series, bar));
  if (x < box.left || x > box.right) return;
  const bottom = box.panes.at(-1).top + box.panes.at(-1).height;
  pen.strokeStyle = ink.soft;
  pen.setLineDash([3, 3]);
  pen.beginPath();
  pen.moveTo(x, box.panes[0].top);
  pen.lineTo(x, bottom);
  const pane = state.pointer && box.panes.find((p) => state.pointer.y >= p.top && state.pointer.y <= p.top + p.height);
  if (pane) {
    pen.moveTo(box.left, crisp(state.pointer.y));
    pen.lineTo(box.right, crisp(state.pointer.y));
  }
  pen.stroke();
  pen.setLineDash([]);
  if (pane) label(axisText(pane.value(state.pointer.y), pane.steps.step / 10), box.right + 3, state.pointer.y);
  label(exactTime(series.opens[bar]), x, box.axis + 10, "center");
}
