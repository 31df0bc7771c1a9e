"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const canvas = $("canvas");
  const pen = canvas.getContext("2d");

  // ---- numbers and times as people read them -----------------------------------------------

  const grouped = (n) => Math.round(n).toLocaleString("en-US");
  // Statistics are floats; the files hold all of their digits.
  const short = (x) => (x === 0 ? "0" : Math.abs(x) >= 1e9 || Math.abs(x) < 1e-4 ? x.toExponential(3) : String(+x.toPrecision(7)));
  const two = (n) => String(n).padStart(2, "0");
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const day = (ms) => new Date(ms).toISOString().slice(0, 10);
  const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

  /** Exact text of nanoseconds: the fraction is shown as far as it is not zero. */
  const exactTime = (ns) => {
    const ms = Number(ns / 1000000n);
    const fraction = String(((ns % 1000000000n) + 1000000000n) % 1000000000n).padStart(9, "0").replace(/0+$/, "");
    return `${day(ms)} ${clock(ms)}${fraction ? "." + fraction : ""}`;
  };
  const isoMs = (text) => Date.parse(text.replace(/(\.\d{3})\d+Z$/, "$1Z"));
  const lasting = (ms) => {
    const units = [["d", 864e5], ["h", 36e5], ["min", 6e4], ["s", 1e3]];
    for (const [name, size] of units) {
      if (ms >= size) return `${+(ms / size).toPrecision(3)} ${name}`;
    }
    return `${+ms.toPrecision(3)} ms`;
  };
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") made.className = value;
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  // ---- which indicator goes where ------------------------------------------------------------

  const ON_PRICE = /^(sma|ema|wma|dema|tema|kama|rma|hma|vwma|vwap|rolling_vwap|donchian|keltner|ichimoku|psar|supertrend|bollinger)$/;
  const NOT_ON_PRICE = new Set(["percent_b", "width", "direction"]);
  // Outputs whose scales have nothing to do with each other get panes of their own.
  const APART = new Set(["percent_b", "width", "direction", "r2", "slope", "buy_share", "share", "threshold", "oscillator", "max"]);
  const BARS = new Set(["histogram", "delta/value"]);
  const DOTS = new Set(["psar/value"]);
  const GUIDES = {
    rsi: [30, 70], mfi: [20, 80], stoch: [20, 80], stoch_fast: [20, 80], stochrsi: [20, 80], ultimate_oscillator: [30, 70],
    williams_r: [-80, -20], cci: [-100, 0, 100], zscore: [-2, 0, 2], cmo: [-50, 0, 50], adx: [25], oscillator: [0],
    percent_b: [0, 1], buy_share: [0.5],
  };
  const PERCENT = [0, 100];
  const RANGES = {
    rsi: PERCENT, mfi: PERCENT, stoch: PERCENT, stoch_fast: PERCENT, stochrsi: PERCENT, ultimate_oscillator: PERCENT,
    aroon: PERCENT, williams_r: [-100, 0], oscillator: [-100, 100], buy_share: [0, 1], share: [0, 1], r2: [0, 1],
  };

  /** One switch of the controls: some outputs of one indicator, drawn together. */
  const studies = [];
  data.labels.forEach((label, column) => {
    const name = label.indicator.replace(/\(.*/, "");
    const onPrice = ON_PRICE.test(name) && !NOT_ON_PRICE.has(label.output);
    const apart = !onPrice && APART.has(label.output);
    const key = label.indicator + (onPrice ? "" : apart ? " " + label.output.replace("_", " ") : onPriceToo(name) ? " other" : "");
    let study = studies.find((s) => s.key === key && s.onPrice === onPrice);
    if (!study) {
      study = { key, name, onPrice, outputs: [], guides: GUIDES[apart ? label.output : name] || [], range: RANGES[apart ? label.output : name] };
      studies.push(study);
    }
    study.outputs.push({ column, output: label.output, bars: BARS.has(label.output) || BARS.has(`${name}/${label.output}`), dots: DOTS.has(`${name}/${label.output}`) });
  });
  function onPriceToo(name) {
    return ON_PRICE.test(name);
  }

  // ---- series, unpacked when first looked at --------------------------------------------------

  const unpacked = new Map();
  function unpack(packed) {
    const known = unpacked.get(packed);
    if (known) return known;
    const texts = (column) => (packed.states.length ? packed[column].split(" ") : []);
    const numbers = (column) => Float64Array.from(column, (text) => (text === "-" ? NaN : Number(text)));
    const unit = BigInt(packed.unit);
    let at = BigInt(packed.first);
    const [before, widths] = [texts("d"), texts("w")];
    const count = packed.states.length;
    const [opens, closes] = [new Array(count), new Array(count)];
    for (let i = 0; i < count; i++) {
      opens[i] = at + BigInt(before[i]) * unit;
      closes[i] = at = opens[i] + BigInt(widths[i]) * unit;
    }
    const ms = (list) => Float64Array.from(list, (ns) => Number(ns / 1000n) / 1000);
    const text = {};
    for (const column of ["o", "h", "l", "c", "v", "q", "n", "b", "x", "r"]) text[column] = texts(column);
    const series = {
      packed, count, opens, closes, text, states: packed.states,
      from: ms(opens), to: ms(closes),
      o: numbers(text.o), h: numbers(text.h), l: numbers(text.l), c: numbers(text.c), v: numbers(text.v), b: numbers(text.b),
      values: packed.values.map((column) => numbers(count ? column.split(" ") : [])),
    };
    unpacked.set(packed, series);
    return series;
  }

  /** The bar that holds the moment, or the nearest. */
  function barAt(series, ms) {
    let [low, high] = [0, series.count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (series.to[middle] <= ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // ---- what is shown ---------------------------------------------------------------------------

  const instruments = [...new Set(data.series.map((s) => s.instrument))];
  const state = {
    instrument: instruments[0],
    interval: "",
    active: new Set(),
    from: 0, to: 1,
    /** Bar under the cursor. */
    bar: null,
    /** Cursor within the canvas. */
    pointer: null,
  };
  const intervalsOf = (instrument) => data.series.filter((s) => s.instrument === instrument).map((s) => s.interval);
  const SECONDS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
  const lengthOf = (interval) => (/^\d+[smhdw]$/.test(interval) ? parseInt(interval) * SECONDS[interval.slice(-1)] : Infinity);
  const current = () => {
    const packed = data.series.find((s) => s.instrument === state.instrument && s.interval === state.interval);
    return packed ? unpack(packed) : null;
  };
  const gapsHere = () => data.gaps.filter((g) => `${g.venue}:${g.symbol}` === state.instrument);
  data.gaps.forEach((gap) => {
    gap.fromMs = isoMs(gap.from);
    gap.toMs = isoMs(gap.to);
  });

  /** The interval with the most bars that can still be told apart. */
  function bestInterval(intervals) {
    const sized = intervals.map((interval) => ({ interval, packed: data.series.find((s) => s.instrument === state.instrument && s.interval === interval) }));
    const whole = sized.filter((s) => s.packed.each === 1 && lengthOf(s.interval) < Infinity);
    const pool = whole.length ? whole : sized;
    return pool.reduce((best, s) => (s.packed.states.length > best.packed.states.length ? s : best)).interval;
  }

  function showAll() {
    const series = current();
    if (!series || !series.count) return;
    const [from, to] = [series.from[0], series.to[series.count - 1]];
    const margin = (to - from) * 0.01;
    [state.from, state.to] = [from - margin, to + margin];
  }

  function showRecent() {
    const series = current();
    showAll();
    if (series && series.count > 260) {
      const from = series.from[series.count - 200];
      state.from = from;
      state.to = series.to[series.count - 1] + (series.to[series.count - 1] - from) * 0.01;
    }
  }

  const WIDTH_MIN_MS = 0.01;
  function clampView() {
    const series = current();
    if (!series || !series.count) return;
    const [first, last] = [series.from[0], series.to[series.count - 1]];
    const room = (last - first) * 0.02 + 1;
    let width = Math.min(Math.max(state.to - state.from, WIDTH_MIN_MS), last - first + 2 * room);
    let from = Math.min(Math.max(state.from, first - room - width * 0.5), last + room - width * 0.5);
    if (width >= last - first) from = Math.max(Math.min(state.from, first), last - width);
    [state.from, state.to] = [from, from + width];
  }

  function zoom(factor, around = (state.from + state.to) / 2) {
    const [from, to] = [state.from, state.to];
    state.from = around - (around - from) * factor;
    state.to = around + (to - around) * factor;
    clampView();
    draw();
  }

  // ---- colours ---------------------------------------------------------------------------------

  let ink = {};
  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const names = ["card", "ink", "soft", "faint", "grid", "accent", "up", "down", "unsure", "gap", "gap-ink", "paper", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];
    ink = Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
    ink.hatch = { up: hatch(ink.up, 5), down: hatch(ink.down, 5), unsure: hatch(ink.unsure, 8, 0.35) };
  }

  function hatch(colour, size, alpha = 1) {
    const tile = document.createElement("canvas");
    const scale = devicePixelRatio || 1;
    tile.width = tile.height = Math.round(size * scale);
    const brush = tile.getContext("2d");
    brush.strokeStyle = colour;
    brush.globalAlpha = alpha;
    brush.lineWidth = scale * (size > 6 ? 1 : 1.4);
    const s = tile.width;
    brush.beginPath();
    for (const shift of [-s, 0, s]) {
      brush.moveTo(shift - s * 0.25, s * 1.25);
      brush.lineTo(shift + s * 1.25, -s * 0.25);
    }
    brush.stroke();
    const pattern = pen.createPattern(tile, "repeat");
    pattern.setTransform(new DOMMatrix().scale(1 / scale));
    return pattern;
  }

  const colourOf = (study, index) => {
    const place = studies.filter((s) => state.active.has(s) && s.onPrice === study.onPrice).indexOf(study);
    const base = study.onPrice ? place : index;
    return ink["c" + ((base % 8) + 1)];
  };

  // ---- layout ----------------------------------------------------------------------------------

  const AXIS = 24;
  const OVERVIEW = 46;
  const SPACE = 14;
  let box = { width: 0, height: 0, plot: 0, panes: [] };

  function layout() {
    const width = $("chart").clientWidth;
    const below = studies.filter((s) => !s.onPrice && state.active.has(s));
    const narrow = width < 640;
    const right = narrow ? 62 : 84;
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

  // ---- scales ----------------------------------------------------------------------------------

  function steps(low, high, wanted) {
    const rough = (high - low) / Math.max(wanted, 1);
    if (!(rough > 0)) return { step: 1, list: [low] };
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= rough) * power;
    const list = [];
    for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) list.push(k * step);
    return { step, list };
  }

  const placesOf = (step) => Math.max(0, Math.min(12, -Math.floor(Math.log10(step) + 1e-9) + (/^2\.?5/.test(String(step / 10 ** Math.floor(Math.log10(step)))) ? 1 : 0)));
  const axisText = (value, step) => (Math.abs(value) >= 1e7 || (value !== 0 && step < 1e-9) ? value.toExponential(2) : value.toFixed(placesOf(step)));

  const TIME_STEPS = [1e-3, 1e-2, 0.1, 1, 10, 50, 100, 250, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 12096e5, 26298e5, 78894e5, 315576e5];
  function timeTicks() {
    const wanted = Math.max(2, (box.right - box.left) / 110);
    const step = TIME_STEPS.find((s) => (state.to - state.from) / s <= wanted) || TIME_STEPS.at(-1);
    const list = [];
    for (let k = Math.ceil(state.from / step); k * step <= state.to && list.length < 60; k++) list.push(k * step);
    return { step, list };
  }

  function tickText(ms, step) {
    const at = new Date(ms);
    if (step >= 2e9) return `${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
    const midnight = ms % 864e5 === 0;
    if (step >= 864e5 || midnight) return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
    if (step >= 6e4) return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
    if (step >= 1e3) return clock(ms);
    return `${clock(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;
  }

  function scaleOf(pane, low, high) {
    if (!(high > low)) {
      const room = Math.abs(low || 1) * 0.01;
      [low, high] = Number.isFinite(low) ? [low - room, high + room] : [0, 1];
    }
    pane.low = low;
    pane.high = high;
    pane.y = (value) => pane.top + pane.height - ((value - low) / (high - low)) * pane.height;
    pane.value = (y) => low + ((pane.top + pane.height - y) / pane.height) * (high - low);
    pane.steps = steps(low, high, pane.height / (pane.kind === "price" ? 52 : 34));
  }

  // ---- drawing ---------------------------------------------------------------------------------

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

  // ---- words ------------------------------------------------------------------------------------

  const STATES = { t: "traded", e: "empty", p: "partial", u: "unknown" };
  const MEANING = { t: "", e: "nothing traded", p: "a hole touches it", u: "no trade known, and none can be excluded" };

  let told = "";
  function tell(series, bar) {
    const readout = $("readout");
    if (!series) {
      readout.replaceChildren();
      return;
    }
    const mark = `${state.instrument} ${state.interval} ${bar} ${[...state.active].map((s) => s.key).join()}`;
    if (mark === told) return;
    told = mark;
    const t = series.text;
    const code = series.states[bar];
    const item = (name, value, style) => {
      const made = element("span", {}, element("em", {}, name), value);
      if (style) made.style.color = style;
      return made;
    };
    const first = exactTime(series.opens[bar]);
    let last = exactTime(series.closes[bar]);
    if (last.slice(0, 10) === first.slice(0, 10)) last = last.slice(11);
    const meaning = MEANING[code] ? `${STATES[code]}: ${MEANING[code]}` : STATES[code];
    const revision = t.r[bar] === "0" ? "" : `, revision ${t.r[bar]}`;
    const when = element("span", { class: "when" }, element("b", {}, `${first} – ${last} UTC`), element("span", { class: "state " + STATES[code] }, meaning + revision));
    const items = [when];
    if (t.o[bar] !== "-") {
      items.push(item("open", t.o[bar]), item("high", t.h[bar]), item("low", t.l[bar]), item("close", t.c[bar]));
    }
    if (code !== "u") items.push(item("volume", t.v[bar]));
    if (t.b[bar] !== "-" && series.v[bar] > 0) {
      items.push(item("bought by takers", `${t.b[bar]} (${((100 * series.b[bar]) / series.v[bar]).toFixed(1)} %)`));
    }
    if (t.n[bar] !== "-" && code !== "u") items.push(item("trades", t.n[bar]));
    if (t.x[bar] !== "-") items.push(item("vwap", t.x[bar]));
    if (t.q[bar] !== "-" && series.v[bar] > 0) items.push(item("quote volume", t.q[bar]));
    for (const study of studies.filter((s) => s.onPrice && state.active.has(s))) {
      const values = study.outputs.map((o) => series.values[o.column][bar]);
      if (values.every(Number.isNaN)) continue;
      const text = values.map((v) => (Number.isNaN(v) ? "–" : short(v))).join("  ");
      const made = item(study.key, text);
      made.firstChild.style.color = colourOf(study, 0);
      items.push(made);
    }
    readout.replaceChildren(...items);
  }

  function speak() {
    const series = current();
    if (!series || state.bar === null) return;
    const t = series.text;
    const i = state.bar;
    const prices = t.o[i] === "-" ? "" : `, open ${t.o[i]}, high ${t.h[i]}, low ${t.l[i]}, close ${t.c[i]}, volume ${t.v[i]}`;
    $("spoken").textContent = `${exactTime(series.opens[i])}, ${STATES[series.states[i]]}${prices}`;
  }

  function gapWords(gap) {
    if (gap.first_missing_id !== null) {
      const count = BigInt(gap.last_missing_id) - BigInt(gap.first_missing_id) + 1n;
      return `${count.toLocaleString("en-US")} trades: ${gap.first_missing_id} to ${gap.last_missing_id}`;
    }
    return gap.kind === "reset" ? "the numbering began anew" : "nobody listened";
  }

  function showTip() {
    const tip = $("tip");
    const pointer = state.pointer;
    const price = box.panes[0];
    const inside = pointer && price && pointer.y >= price.top - 4 && pointer.y <= price.top + price.height;
    const hit = inside && gapsHere().find((gap) => {
      const [a, b] = gapExtent(gap);
      return pointer.x >= a - 3 && pointer.x <= b + 3;
    });
    tip.hidden = !hit;
    if (!hit) return;
    const rows = [["missing", gapWords(hit)], ["from", hit.from], ["to", `${hit.to} (${lasting(hit.toMs - hit.fromMs)})`], ["state", hit.state]];
    const list = element("dl");
    for (const [name, value] of rows) list.append(element("dt", {}, name), element("dd", {}, value));
    tip.replaceChildren(element("b", {}, `Gap ${hit.id}`), list);
    const wide = tip.offsetWidth;
    const left = pointer.x + 18 + wide < box.width ? pointer.x + 18 : pointer.x - 18 - wide;
    tip.style.left = Math.max(0, left) + "px";
    tip.style.top = Math.min(pointer.y + 14, price.top + price.height - tip.offsetHeight) + "px";
  }

  // ---- what stands around the chart -----------------------------------------------------------

  function header() {
    const s = data.summary;
    $("version").textContent = s.version;
    const one = data.instruments === 1;
    $("title").textContent = one ? instruments[0] : `${grouped(data.instruments)} instruments`;
    document.title = `${$("title").textContent}, tapewatch replay`;
    const all = data.series.filter((x) => x.states.length).map(unpackEnds);
    if (all.length) {
      const from = all.reduce((a, x) => (x.from < a ? x.from : a), all[0].from);
      const to = all.reduce((a, x) => (x.to > a ? x.to : a), all[0].to);
      $("span").textContent = `${exactTime(from)} to ${exactTime(to)} UTC`;
    }
    const figures = [
      ["trades", s.trades], ["candles", s.candles], ["indicator values", s.indicators],
      ["gaps", s.gaps, s.gaps > 0], ["late trades", s.late], ["duplicates", s.duplicates],
      ["conflicting", s.conflicting, true, s.conflicting === 0], ["lines refused", s.quarantined, s.quarantined > 0],
      ["anomalies", s.anomalies, false, s.anomalies === 0], ["signals", s.signals, false, s.signals === 0],
    ];
    for (const [name, value, warn, hide] of figures) {
      if (hide) continue;
      $("figures").append(element("div", warn ? { class: "warn" } : {}, element("dt", {}, name), element("dd", {}, grouped(value))));
    }
    $("figures").append(element("div", {}, element("dt", {}, `trades a second, in ${+s.elapsed_seconds.toPrecision(3)} s`), element("dd", {}, grouped(s.trades_per_second))));
    $("digest").textContent = s.digest;
    $("config").textContent = s.config_digest;
  }

  function unpackEnds(packed) {
    const sum = (column) => packed[column].split(" ").reduce((total, text) => total + BigInt(text), 0n);
    const from = BigInt(packed.first);
    return { from, to: from + (sum("d") + sum("w")) * BigInt(packed.unit) };
  }

  function controls() {
    const select = $("instrument");
    instruments.forEach((name) => select.append(element("option", { value: name }, name)));
    $("instrument-field").hidden = instruments.length < 2;
    select.addEventListener("change", () => choose(select.value));
    for (const study of studies) {
      const input = element("input", { type: "checkbox" });
      const dot = element("i");
      const chip = element("label", {}, input, element("span", {}, dot, study.key));
      study.input = input;
      study.dot = dot;
      study.chip = chip;
      input.addEventListener("change", () => {
        state.active[input.checked ? "add" : "delete"](study);
        refresh();
      });
      $(study.onPrice ? "on-price" : "below").append(chip);
    }
    for (const [id, list] of groups()) {
      $(id).hidden = !list.length;
      const more = element("button", { type: "button", class: "more" });
      more.addEventListener("click", () => {
        unfolded[unfolded.has(id) ? "delete" : "add"](id);
        fold();
      });
      $(id).append(more);
    }
  }

  const groups = () => [["on-price", studies.filter((s) => s.onPrice)], ["below", studies.filter((s) => !s.onPrice)]];
  const unfolded = new Set();
  const UNFOLDED = 9;
  /** Of many switches, shows the first and those that are on. */
  function fold() {
    for (const [id, list] of groups()) {
      let hidden = 0;
      list.forEach((study, k) => {
        const fits = list.length <= UNFOLDED + 2 || k < UNFOLDED || unfolded.has(id) || state.active.has(study);
        study.chip.hidden = !fits;
        hidden += !fits;
      });
      const more = $(id).querySelector(".more");
      more.hidden = !hidden && !unfolded.has(id);
      more.textContent = hidden ? `${hidden} more` : "fewer";
    }
  }

  function intervalButtons() {
    const field = $("intervals");
    field.querySelectorAll("label").forEach((old) => old.remove());
    const intervals = intervalsOf(state.instrument).sort((a, b) => lengthOf(a) - lengthOf(b) || (a < b ? -1 : 1));
    for (const interval of intervals) {
      const input = element("input", { type: "radio", name: "interval", value: interval });
      input.checked = interval === state.interval;
      input.addEventListener("change", () => {
        state.interval = interval;
        state.bar = null;
        clampView();
        const series = current();
        const [first, last] = inView(series);
        if (last - first > 400 || last - first < 12) showRecent();
        refresh();
      });
      field.append(element("label", {}, input, element("span", {}, interval)));
    }
  }

  function choose(instrument, interval) {
    state.instrument = instrument;
    const intervals = intervalsOf(instrument);
    state.interval = intervals.includes(interval) ? interval : intervals.includes(state.interval) ? state.interval : bestInterval(intervals);
    state.bar = null;
    $("instrument").value = instrument;
    showRecent();
    intervalButtons();
    gapTable();
    refresh();
  }

  function refresh() {
    told = "";
    for (const study of studies) {
      const on = state.active.has(study);
      study.input.checked = on;
      study.dot.style.background = on ? colourOf(study, 0) : "";
    }
    fold();
    const series = current();
    const notes = [];
    if (series && series.packed.each > 1) notes.push(`Each bar here stands for up to ${grouped(series.packed.each)} candles of ${state.interval}, added up exactly; the files hold each one.`);
    if (data.instruments > instruments.length) notes.push(`Charts for ${grouped(instruments.length)} of ${grouped(data.instruments)} instruments: those with the most candles.`);
    $("note").textContent = notes.join(" ");
    const gaps = gapsHere().length;
    canvas.setAttribute("aria-label", `${state.instrument}, candles of ${state.interval}, ${series ? series.count : 0} bars, ${gaps} ${gaps === 1 ? "gap" : "gaps"}`);
    remember();
    draw();
    tableLater();
  }

  function legend() {
    const marks = [
      ["up", `<rect x="3" y="1" width="8" height="12" fill="var(--up)"/>`],
      ["down", `<rect x="3" y="1" width="8" height="12" fill="var(--down)"/>`],
      ["partial", `<g stroke="var(--up)"><rect x="3.5" y="1.5" width="7" height="11" fill="none"/><path d="M4 7l5-5M4 12l6-6M8 12l2-2" stroke-width="1.3"/></g>`],
      ["unknown", `<path d="M0 7l7-7M0 14L14 0M7 14l7-7" stroke="var(--unsure)"/>`],
      ["gap", `<rect width="14" height="14" fill="var(--gap)" opacity=".2"/><rect width="14" height="3" fill="var(--gap)"/>`],
    ];
    $("legend").innerHTML = marks.map(([name, mark]) => `<li><svg viewBox="0 0 14 14" aria-hidden="true">${mark}</svg>${name}</li>`).join("");
  }

  function gapTable() {
    const gaps = gapsHere();
    const open = gaps.filter((gap) => gap.state !== "filled").length;
    const words = gaps.length
      ? `${state.instrument}: ${grouped(gaps.length)} in all, ${grouped(open)} not filled. A candle that a gap touches is partial, or unknown where no trade is left.`
      : `${state.instrument}: none is known.`;
    $("gaps-note").textContent = words + (data.gaps_left_out ? ` This page has no room for ${grouped(data.gaps_left_out)} more; gaps.jsonl holds them all.` : "");
    const table = $("gaps");
    table.replaceChildren();
    if (!gaps.length) return;
    const head = ["", "from", "to", "lasts", "kind", "missing", "state", "id"].map((name) => element("th", { scope: "col" }, name));
    table.append(element("thead", {}, element("tr", {}, ...head)));
    const rows = gaps.slice(0, 500).map((gap) => {
      const show = element("button", { type: "button", "aria-label": `Show gap ${gap.id}` }, "show");
      show.addEventListener("click", () => showGap(gap));
      const cells = [show, gap.from, gap.to, lasting(gap.toMs - gap.fromMs), gap.kind, gapWords(gap), gap.state, element("code", {}, gap.id)];
      return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
    });
    table.append(element("tbody", {}, ...rows));
  }

  function showGap(gap) {
    const series = current();
    if (!series || !series.count) return;
    const width = series.to[0] - series.from[0];
    const room = Math.max((gap.toMs - gap.fromMs) * 1.5, width * 30);
    [state.from, state.to] = [gap.fromMs - room, gap.toMs + room];
    state.bar = barAt(series, (gap.fromMs + gap.toMs) / 2);
    state.pointer = null;
    refresh();
    $("controls").scrollIntoView({ block: "start" });
  }

  let tableDue = 0;
  function tableLater() {
    clearTimeout(tableDue);
    tableDue = setTimeout(() => {
      remember();
      if ($("rows").open) barTable();
    }, 200);
  }

  const TABLE_ROWS = 300;
  function barTable() {
    const series = current();
    const table = $("bars");
    table.replaceChildren();
    if (!series || !series.count) return;
    const columns = [["open", "o"], ["high", "h"], ["low", "l"], ["close", "c"], ["volume", "v"], ["trades", "n"], ["vwap", "x"]];
    const head = [element("th", { scope: "col" }, "open time, UTC"), element("th", { scope: "col" }, "state")];
    for (const [name] of columns) head.push(element("th", { scope: "col", class: "number" }, name));
    table.append(element("thead", {}, element("tr", {}, ...head)));
    const [first, last] = inView(series);
    const rows = [];
    for (let i = first; i <= last && rows.length < TABLE_ROWS; i++) {
      const cells = [element("td", {}, exactTime(series.opens[i])), element("td", {}, STATES[series.states[i]])];
      for (const [, column] of columns) cells.push(element("td", { class: "number" }, series.text[column][i].replace(/^-$/, "")));
      rows.push(element("tr", {}, ...cells));
    }
    table.append(element("tbody", {}, ...rows));
    if (last - first >= TABLE_ROWS) table.append(element("caption", { class: "quiet" }, `The first ${TABLE_ROWS} of ${last - first + 1}; zoom in for the others.`));
  }

  // The address remembers what is shown, so that a reload or a copied link shows it again.
  function remember() {
    const words = new URLSearchParams();
    words.set("instrument", state.instrument);
    words.set("interval", state.interval);
    words.set("on", [...state.active].map((s) => (s.onPrice ? "" : "~") + s.key).join(";"));
    words.set("from", Math.round(state.from));
    words.set("to", Math.round(state.to));
    try {
      history.replaceState(null, "", "#" + words);
    } catch {
      // A browser may forbid it for files; nothing else depends on it.
    }
  }

  function recall() {
    const words = new URLSearchParams(location.hash.slice(1));
    const on = words.get("on");
    if (on === null) {
      studies.filter((s) => s.onPrice).slice(0, 2).forEach((s) => state.active.add(s));
      const below = studies.filter((s) => !s.onPrice);
      const known = ["rsi", "macd"].map((name) => below.find((s) => s.name === name)).filter(Boolean);
      (known.length ? known : below.slice(0, 1)).forEach((s) => state.active.add(s));
    } else {
      const keys = on.split(";");
      studies.filter((s) => keys.includes((s.onPrice ? "" : "~") + s.key)).forEach((s) => state.active.add(s));
    }
    const wanted = words.get("instrument");
    const [from, to] = [Number(words.get("from")), Number(words.get("to"))];
    choose(instruments.includes(wanted) ? wanted : instruments[0], words.get("interval"));
    if (to > from && from > 0) {
      [state.from, state.to] = [from, to];
      clampView();
      refresh();
    }
  }

  // ---- hands --------------------------------------------------------------------------------------

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
})();
