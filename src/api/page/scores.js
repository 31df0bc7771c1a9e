// The score-board: each model against the naive forecast, target by target and horizon by horizon.

import { decimal, element, title } from "./words.js";

const TARGETS = ["price", "realized_variance", "volume", "trade_count", "direction"];
const UNSURE = 0.05;
// A share of fewer outcomes is an anecdote.
const SCORED_MIN = 20;

const svg = (name, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

// Skill 1 is the middle; a bar to the left is a loss saved, to the right a loss more. Half as much loss fills the left.
function bar(skill) {
  const way = Math.min(Math.max((1 - skill) * 100, -50), 50);
  return svg("svg", { class: "skill", "aria-hidden": "true" },
    svg("rect", { class: way > 0 ? "better" : "worse", x: `${way > 0 ? 50 - way : 50}%`, width: `${Math.abs(way)}%`, y: "20%", height: "60%", rx: 2 }),
    svg("line", { class: "naive", x1: "50%", x2: "50%", y1: 0, y2: "100%" }));
}

function verdict(score) {
  if (score.demoted && score.model.startsWith("mixture@")) return ["naive", "its members do not beat the naive forecast: it tells that one"];
  if (score.demoted) return ["set aside", "no better than naive: nothing leans on it"];
  if (score.skill === null) return ["too early", `${score.scored} outcomes so far`];
  if (score.skill >= 1) return ["no better", "its loss is not below the naive forecast's"];
  if (score.dm_p === null || score.dm_p >= UNSURE) return ["not sure yet", "better so far, but it may be chance"];
  return ["better", `chance explains it in ${(100 * score.dm_p).toPrecision(2)} of 100 cases`];
}

const share = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)}\u2009%`);

// Of a direction how often it came true, of everything else how often its interval held the outcome.
function held(score) {
  if (score.scored < SCORED_MIN) return ["–", "too few outcomes"];
  if (score.target !== "direction" || typeof score.directional_accuracy !== "number") return [share(score.coverage), "outcomes inside of their interval"];
  const least = `at least ${share(score.directional_lower)}; always the commoner way: ${share(score.directional_majority)}`;
  return [`${share(score.directional_accuracy)} right`, least];
}

// Rows of `/api/v1/scores`: of the mixtures alone, or of every member.
export function drawScores(body, empty, all, members) {
  const scores = members ? all : all.filter((score) => score.model.startsWith("mixture@"));
  const place = (score) => [TARGETS.indexOf(score.target), score.horizon, score.role === "champion" ? 0 : 1, score.model];
  const sorted = [...scores].sort((one, other) => {
    const [a, b] = [place(one), place(other)];
    const at = a.findIndex((value, i) => value !== b[i]);
    return at < 0 ? 0 : a[at] < b[at] ? -1 : 1;
  });
  body.parentElement.toggleAttribute("data-members", members);
  let last = null;
  body.replaceChildren(...sorted.map((score) => {
    const [word, why] = verdict(score);
    const name = score.target === last ? "" : title(score.target);
    const begins = score.target !== last;
    last = score.target;
    const skill = element("td", { class: "wide" });
    if (score.skill !== null) skill.append(bar(score.skill));
    return element("tr", { "data-demoted": score.demoted, "data-begins": begins },
      element("td", { text: name }),
      element("td", { text: `${score.horizon} ahead` }),
      element("td", { text: score.model.split("@")[0].replaceAll("_", " "), title: `${score.model}, ${score.role}` }),
      skill,
      element("td", { text: score.skill === null ? "–" : score.skill.toFixed(3) }),
      element("td", { text: held(score)[0], title: held(score)[1] }),
      element("td", { text: decimal(score.scored) }),
      element("td", {}, element("span", { class: "chip", "data-verdict": word, text: word, title: why })));
  }));
  empty.hidden = sorted.length > 0;
}
