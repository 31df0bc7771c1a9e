// What is shown: instrument, interval, indicators, and from when to when.

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
