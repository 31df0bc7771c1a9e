// Which indicator goes where: on the price, or into a pane below.

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
