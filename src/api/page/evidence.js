// What a signal rests on, in words: each number with its name as people say it, its unit, and what it is held against.

import { clock, decimal, element, number, title } from "./words.js";

// Name, what it is called, unit: bp basis points, x times, % of a share, empty for plain numbers.
const WORDS = {
  value: ["value", ""], median: ["its median", ""], mad: ["median distance", ""], z: ["distance", "sd"], window: ["looked back", "candles"],
  times_median: ["of the median", "x"], return_score: ["score of the return", "%"], threshold: ["told from", "%"], channel: ["found in", ""], detector: ["found by", ""],
  methods: ["methods that agree", ""], findings: ["findings", ""], times_usual: ["of the usual", "x"], volatility_bp: ["volatility now", "bp"],
  usual_volatility_bp: ["usual volatility", "bp"], high: ["turbulent from", "x"], low: ["calm up to", "x"], candles: ["candles seen", ""], regime: ["regime", ""], regime_before: ["before", ""],
  edge: ["edge of the channel", ""], beyond_ranges: ["beyond it, in mean ranges", "x"], margin: ["needed", "x"], mean_range: ["mean range", ""], times_volume: ["of the mean volume", "x"], side: ["side", ""],
  distance_bp: ["from its mean", "bp"], deviation_bp: ["standard deviation", "bp"], horizon: ["looks ahead", "candles"], apart_bp: ["apart", "bp"], band_bp: ["needed", "bp"],
  fast_average: ["fast average", ""], slow_average: ["slow average", ""], fast: ["fast", "candles"], slow: ["slow", "candles"],
  forecast: ["forecast", ""], lower: ["interval from", ""], upper: ["to", ""], level: ["should hold", "%"], beyond: ["beyond its border", "x"], outside: ["outcomes outside", ""], outcomes: ["of outcomes", ""],
  probability_up: ["probability of a rise", "%"], confidence: ["a call from", "%"], majority: ["the commoner way", "%"], calls: ["calls", ""], targets: ["targets", ""], move_bp: ["mean move", "bp"],
  fee_bp: ["fee", "bp"], edge_bp: ["edge after the fee", "bp"], edge_lower_bp: ["edge at least", "bp"], interval: ["candle", ""], open_time: ["opened", ""], close: ["closed at", ""], volume: ["volume", ""],
  trade_count: ["trades", ""], revision: ["revision", ""], gap_id: ["gap", ""], first_missing_id: ["first missing id", ""], last_missing_id: ["last missing id", ""],
};
// Of less interest to people: behind the fold.
const PLUMBING = new Set(["value", "median", "threshold", "findings", "anomaly_id", "revision", "gap_id", "open_time", "interval", "mad", "deviation_bp", "share_lower", "share_upper", "came_back_lower", "came_back_upper", "candles", "z_min", "beyond_min"]);
// Drawn as a bar with a mark: value, mark, scale.
const METERS = [["z", "z_min"], ["times_usual", "high"], ["beyond_ranges", "margin"], ["beyond", "beyond_min"]];
// Drawn as an interval: share, lower, upper, mark.
const SHARES = [["share_right", "share_lower", "share_upper", "majority", "calls that came true"], ["came_back", "came_back_lower", "came_back_upper", null, "stretches that came back"]];

