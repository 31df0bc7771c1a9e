// The page: reads the API every few seconds, and hears the feed.

import { Picture } from "./chart.js";
import { explain } from "./evidence.js";
import { Feed } from "./feed.js";
import { drawScores } from "./scores.js";
import { age, clock, decimal, element, nanos, title } from "./words.js";

const SIGNALS_MAX = 100;
const ROWS = 500;
const SEVERITIES = ["info", "warning", "critical"];

const $ = (id) => document.getElementById(id);
const state = { instrument: null, interval: null, intervals: [], instruments: [], signals: new Map(), gaps: [], anomalies: [], forecasts: [], scores: [] };
const picture = new Picture($("chart"), $("legend"));

async function read(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

// What fails is asked again with the next turn; the header says that the line is down.
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    console.debug(String(error));
  }
}

function every(milliseconds, work) {
  const turn = async () => {
    if (!document.hidden) await attempt(work);
    setTimeout(turn, milliseconds);
  };
  return turn();
}

function tellState(id, condition, text) {
  $(id).dataset.state = condition;
  $(id).lastElementChild.textContent = text;
}

// --- instruments

function drawInstruments() {
  const filter = $("filter").value.trim().toUpperCase();
  $("filter-box").hidden = state.instruments.length < 9;
  const box = $("instruments");
  const known = new Map([...box.children].map((child) => [child.dataset.instrument, child]));
  const shown = state.instruments.filter((one) => one.instrument.toUpperCase().includes(filter));
  for (const one of shown) {
    const item = known.get(one.instrument) ?? makeInstrument(one.instrument);
    known.delete(one.instrument);
    box.append(item);
    const chosen = one.instrument === state.instrument;
    item.setAttribute("aria-selected", chosen);
    item.tabIndex = chosen ? 0 : -1;
    const [dot, name, price, small] = item.children;
    dot.dataset.state = one.state;
    name.textContent = one.symbol;
    price.textContent = one.last_price === null ? "" : decimal(one.last_price);
    small.firstElementChild.textContent = `${one.venue}, ${one.state}${one.reason ? `: ${one.reason}` : ""}`;
    const missing = one.gaps_open > 0;
    small.lastElementChild.className = missing ? "missing" : "";
    small.lastElementChild.textContent = missing ? `${one.gaps_open} gap${one.gaps_open > 1 ? "s" : ""}` : age(one.staleness_seconds);
  }
  for (const gone of known.values()) gone.remove();
  const chosen = state.instruments.find((one) => one.instrument === state.instrument);
  $("price").textContent = chosen?.last_price ? decimal(chosen.last_price) : "";
}

function makeInstrument(name) {
  const item = element("button", { type: "button", role: "option", class: "instrument" },
    element("i", { class: "dot" }), element("b"), element("span"), element("small", {}, element("span"), element("span")));
  item.dataset.instrument = name;
  item.addEventListener("click", () => choose(name, state.interval));
  return item;
}

$("instruments").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...$("instruments").children];
  const next = items[(items.indexOf(document.activeElement) + step + items.length) % items.length];
  next?.focus();
  next?.click();
});
$("filter").addEventListener("input", drawInstruments);

async function readInstruments() {
  state.instruments = await read("/api/v1/instruments");
  if (!state.instrument && state.instruments.length) {
    const wished = new URLSearchParams(location.hash.slice(1)).get("instrument");
    const found = state.instruments.find((one) => one.instrument === wished) ?? state.instruments.find((one) => one.last_trade) ?? state.instruments[0];
    choose(found.instrument, new URLSearchParams(location.hash.slice(1)).get("interval"));
  }
  drawInstruments();
}

// --- the chosen instrument

function drawIntervals() {
  $("intervals").replaceChildren(...state.intervals.map((interval) => {
    const chosen = interval === state.interval;
    const button = element("button", { type: "button", role: "radio", "aria-checked": String(chosen), tabindex: chosen ? 0 : -1, text: interval });
    button.addEventListener("click", () => choose(state.instrument, interval, true));
    return button;
  }));
}

$("intervals").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step || !state.intervals.length) return;
  event.preventDefault();
  const at = state.intervals.indexOf(state.interval) + step + state.intervals.length;
  choose(state.instrument, state.intervals[at % state.intervals.length], true);
});

