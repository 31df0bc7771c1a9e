// Candles and volume of one instrument: gaps shaded behind them, forecasts as bands, anomalies marked below, signals above.

import { Bands } from "./bands.js";
import { anomalyLine } from "./evidence.js";
import { clock, decimal, number } from "./words.js";

// Of a fan: further ahead it would push the candles away.
const AHEAD_MAX = 20;

const library = window.LightweightCharts;
const seconds = (text) => Math.floor(Date.parse(text) / 1000);

// A custom property may be light-dark(..): what it is now is asked of an element that wears it.
const colour = (name) => {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
};

// Draws the stretches in which trades are missing, behind the candles.
class Shades {
  constructor() {
    this.stretches = [];
  }
  attached({ chart, requestUpdate }) {
    this.chart = chart;
    this.requestUpdate = requestUpdate;
  }
  set(stretches, fill) {
    this.stretches = stretches;
    this.fill = fill;
    this.requestUpdate?.();
  }
  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) }];
  }
  draw(target) {
    const scale = this.chart.timeScale();
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
      context.fillStyle = this.fill;
      const half = scale.options().barSpacing / 2;
      for (const [from, to] of this.stretches) {
        const [left, right] = [scale.timeToCoordinate(from), scale.timeToCoordinate(to)];
        if (left === null || right === null) continue;
        const at = (left - half) * horizontalPixelRatio;
        const width = Math.max((right - left + 2 * half) * horizontalPixelRatio, 2);
        context.fillRect(at, 0, width, bitmapSize.height);
      }
    });
  }
}

