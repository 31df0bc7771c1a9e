// Colours, from the style of the page, and the hatching of what is not sure.

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