function choose(instrument, interval, keepFocus = false) {
  state.instrument = instrument;
  state.interval = state.intervals.includes(interval) ? interval : state.intervals.includes("1m") ? "1m" : state.intervals[0];
  history.replaceState(null, "", `#${new URLSearchParams({ instrument, interval: state.interval })}`);
  $("chart-title").textContent = instrument;
  $("chart").setAttribute("aria-label", `Candles of ${instrument}, ${state.interval}`);
  drawIntervals();
  if (keepFocus) $("intervals").querySelector('[aria-checked="true"]')?.focus();
  drawInstruments();
  Object.assign(state, { gaps: [], anomalies: [], forecasts: [] });
  picture.show([]);
  $("scores-of").textContent = `${instrument}, ${state.interval} candles`;
  attempt(readCandles);
  attempt(readGaps);
  attempt(readInsights);
  attempt(readScores);
}

const candlesPath = (limit) =>
  `/api/v1/candles/${encodeURIComponent(state.instrument)}?interval=${encodeURIComponent(state.interval)}&limit=${limit}&open=true`;

async function readCandles() {
  const wanted = candlesPath(ROWS);
  const { candles } = await read(wanted);
  if (wanted === candlesPath(ROWS)) picture.show(candles);
}

async function growCandles() {
  if (!state.instrument) return;
  if (!picture.rows.size) return readCandles();
  const wanted = candlesPath(5);
  const { candles } = await read(wanted);
  if (wanted === candlesPath(5)) picture.grow(candles);
}

async function readGaps() {
  if (!state.instrument) return;
  const wanted = state.instrument;
  const { gaps } = await read(`/api/v1/gaps?limit=1000&instrument=${encodeURIComponent(wanted)}`);
  if (wanted === state.instrument) state.gaps = gaps;
  mark();
}

// Forecasts of the price and anomalies, of the chosen instrument and interval.
async function readInsights() {
  if (!state.instrument) return;
  const { instrument, interval } = state;
  const name = encodeURIComponent(instrument);
  const [{ anomalies }, { forecasts }] = await Promise.all([
    read(`/api/v1/anomalies?limit=1000&instrument=${name}`),
    read(`/api/v1/forecasts/${name}?limit=1000&kind=price&interval=${encodeURIComponent(interval)}`),
  ]);
  if (instrument !== state.instrument || interval !== state.interval) return;
  state.anomalies = anomalies.filter((anomaly) => anomaly.interval === interval);
  // Of each moment and horizon one: by whoever is in charge, else the mixture's, which tells the naive forecast then.
  const trust = ({ role, model }) => (role === "champion" ? 0 : model.startsWith("mixture@") ? 1 : role === "online" ? 2 : 3);
  const chosen = new Map();
  for (const forecast of forecasts) {
    const key = `${forecast.made_at} ${forecast.horizon}`;
    const other = chosen.get(key);
    if (!other || trust(forecast) < trust(other)) chosen.set(key, forecast);
  }
  state.forecasts = [...chosen.values()];
  mark();
}

async function readScores() {
  if (!state.instrument) return;
  const { instrument, interval } = state;
  const { scores } = await read(`/api/v1/scores/${encodeURIComponent(instrument)}?interval=${encodeURIComponent(interval)}`);
  if (instrument !== state.instrument || interval !== state.interval) return;
  state.scores = scores;
  tellScores();
}

const tellScores = () => drawScores($("scores"), $("no-scores"), state.scores, $("members").checked);
$("members").addEventListener("change", tellScores);

function mark() {
  const { gaps, anomalies, forecasts } = state;
  // Those of candles of another length would crowd the chart; what is about the data belongs to all.
  const isHere = ({ instrument, evidence }) => instrument === state.instrument && (!evidence?.interval || evidence.interval === state.interval);
  picture.mark({ gaps, anomalies, forecasts, signals: [...state.signals.values()].filter(isHere) });
}

// A mark on the chart leads to what it stands for.
picture.onChoose = (id) => {
  const item = [...$("signals").children].find((item) => item.dataset.id === id);
  if (!item) return;
  item.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  for (const other of $("signals").children) other.toggleAttribute("data-chosen", other === item);
};

