// The chart.

let due = false;
function draw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    paint();
  });
}

function inView(series) {
  let first = barAt(series, state.from);
  let last = barAt(series, state.to);
  return [Math.max(0, first - 1), Math.min(series.count - 1, last + 1)];
}

function paint() {
  layout();
  pen.clearRect(0, 0, box.width, box.height);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const series = current();
  if (!series || !series.count) {
    pen.fillStyle = ink.soft;
    pen.fillText("No candles here.", 16, 40);
    tell(null);
    return;
  }
  const [first, last] = inView(series);
  const price = box.panes[0];
  const overlays = studies.filter((s) => s.onPrice && state.active.has(s));
  fitPrice(price, series, overlays, first, last);
  const ticks = timeTicks();
  for (const pane of box.panes) {
    if (pane.kind === "volume") fitVolume(pane, series, first, last);
    if (pane.kind === "study") fitStudy(pane, series, first, last);
    grid(pane, ticks);
  }
  for (const pane of box.panes) {
    clipped(pane, () => {
      if (pane.kind === "price") {
        drawUnknown(pane, series, first, last);
        drawBands(pane, series, overlays, first, last);
        drawGaps(pane);
        drawCandles(pane, series, first, last);
        overlays.forEach((study) => drawStudy(pane, study, series, first, last));
      } else if (pane.kind === "volume") {
        drawVolume(pane, series, first, last);
      } else {
        drawStudy(pane, pane.study, series, first, last);
      }
    });
    drawAxis(pane);
  }
  drawTimeAxis(ticks);
  drawOverview(series);
  const bar = state.bar ?? lastTraded(series, first, last);
  drawTitles(series, bar);
  if (state.bar !== null) drawCross(series, state.bar);
  tell(bar === null ? null : series, bar);
}

function lastTraded(series, first, last) {
  for (let i = last; i >= first; i--) {
    if (!Number.isNaN(series.c[i]) && series.from[i] < state.to) return i;
  }
  return series.count ? last : null;
}

function clipped(pane, work) {
  pen.save();
  pen.beginPath();
  pen.rect(box.left, pane.top - 2, box.right - box.left, pane.height + 4);
  pen.clip();
  work();
  pen.restore();
}

function fitPrice(pane, series, overlays, first, last) {
  let [low, high] = [Infinity, -Infinity];
  const take = (value) => {
    if (value < low) low = value;
    if (value > high) high = value;
  };
  for (let i = first; i <= last; i++) {
    take(series.l[i]);
    take(series.h[i]);
    for (const study of overlays) for (const output of study.outputs) take(series.values[output.column][i]);
  }
  if (!Number.isFinite(low)) {
    // Nothing traded in view: keep the level of the last trade before.
    for (let i = first; i >= 0 && !Number.isFinite(low); i--) take(series.c[i]);
  }
  const room = (high - low) * 0.06;
  scaleOf(pane, low - room, high + room);
}

function fitVolume(pane, series, first, last) {
  let high = 0;
  for (let i = first; i <= last; i++) if (series.v[i] > high) high = series.v[i];
  scaleOf(pane, 0, high * 1.08 || 1);
}

function fitStudy(pane, series, first, last) {
  let [low, high] = [Infinity, -Infinity];
  for (const output of pane.study.outputs) {
    for (let i = first; i <= last; i++) {
      const value = series.values[output.column][i];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (output.bars) {
      low = Math.min(low, 0);
      high = Math.max(high, 0);
    }
  }
  if (pane.study.range) [low, high] = pane.study.range;
  const room = (high - low) * 0.08;
  scaleOf(pane, low - room, high + room);
}

function grid(pane, ticks) {
  pen.strokeStyle = ink.grid;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const value of pane.steps.list) {
    pen.moveTo(box.left, crisp(pane.y(value)));
    pen.lineTo(box.right, crisp(pane.y(value)));
  }
  for (const ms of ticks.list) {
    const x = crisp(X(ms));
    if (x < box.left || x > box.right) continue;
    pen.moveTo(x, pane.top);
    pen.lineTo(x, pane.top + pane.height);
  }
  pen.stroke();
  if (pane.study) {
    pen.strokeStyle = ink.soft;
    pen.globalAlpha = 0.55;
    pen.setLineDash([2, 3]);
    pen.beginPath();
    for (const guide of pane.study.guides) {
      pen.moveTo(box.left, crisp(pane.y(guide)));
      pen.lineTo(box.right, crisp(pane.y(guide)));
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }
}

function drawAxis(pane) {
  pen.fillStyle = ink.soft;
  pen.textAlign = "left";
  for (const value of pane.steps.list) {
    const y = pane.y(value);
    if (y < pane.top + 4 || y > pane.top + pane.height - 3) continue;
    pen.fillText(axisText(value, pane.steps.step), box.right + 8, y);
  }
  pen.strokeStyle = ink.faint;
  pen.beginPath();
  pen.moveTo(box.left, crisp(pane.top + pane.height + 1));
  pen.lineTo(box.right, crisp(pane.top + pane.height + 1));
  pen.stroke();
}

function drawTimeAxis(ticks) {
  pen.fillStyle = ink.soft;
  pen.textAlign = "center";
  let free = box.left;
  for (const ms of ticks.list) {
    const text = tickText(ms, ticks.step);
    const half = pen.measureText(text).width / 2;
    const x = X(ms);
    if (x - half < free || x + half > box.right) continue;
    pen.fillText(text, x, box.axis + 10);
    free = x + half + 12;
  }
  pen.textAlign = "left";
  pen.fillText("UTC", box.right + 8, box.axis + 10);
}