const svg = (name, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
const percent = (value) => `${+(100 * value).toPrecision(4)}\u2009%`;
const within = (value) => `${Math.min(Math.max(value, 0), 1) * 100}%`;

const shown = (name, value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return /^\d{4}-\d\d-\d\dT/.test(value) ? clock(value) : /^-?\d+(\.\d+)?$/.test(value) ? decimal(value) : title(value);
  const unit = WORDS[name]?.[1] ?? "";
  if (unit === "%") return percent(value);
  if (unit === "x") return `${number(value)}\u2009×`;
  return `${number(value)}${unit ? `\u2009${unit}` : ""}`;
};

function meter(evidence, name, mark) {
  const [value, from] = [Math.abs(evidence[name]), Math.abs(evidence[mark])];
  const full = Math.max(value, from, 1e-12) * 1.1;
  return svg("svg", { class: "meter", "aria-hidden": "true" },
    svg("rect", { class: "bed", width: "100%", height: "100%", rx: 2 }),
    svg("rect", { class: "fill", width: within(value / full), height: "100%", rx: 2 }),
    svg("line", { class: "mark", x1: within(from / full), x2: within(from / full), y1: 0, y2: "100%" }));
}

function interval(lower, upper, value, mark) {
  const parts = [
    svg("rect", { class: "bed", width: "100%", height: "100%", rx: 2 }),
    svg("rect", { class: "fill soft", x: within(lower), width: within(upper - lower), height: "100%", rx: 2 }),
    svg("line", { class: "point", x1: within(value), x2: within(value), y1: 0, y2: "100%" })];
  if (mark !== null) parts.push(svg("line", { class: "mark", x1: within(mark), x2: within(mark), y1: 0, y2: "100%" }));
  return svg("svg", { class: "meter", "aria-hidden": "true" }, ...parts);
}

const row = (label, value, drawing, full) => [
  element("dt", { text: label }),
  element("dd", { title: full }, element("span", { text: value }), ...(drawing ? [drawing] : []))];

// A list of facts, the plain ones first; the rest under "all numbers".
export function explain(signal) {
  const evidence = signal.evidence ?? {};
  const list = element("dl", { class: "evidence" });
  const rest = element("dl", { class: "evidence" });
  const told = new Set();
  for (const [share, low, high, mark, label] of SHARES) {
    if (typeof evidence[low] !== "number" || (share === "came_back" && !evidence.stretches)) continue;
    const value = share === "came_back" ? evidence.came_back / evidence.stretches : evidence[share];
    list.append(...row(label, `${percent(value)}, between ${percent(evidence[low])} and ${percent(evidence[high])}`, interval(evidence[low], evidence[high], value, mark ? evidence[mark] : null)));
    [share, low, high, "stretches"].forEach((name) => told.add(name));
  }
  for (const [name, mark] of METERS) {
    if (name in evidence) told.add(mark);
  }
  for (const [name, value] of Object.entries(evidence)) {
    if (told.has(name) || name === "explanation") continue;
    const pair = METERS.find(([first, mark]) => first === name && typeof evidence[mark] === "number");
    const label = WORDS[name]?.[0] ?? title(name);
    const text = pair ? `${shown(name, value)}, told from ${shown(name, evidence[pair[1]])}` : shown(name, value);
    (PLUMBING.has(name) ? rest : list).append(...row(label, text, pair ? meter(evidence, ...pair) : null, String(value)));
  }
  const said = typeof evidence.explanation === "string" ? [element("p", { class: "said", text: evidence.explanation })] : [];
  const models = signal.models ?? [];
  if (models.length) list.append(...row("rests on", models.join(", ")));
  if (signal.data_state === "partial") list.append(...row("data", "partial: a hole lies within what it looks back at"));
  if (typeof signal.score === "number") rest.append(...row("score", percent(signal.score), null, String(signal.score)));
  rest.append(...row("id", signal.id));
  const fold = element("details", { class: "more" }, element("summary", { text: "all numbers" }), rest);
  return [...said, list, fold];
}

// One line of what a detector found.
export function anomalyLine(anomaly) {
  const { z, value, median } = anomaly.evidence ?? {};
  const how = typeof z === "number" ? `, ${number(z)} sd from its median` : typeof value === "number" && typeof median === "number" ? `, ${number(value)} against ${number(median)}` : "";
  return `${title(anomaly.detector.split("@")[0])}: ${title(anomaly.channel)} more unusual than ${percent(anomaly.score)} of candles${how}`;
}