export class Picture {
  constructor(box, legend) {
    this.legend = legend;
    this.rows = new Map();
    this.gaps = [];
    this.signals = [];
    this.anomalies = [];
    this.forecasts = [];
    this.chart = library.createChart(box, {
      autoSize: true,
      layout: { attributionLogo: false, background: { color: "transparent" }, fontFamily: getComputedStyle(document.body).fontFamily },
      timeScale: { timeVisible: true, borderVisible: false, rightOffset: 8 },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.24 } },
      localization: { timeFormatter: (time) => clock(new Date(time * 1000).toISOString().slice(0, 19)) },
    });
    this.candles = this.chart.addSeries(library.CandlestickSeries, { priceLineVisible: true });
    this.volume = this.chart.addSeries(library.HistogramSeries, { priceScaleId: "", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.shades = new Shades();
    this.candles.attachPrimitive(this.shades);
    this.bands = new Bands();
    this.candles.attachPrimitive(this.bands);
    this.marks = library.createSeriesMarkers(this.candles, []);
    this.chart.subscribeCrosshairMove(({ time }) => this.tell(this.rows.get(time)));
    this.chart.subscribeClick(({ hoveredObjectId }) => hoveredObjectId && this.onChoose?.(hoveredObjectId));
    this.colours();
  }

  colours() {
    this.palette = Object.fromEntries(
      ["up", "down", "up-faint", "down-faint", "gap", "accent", "warn", "bad", "odd", "band", "fan", "soft", "grid", "faint"].map((name) => [name, colour(`--${name}`)]),
    );
    const { up, down, soft, grid, faint } = this.palette;
    this.chart.applyOptions({
      layout: { textColor: soft },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      crosshair: { vertLine: { color: faint, labelBackgroundColor: soft }, horzLine: { color: faint, labelBackgroundColor: soft } },
    });
    this.candles.applyOptions({ upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down });
    if (this.rows.size) this.show([...this.rows.values()], false);
  }

  bar(row) {
    const time = seconds(row.open_time);
    if (row.close === null) return { time };
    const [open, high, low, close] = [row.open, row.high, row.low, row.close].map(Number);
    const rises = close >= open;
    const full = rises ? this.palette.up : this.palette.down;
    const faint = rises ? this.palette["up-faint"] : this.palette["down-faint"];
    const bar = { time, open, high, low, close };
    if (row.state === "partial") Object.assign(bar, { color: faint, borderColor: full, wickColor: full });
    return bar;
  }

  column(row) {
    const time = seconds(row.open_time);
    if (row.close === null) return { time };
    const rises = Number(row.close) >= Number(row.open);
    return { time, value: Number(row.volume), color: this.palette[rises ? "up-faint" : "down-faint"] };
  }

  // All rows of an instrument and interval, ascending.
  show(rows, fit = true) {
    this.rows = new Map(rows.map((row) => [seconds(row.open_time), row]));
    const sorted = [...this.rows.entries()].sort(([one], [other]) => one - other).map(([, row]) => row);
    this.precision(sorted);
    this.candles.setData(sorted.map((row) => this.bar(row)));
    this.volume.setData(sorted.map((row) => this.column(row)));
    this.overlay();
    if (fit) this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(sorted.length - 120, 0) - 0.5, to: Math.max(sorted.length, 30) + 7 });
    this.tell();
  }

  // The last rows again: some grew, some are new. `false`: one lies further back, and all have to be read anew.
  grow(rows) {
    const last = Math.max(...this.rows.keys(), 0);
    let revised = false;
    for (const row of rows) {
      const time = seconds(row.open_time);
      revised ||= time < last && JSON.stringify(this.rows.get(time)) !== JSON.stringify(row);
      this.rows.set(time, row);
    }
    if (revised) {
      this.show([...this.rows.values()], false);
    } else {
      for (const row of rows.filter((row) => seconds(row.open_time) >= last)) {
        this.candles.update(this.bar(row));
        this.volume.update(this.column(row));
      }
      this.band();
    }
    this.tell();
  }

  precision(rows) {
    const digits = Math.max(2, ...rows.slice(-200).flatMap((row) => [row.high, row.low]).map((text) => (text?.split(".")[1] ?? "").length));
    this.candles.applyOptions({ priceFormat: { type: "price", precision: Math.min(digits, 12), minMove: 10 ** -Math.min(digits, 12) } });
  }

  // Gaps, signals, anomalies and forecasts of price as the API tells them.
  mark({ gaps, signals, anomalies, forecasts }) {
    Object.assign(this, { gaps, signals, anomalies, forecasts });
    this.overlay();
  }

  // What was expected one candle before, behind each candle; what is expected next, as a fan.
  band() {
    const times = [...this.rows.keys()].sort((one, other) => one - other);
    const places = new Map(times.map((time, at) => [time, at]));
    const closes = new Map([...this.rows.values()].map((row) => [Date.parse(row.close_time) / 1000, places.get(seconds(row.open_time))]));
    this.expected = new Map();
    const past = [];
    for (const forecast of this.forecasts.filter((forecast) => forecast.horizon === 1)) {
      const at = closes.get(Date.parse(forecast.target_at) / 1000);
      if (at === undefined) continue;
      past.push([at, forecast.lower, forecast.upper]);
      this.expected.set(times[at], forecast);
    }
    const made = this.forecasts.reduce((last, forecast) => (forecast.made_at > last ? forecast.made_at : last), "");
    const from = closes.get(Date.parse(made) / 1000);
    const corners = this.forecasts
      .filter((forecast) => forecast.made_at === made && forecast.horizon <= AHEAD_MAX)
      .sort((one, other) => one.horizon - other.horizon)
      .map(({ horizon, lower, forecast, upper }) => [horizon, lower, forecast, upper]);
    const last = from === undefined ? null : this.rows.get(times[from]);
    const fan = last && last.close !== null && corners.length ? { from, close: Number(last.close), corners } : null;
    this.bands.set(past, fan, { past: this.palette.band, fan: this.palette.fan, line: this.palette.accent });
  }

  overlay() {
    const times = [...this.rows.keys()].sort((one, other) => one - other);
    // The bar that holds the moment; the axis knows no other times.
    const bar = (at) => {
      let [low, high] = [0, times.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (times[middle] <= at) low = middle + 1;
        else high = middle;
      }
      return low > 0 ? times[low - 1] : null;
    };
    const first = times[0] ?? Infinity;
    const stretches = this.gaps
      .filter((gap) => gap.state !== "filled" && Date.parse(gap.to) / 1000 >= first)
      .map((gap) => [bar(Math.max(Date.parse(gap.from) / 1000, first)), bar(Date.parse(gap.to) / 1000)]);
    this.shades.set(stretches.filter(([from, to]) => from !== null && to !== null), this.palette.gap);
    const colours = { info: this.palette.accent, warning: this.palette.warn, critical: this.palette.bad };
    const ends = (at) => bar(Date.parse(at) / 1000 - 0.001);
    const signals = this.signals.map((signal) => ({ time: ends(signal.exchange_at), position: "aboveBar", shape: "circle", size: 0.8, color: colours[signal.severity] ?? this.palette.accent, id: signal.id }));
    // One mark a candle, however many detectors found something in it.
    this.found = Map.groupBy(this.anomalies, (anomaly) => ends(anomaly.exchange_at));
    const anomalies = [...this.found.keys()].map((time) => ({ time, position: "belowBar", shape: "arrowUp", size: 0.7, color: this.palette.odd }));
    const marks = [...signals, ...anomalies].filter(({ time }) => time !== null).sort((one, other) => one.time - other.time);
    this.marks.setMarkers(marks);
    this.band();
  }

  tell(row) {
    const shown = row ?? [...this.rows.values()].at(-1);
    if (!shown) {
      this.legend.textContent = "No candles yet.";
      return;
    }
    const prices = shown.close === null ? "no trade known" : `open ${decimal(shown.open)}  high ${decimal(shown.high)}  low ${decimal(shown.low)}  close ${decimal(shown.close)}`;
    const again = shown.revision > 0 ? `, revision ${shown.revision}` : "";
    const expected = this.expected?.get(seconds(shown.open_time));
    const before = expected ? `  expected ${number(expected.lower)} to ${number(expected.upper)}` : "";
    const found = (this.found?.get(seconds(shown.open_time)) ?? []).map((anomaly) => `  ${anomalyLine(anomaly)}`).join("");
    this.legend.textContent = `${clock(shown.open_time)}  ${prices}  volume ${decimal(shown.volume)}  ${shown.trade_count ?? "?"} trades  ${shown.state}${again}${before}${found}`;
  }
}
