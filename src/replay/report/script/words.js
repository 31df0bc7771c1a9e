// What is said about the bar or gap under the cursor.

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
    if (count === 1n) return `1 trade: ${gap.first_missing_id}`;
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
