// Series, unpacked when first looked at.

const unpacked = new Map();
function unpack(packed) {
  const known = unpacked.get(packed);
  if (known) return known;
  const texts = (column) => (packed.states.length ? packed[column].split(" ") : []);
  const numbers = (column) => Float64Array.from(column, (text) => (text === "-" ? NaN : Number(text)));
  const unit = BigInt(packed.unit);
  let at = BigInt(packed.first);
  const [before, widths] = [texts("d"), texts("w")];
  const count = packed.states.length;
  const [opens, closes] = [new Array(count), new Array(count)];
  for (let i = 0; i < count; i++) {
    opens[i] = at + BigInt(before[i]) * unit;
    closes[i] = at = opens[i] + BigInt(widths[i]) * unit;
  }
  const ms = (list) => Float64Array.from(list, (ns) => Number(ns / 1000n) / 1000);
  const text = {};
  for (const column of ["o", "h", "l", "c", "v", "q", "n", "b", "x", "r"]) text[column] = texts(column);
  const series = {
    packed, count, opens, closes, text, states: packed.states,
    from: ms(opens), to: ms(closes),
    o: numbers(text.o), h: numbers(text.h), l: numbers(text.l), c: numbers(text.c), v: numbers(text.v), b: numbers(text.b),
    values: packed.values.map((column) => numbers(count ? column.split(" ") : [])),
  };
  unpacked.set(packed, series);
  return series;
}

/** The bar that holds the moment, or the nearest. */
function barAt(series, ms) {
  let [low, high] = [0, series.count - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (series.to[middle] <= ms) low = middle + 1;
    else high = middle;
  }
  return low;
}