// --- signals

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function tellSignal(signal) {
  if (state.signals.has(signal.id)) return;
  state.signals.set(signal.id, signal);
  const box = $("signals");
  const instrument = element("button", { type: "button", class: "link", text: signal.instrument });
  instrument.addEventListener("click", () => choose(signal.instrument, state.interval));
  const item = element("li", { class: "signal", "data-severity": signal.severity },
    element("header", {},
      element("span", { class: "chip", "data-severity": signal.severity, text: signal.severity }),
      element("b", { text: title(signal.name) }), instrument,
      element("time", { datetime: signal.exchange_at, text: clock(signal.exchange_at) }),
      signal.action ? element("span", { class: "chip", "data-action": signal.action, text: signal.action }) : ""),
    element("p", { text: sentence(signal.message) }), ...explain(signal));
  item.dataset.id = signal.id;
  item.dataset.at = signal.exchange_at;
  const later = [...box.children].find((other) => other.dataset.at <= signal.exchange_at);
  box.insertBefore(item, later ?? null);
  while (box.children.length > SIGNALS_MAX) box.lastElementChild.remove();
  while (state.signals.size > 5 * SIGNALS_MAX) state.signals.delete(state.signals.keys().next().value);
  filterSignals();
}

function filterSignals() {
  const least = Number($("severity").value);
  let any = false;
  for (const item of $("signals").children) {
    item.hidden = SEVERITIES.indexOf(item.dataset.severity) < least;
    any ||= !item.hidden;
  }
  $("no-signals").hidden = any;
}
$("severity").addEventListener("change", filterSignals);

async function readSignals() {
  const { signals } = await read(`/api/v1/signals?limit=${SIGNALS_MAX}`);
  signals.forEach(tellSignal);
  mark();
}

// --- latency

function drawLatency({ stages }) {
  const shown = stages.filter((stage) => stage.count > 0);
  const low = Math.log10(Math.max(1, Math.min(...shown.map((stage) => stage.p50), 100)));
  const high = Math.log10(Math.max(...shown.map((stage) => stage.p99), 1e6));
  const place = (value) => (100 * (Math.log10(Math.max(value, 1)) - low)) / (high - low || 1);
  $("stages").replaceChildren(...stages.map((stage) => {
    const span = element("td", { class: "wide" });
    if (stage.count > 0) {
      const from = place(stage.p50);
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("aria-hidden", "true");
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const box = { x: `${from}%`, width: `${Math.max(place(stage.p99) - from, 0.8)}%`, height: "100%", rx: 3 };
      for (const [name, value] of Object.entries(box)) rect.setAttribute(name, value);
      svg.append(rect);
      span.append(element("div", { class: "span" }, svg));
    }
    const cells = [stage.p50, stage.p99, stage.p99_9, stage.max].map((value) => element("td", { text: nanos(value) }));
    return element("tr", { "data-none": stage.count === 0 }, element("td", { text: stage.stage }), span, ...cells, element("td", { text: decimal(stage.count) }));
  }));
}

// --- all together

function hear(message) {
  if (message.type === "signal") {
    tellSignal(message);
    mark();
  } else if (message.type === "data_gap" && message.instrument === state.instrument) {
    attempt(readGaps);
    attempt(readCandles);
  } else if (message.type === "gap") {
    // A hole in the feed itself: the API knows what was in it.
    attempt(readSignals);
  }
}

async function readHealth() {
  const { status, parts } = (await read("/api/v1/status")).health;
  const troubled = Object.entries(parts).filter(([, part]) => part.condition !== "up");
  const text = troubled.length ? troubled.map(([name, part]) => `${name} ${part.condition}`).join(", ") : status;
  tellState("ready-state", troubled.length ? "down" : "up", text);
}

const THEMES = ["auto", "light", "dark"];
function wear(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme;
  $("theme").setAttribute("aria-label", `Colours: ${theme}`);
  localStorage.setItem("theme", theme);
  picture.colours();
}
$("theme").addEventListener("click", () => wear(THEMES[(THEMES.indexOf($("theme").textContent) + 1) % 3]));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => picture.colours());
wear(THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto");

async function begin() {
  while (!state.intervals.length) {
    await attempt(async () => ({ intervals: state.intervals } = await read("/api/v1/status")));
    if (!state.intervals.length) await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  every(2000, readInstruments);
  every(1000, growCandles);
  every(10000, readGaps);
  every(5000, readInsights);
  every(10000, readScores);
  every(30000, readSignals);
  every(2000, async () => drawLatency(await read("/api/v1/latency")));
  every(3000, readHealth);
  setInterval(() => ($("clock").textContent = `${clock(new Date().toISOString().slice(0, 19))} UTC`), 1000);
  new Feed(hear, (condition, text) => tellState("feed-state", condition, text));
}
begin();
