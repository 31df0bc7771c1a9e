// Numbers and names as people read them.

export const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
};

// Decimal text stays text: only blanks are put between thousands.
export const decimal = (text) => {
  if (text === null || text === undefined) return "–";
  const [whole, fraction] = String(text).split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  return fraction ? `${spaced}.${fraction}` : spaced;
};

export const number = (value) => {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return decimal(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential(3) : String(+value.toPrecision(4));
};

const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

export const nanos = (value) => {
  if (value === null) return "–";
  const [size, unit] = UNITS.find(([size]) => value >= size) ?? UNITS[3];
  return `${+(value / size).toPrecision(3)}\u202f${unit}`;
};

export const age = (seconds) => {
  if (seconds === null) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s ago`;
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
};

export const clock = (text) => String(text).replace("T", " ").replace(/(\.\d{3})\d*/, "$1").replace("Z", "");

export const title = (name) => String(name).replaceAll("_", " ");
