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

Where TA-Lib's own rounding exceeds 1e-9 of the value (it adds newcomers to its sums and
subtracts leavers, and what that leaves of a window of zeros is not zero), the value of the
definition rules, computed here with 50 digits: `exact.either` takes the one or the other.

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

import exact
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

    def one(values, definition=None):
        return {"value": values if definition is None else exact.either(values, definition)}

    def named(names, values, definition=None):
        if definition is not None:
            values = map(exact.either, values, definition)
        return dict(zip(names.split(), values, strict=True))

    def together(**outputs):
        ready = ~np.isnan(sum(outputs.values()))
        return {name: np.where(ready, values, np.nan) for name, values in outputs.items()}

    return {
        "sma(1)": one(talib.SMA(c, 1)),
        "sma(20)": one(talib.SMA(c, 20)),
        "sma(200)": one(talib.SMA(c, 200)),
        "ema(2)": one(talib.EMA(c, 2)),
        "ema(20)": one(talib.EMA(c, 20)),
        "ema(200)": one(talib.EMA(c, 200)),
        "rma(14)": one(talib.RMA(c, 14)),
        "wma(2)": one(talib.WMA(c, 2)),
        "wma(20)": one(talib.WMA(c, 20)),
        "dema(20)": one(talib.DEMA(c, 20)),
        "tema(20)": one(talib.TEMA(c, 20)),
        "kama(2)": one(talib.KAMA(c, 2)),
        "kama(10)": one(talib.KAMA(c, 10)),
        "kama(30)": one(talib.KAMA(c, 30)),
        "hma(2)": one(talib.HMA(c, 2)),
        "hma(9)": one(talib.HMA(c, 9)),
        "hma(20)": one(talib.HMA(c, 20)),
        "vwma(20)": one(talib.VWMA(c, v, 20)),
        "vwap": one(by_day(b, lambda d: talib.VWAP(h[d], l[d], c[d], v[d]))),
        "rolling_vwap(20)": one(talib.VWMA((h + l + c) / 3.0, v, 20)),
        "rsi(2)": one(talib.RSI(c, 2)),
        "rsi(14)": one(talib.RSI(c, 14)),
        "cmo(14)": one(talib.CMO(c, 14)),
        "stoch_fast(5,3)": named(
            "k d", talib.STOCHF(h, l, c, 5, 3, 0), exact.stoch(h, l, c, 5, 1, 3)
        ),
        "stoch_fast(14,1)": named(
            "k d", talib.STOCHF(h, l, c, 14, 1, 0), exact.stoch(h, l, c, 14, 1, 1)
        ),
        "stoch(5,3,3)": named(
            "k d", talib.STOCH(h, l, c, 5, 3, 0, 3, 0), exact.stoch(h, l, c, 5, 3, 3)
        ),
        "stoch(14,3,5)": named(
            "k d", talib.STOCH(h, l, c, 14, 3, 0, 5, 0), exact.stoch(h, l, c, 14, 3, 5)
        ),
        "stochrsi(14,5,3)": named(
            "k d", talib.STOCHRSI(c, 14, 5, 3, 0), exact.stochrsi(c, 14, 5, 3)
        ),
        "stochrsi(14,14,3)": named(
            "k d", talib.STOCHRSI(c, 14, 14, 3, 0), exact.stochrsi(c, 14, 14, 3)
        ),
        "macd(12,26,9)": named(
            "macd signal histogram", talib.MACD(c, 12, 26, 9), exact.macd(c, 12, 26, 9)
        ),
        "macd(3,10,1)": named(
            "macd signal histogram", talib.MACD(c, 3, 10, 1), exact.macd(c, 3, 10, 1)
        ),
        "ppo(12,26)": one(talib.PPO(c, 12, 26, 1), exact.ppo(c, 12, 26)),
        "roc(1)": one(talib.ROC(c, 1), exact.roc(c, 1)),
        "roc(10)": one(talib.ROC(c, 10), exact.roc(c, 10)),
        "momentum(10)": one(talib.MOM(c, 10)),
        "cci(14)": one(talib.CCI(h, l, c, 14), exact.cci(h, l, c, 14)),
        "cci(20)": one(talib.CCI(h, l, c, 20), exact.cci(h, l, c, 20)),
        "williams_r(14)": one(talib.WILLR(h, l, c, 14)),
        "aroon(14)": named("down up", talib.AROON(h, l, 14))
        | {"oscillator": talib.AROONOSC(h, l, 14)},
        "trix(5)": one(talib.TRIX(c, 5), exact.trix(c, 5)),
        "trix(15)": one(talib.TRIX(c, 15), exact.trix(c, 15)),
        "ultimate_oscillator(7,14,28)": one(talib.ULTOSC(h, l, c, 7, 14, 28)),
        "mfi(14)": one(talib.MFI(h, l, c, v, 14), exact.mfi(h, l, c, v, 14)),
        "obv": one(talib.OBV(c, v)),
        "ad": one(talib.AD(h, l, c, v)),
        "cmf(20)": one(talib.CMF(h, l, c, v, 20), exact.cmf(h, l, c, v, 20)),
        "force_index(2)": one(talib.EFI(c, v, 2), exact.force_index(c, v, 2)),
        "force_index(13)": one(talib.EFI(c, v, 13), exact.force_index(c, v, 13)),
        "atr(1)": one(talib.ATR(h, l, c, 1)),
        "atr(14)": one(talib.ATR(h, l, c, 14)),
        "natr(14)": one(talib.NATR(h, l, c, 14)),
        # Told together, once the slowest of the three is there.
        "adx(14)": together(
            adx=talib.ADX(h, l, c, 14),
            plus_di=talib.PLUS_DI(h, l, c, 14),
            minus_di=talib.MINUS_DI(h, l, c, 14),
        ),
        "psar(0.02,0.2)": one(talib.SAR(h, l, 0.02, 0.2)),
        "supertrend(10,3)": together(
            **named("value direction", talib.SUPERTREND(h, l, c, 10, 3.0))
        ),
        "donchian(20)": named("upper middle lower", talib.DONCHIAN(h, l, 20)),
        "keltner(20,10,2)": named("upper middle lower", talib.KC(h, l, c, 20, 10, 2.0)),
        "keltner(5,30,1.5)": named("upper middle lower", talib.KC(h, l, c, 5, 30, 1.5)),
        "bollinger(20,2)": named(
            "upper middle lower", talib.BBANDS(c, 20, 2.0, 2.0, 0), exact.bollinger(c, 20, 2)
        ),
        "stddev(5)": one(talib.STDDEV(c, 5, 1.0), exact.stddev(c, 5)),
        "stddev(20)": one(talib.STDDEV(c, 20, 1.0), exact.stddev(c, 20)),
        "linreg(14)": {
            "slope": exact.either(talib.LINEARREG_SLOPE(c, 14), exact.slope(c, 14)),
        },
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
    print(f"{name}.csv: {len(lines.getvalue())} bytes, {exact.replaced} values of the definition's")
    exact.replaced = 0


def shared(name):
    with gzip.open(OHLCV / name, "rt") as file:
        return Bars(list(csv.reader(file))[1:])


def main():
    rows = made()
    header = ["open_time", "open", "high", "low", "close", "volume"]
    with open(HERE / "bars.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print("TA-Lib", talib.__ta_version__.decode(), "wrapper", talib.__version__)
    write("talib_made", Bars(rows), 5)
    write("talib_hours", shared("binance_BTCUSDT_1h_2021-01.csv.gz"), 50)
    write("talib_minutes", shared("binanceus_BTCUSDT_1m_2023-03-01_21.csv.gz"), 500)


if __name__ == "__main__":
    main()
