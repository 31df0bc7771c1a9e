// What stands around the chart: figures, switches, tables, and the address that remembers them.

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
