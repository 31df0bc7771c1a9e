#!/usr/bin/env python3
"""What TA-Lib makes of some bars: the expected values of tests/talib.rs.

    pip install TA-Lib==0.8.2 numpy
    python3 tests/oracle/make_talib.py [SHARED]

Writes, beside itself:

  bars.csv            a made-up market, from a seed
  talib_made.csv      TA-Lib's values over it
  talib_hours.csv     TA-Lib's values over real bars of SHARED (default ../shared beside the
  talib_minutes.csv   repository); the bars themselves are not part of it

A line is one output of one indicator: `indicator,output,first,step,values...`, where the
values stand at the bars first, first + step, ... counted from 0, and first is the first bar
at which TA-Lib has a value.

To add an indicator add a line to `expected`: its name as the catalogue reads it, and what
TA-Lib calls its outputs.
"""

import csv
import gzip
import io
import math
import random
import sys
from pathlib import Path

import numpy as np
import talib

HERE = Path(__file__).resolve().parent
SHARED = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent.parent / "shared"
OHLCV = SHARED / "data" / "ohlcv"


def by_day(b, of):
    """`of` a day at a time, for what restarts at 00:00 UTC."""
    parts = []
    for day in dict.fromkeys(b.days):
        at = [i for i, d in enumerate(b.days) if d == day]
        parts.append(of(slice(at[0], at[-1] + 1)))
    return np.concatenate(parts)


def expected(b):
    """The catalogue's indicators that TA-Lib has, over the bars `b`."""
    o, h, l, c, v = b.open, b.high, b.low, b.close, b.volume

    def one(values):
        return {"value": values}

    def named(names, values):
        return dict(zip(names.split(), values, strict=True))

    return {
        "sma(1)": one(talib.SMA(c, 1)),
        "sma(20)": one(talib.SMA(c, 20)),
        "sma(200)": one(talib.SMA(c, 200)),
    }


class Bars:
    def __init__(self, rows):
        self.days = [row[0][:10] for row in rows]
        columns = [np.array([float(row[i]) for row in rows]) for i in range(1, 6)]
        self.open, self.high, self.low, self.close, self.volume = columns


def made(count=400, seed=20240501):
    """Five-minute bars: a walk on a grid with jumps, plains, bars without range, repeats."""
    rng = random.Random(seed)
    rows, last = [], 27_150.0
    for i in range(count):
        plain = 150 <= i < 190  # longer than most windows
        kind = 0.5 if plain else rng.random()
        reach = 40.0 * math.exp(rng.gauss(0.0, 0.6))
        open_, close = last, last + rng.gauss(0.0, reach)
        if kind < 0.02:
            close = last * (1.0 + rng.gauss(0.0, 0.02))
        high = max(open_, close) + abs(rng.gauss(0.0, reach / 2))
        low = min(open_, close) - abs(rng.gauss(0.0, reach / 2))
        if 0.02 <= kind < 0.05 or plain:
            open_ = high = low = close = last
        if 0.05 <= kind < 0.08 and rows:
            open_, high, low, close = (float(x) for x in rows[-1][1:5])
        volume = math.exp(rng.gauss(1.0, 1.2))
        minute = 22 * 60 + 5 * i  # so that the day changes early and once more
        day, minute = divmod(minute, 24 * 60)
        at = f"2024-05-{1 + day:02}T{minute // 60:02}:{minute % 60:02}:00Z"
        prices = [f"{x:.2f}" for x in (open_, high, low, close)]
        rows.append([at, *prices, f"{max(volume, 0.001):.3f}"])
        last = float(prices[3])
    return rows


def write(name, bars, step):
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["indicator", "output", "first", "step", "values"])
    for indicator, outputs in expected(bars).items():
        for output, values in outputs.items():
            first = int(np.argmax(~np.isnan(values)))
            kept = values[first::step]
            assert np.isfinite(values[first:]).all(), (name, indicator, output)
            writer.writerow([indicator, output, first, step, *(repr(float(x)) for x in kept)])
    (HERE / f"{name}.csv").write_text(lines.getvalue())
    print(f"{name}.csv: {len(lines.getvalue())} bytes")


def shared(name):
    with gzip.open(OHLCV / name, "rt") as file:
        return Bars(list(csv.reader(file))[1:])


def main():
    rows = made()
    header = ["open_time", "open", "high", "low", "close", "volume"]
    with open(HERE / "bars.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print("TA-Lib", talib.__ta_version__.decode(), "wrapper", talib.__version__)
    write("talib_made", Bars(rows), 3)
    write("talib_hours", shared("binance_BTCUSDT_1h_2021-01.csv.gz"), 50)
    write("talib_minutes", shared("binanceus_BTCUSDT_1m_2023-03-01_21.csv.gz"), 500)


if __name__ == "__main__":
    main()
