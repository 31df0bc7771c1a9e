// Numbers and times as people read them.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const pen = canvas.getContext("2d");

const grouped = (n) => Math.round(n).toLocaleString("en-US");
// Statistics are floats; the files hold all of their digits.
const short = (x) => (x === 0 ? "0" : Math.abs(x) >= 1e9 || Math.abs(x) < 1e-4 ? x.toExponential(3) : String(+x.toPrecision(7)));
const two = (n) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const day = (ms) => new Date(ms).toISOString().slice(0, 10);
const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

/** Exact text of nanoseconds: the fraction is shown as far as it is not zero. */
const exactTime = (ns) => {
  const ms = Number(ns / 1000000n);
  const fraction = String(((ns % 1000000000n) + 1000000000n) % 1000000000n).padStart(9, "0").replace(/0+$/, "");
  return `${day(ms)} ${clock(ms)}${fraction ? "." + fraction : ""}`;
};
const isoMs = (text) => Date.parse(text.replace(/(\.\d{3})\d+Z$/, "$1Z"));
const lasting = (ms) => {
  const units = [["d", 864e5], ["h", 36e5], ["min", 6e4], ["s", 1e3]];
  for (const [name, size] of units) {
    if (ms >= size) return `${+(ms / size).toPrecision(3)} ${name}`;
  }
  return `${+ms.toPrecision(3)} ms`;
};
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};
