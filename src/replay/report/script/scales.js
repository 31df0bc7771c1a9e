// From values and moments to pixels, and the round numbers beside them.

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
const axisText = (value, step) =>
  Math.abs(value) >= 1e12 || (value !== 0 && step < 1e-11) ? value.toExponential(3) : value.toFixed(placesOf(step));

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
