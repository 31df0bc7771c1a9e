// Candles, volume, lines, gaps: what stands for the data inside the panes.

/** Left edge and width of a bar's body. */
function body(series, i) {
  const [a, b] = [X(series.from[i]), X(series.to[i])];
  const width = Math.max(1, (b - a) * 0.72);
  return [(a + b) / 2 - width / 2, width, (a + b) / 2];
}

function drawUnknown(pane, series, first, last) {
  for (let i = first; i <= last; i++) {
    if (series.states[i] !== "u") continue;
    const from = i;
    while (i < last && series.states[i + 1] === "u") i++;
    const [a, b] = [X(series.from[from]), X(series.to[i])];
    pen.fillStyle = ink.hatch.unsure;
    pen.fillRect(a, pane.top, Math.max(1, b - a), pane.height);
  }
}

function gapExtent(gap) {
  const [a, b] = [X(gap.fromMs), X(gap.toMs)];
  return b - a >= 3 ? [a, b] : [(a + b) / 2 - 1.5, (a + b) / 2 + 1.5];
}

function drawGaps(pane) {
  for (const gap of gapsHere()) {
    const [a, b] = gapExtent(gap);
    if (b < box.left || a > box.right) continue;
    const filled = gap.state === "filled";
    pen.fillStyle = ink.gap;
    pen.globalAlpha = filled ? 0.07 : 0.16;
    pen.fillRect(a, pane.top, b - a, pane.height);
    pen.globalAlpha = filled ? 0.45 : 1;
    pen.fillRect(a, pane.top - 2, b - a, 4);
    pen.globalAlpha = 1;
  }
}

function drawCandles(pane, series, first, last) {
  for (let i = first; i <= last; i++) {
    if (Number.isNaN(series.c[i])) continue;
    const up = series.c[i] >= series.o[i];
    const [x, width, middle] = body(series, i);
    const colour = up ? ink.up : ink.down;
    const [high, low] = [pane.y(series.h[i]), pane.y(series.l[i])];
    let [top, bottom] = [pane.y(series.o[i]), pane.y(series.c[i])];
    if (top > bottom) [top, bottom] = [bottom, top];
    pen.fillStyle = colour;
    if (width < 2.5) {
      pen.fillRect(x, high, Math.max(1, width), Math.max(1, low - high));
      continue;
    }
    const stem = Math.min(1.25, width);
    if (series.states[i] === "p") {
      pen.fillRect(middle - stem / 2, high, stem, Math.max(0, top - high));
      pen.fillRect(middle - stem / 2, bottom, stem, Math.max(0, low - bottom));
      pen.fillStyle = up ? ink.hatch.up : ink.hatch.down;
      pen.fillRect(x, top, width, Math.max(1, bottom - top));
      pen.strokeStyle = colour;
      pen.lineWidth = 1;
      pen.strokeRect(x + 0.5, top + 0.5, Math.max(0.5, width - 1), Math.max(0.5, bottom - top - 1));
    } else {
      pen.fillRect(middle - stem / 2, high, stem, Math.max(1, low - high));
      pen.fillRect(x, top, width, Math.max(1, bottom - top));
    }
  }
}

function drawVolume(pane, series, first, last) {
  const floor = pane.top + pane.height;
  for (let i = first; i <= last; i++) {
    if (!(series.v[i] > 0)) continue;
    const [x, width] = body(series, i);
    const top = pane.y(series.v[i]);
    const bought = series.b[i];
    if (Number.isNaN(bought)) {
      pen.fillStyle = ink.unsure;
      pen.globalAlpha = 0.7;
      pen.fillRect(x, top, width, floor - top);
    } else {
      // Bought by takers below, the rest above.
      const middle = pane.y(bought);
      pen.globalAlpha = 0.78;
      pen.fillStyle = ink.up;
      pen.fillRect(x, middle, width, floor - middle);
      pen.fillStyle = ink.down;
      pen.fillRect(x, top, width, middle - top);
    }
    pen.globalAlpha = 1;
  }
}

function drawBands(pane, series, overlays, first, last) {
  for (const study of overlays) {
    const find = (name) => study.outputs.find((o) => o.output === name);
    const [upper, lower] = [find("upper") || find("span_a"), find("lower") || find("span_b")];
    if (!upper || !lower) continue;
    pen.fillStyle = colourOf(study, 0);
    pen.globalAlpha = 0.07;
    for (const run of runs(series, upper.column, first, last)) {
      pen.beginPath();
      run.forEach((i, k) => pen[k ? "lineTo" : "moveTo"](centre(series, i), pane.y(series.values[upper.column][i])));
      run.reverse().forEach((i) => pen.lineTo(centre(series, i), pane.y(series.values[lower.column][i])));
      pen.fill();
    }
    pen.globalAlpha = 1;
  }
}

const centre = (series, i) => X((series.from[i] + series.to[i]) / 2);

/** Bars that have a value, broken where it is not known what happened between them. */
function runs(series, column, first, last) {
  const values = series.values[column];
  const found = [];
  let run = [];
  for (let i = first; i <= last; i++) {
    if (!Number.isNaN(values[i])) run.push(i);
    else if (series.states[i] === "u" && run.length) {
      found.push(run);
      run = [];
    }
  }
  if (run.length) found.push(run);
  return found;
}

function drawStudy(pane, study, series, first, last) {
  study.outputs.forEach((output, index) => {
    const values = series.values[output.column];
    const colour = colourOf(study, index);
    if (output.bars) {
      const zero = pane.y(0);
      for (let i = first; i <= last; i++) {
        if (Number.isNaN(values[i])) continue;
        const [x, width] = body(series, i);
        const y = pane.y(values[i]);
        pen.fillStyle = values[i] >= 0 ? ink.up : ink.down;
        pen.globalAlpha = 0.6;
        pen.fillRect(x, Math.min(y, zero), width, Math.max(1, Math.abs(y - zero)));
      }
      pen.globalAlpha = 1;
      return;
    }
    if (output.dots) {
      pen.fillStyle = colour;
      for (let i = first; i <= last; i++) {
        if (Number.isNaN(values[i])) continue;
        pen.beginPath();
        pen.arc(centre(series, i), pane.y(values[i]), 1.6, 0, 7);
        pen.fill();
      }
      return;
    }
    const edge = study.outputs.length > 1 && study.onPrice && output.output !== "middle" && output.output !== "value";
    pen.strokeStyle = colour;
    pen.lineWidth = edge ? 1 : 1.5;
    pen.globalAlpha = edge ? 0.75 : 1;
    pen.lineJoin = "round";
    for (const run of runs(series, output.column, first, last)) {
      pen.beginPath();
      run.forEach((i, k) => pen[k ? "lineTo" : "moveTo"](centre(series, i), pane.y(values[i])));
      if (run.length === 1) pen.arc(centre(series, run[0]), pane.y(values[run[0]]), 1, 0, 7);
      pen.stroke();
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
  });
}
