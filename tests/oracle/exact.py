"""A few definitions of TA-Lib's, computed with 50 digits, for where its own rounding matters.

Each takes arrays of floats, which are exact numbers, and gives back one list for each output,
as long as the input, with None where there is no value yet.
"""

from decimal import Decimal, getcontext

getcontext().prec = 50
ZERO = Decimal(0)
# TA-Lib's dead zone: a difference this small beside its terms is rounding.
TIE = Decimal("1e-14")
# What 50 digits leave of zero.
NOTHING = Decimal("1e-35")

replaced = 0


def either(values, definition):
    """TA-Lib's values, but the definition's where they are more than 1e-9 of it away."""
    global replaced
    values = values.copy()
    for i, is_ in enumerate(definition):
        assert (is_ is None) == bool(values[i] != values[i]), (i, is_, values[i])
        if is_ is not None and abs(Decimal(float(values[i])) - is_) > abs(is_) * Decimal("1e-9"):
            values[i] = 0.0 if abs(is_) < NOTHING else float(is_)
            replaced += 1
    return values


def numbers(values):
    return [Decimal(float(x)) for x in values]


def over(values, n, of):
    """`of` each `n` neighbours of `values`, of which the first may be None."""
    first = next((i for i, x in enumerate(values) if x is not None), len(values))
    ready = first + n - 1
    return [of(values[i + 1 - n : i + 1]) if i >= ready else None for i in range(len(values))]


def sma(values, n):
    return over(values, n, lambda window: sum(window) / n)


def smoothed(values, n, smoothing):
    averages, seed, last = [], [], None
    for x in values:
        if x is None:
            averages.append(None)
            continue
        if last is not None:
            last += (x - last) * smoothing
        else:
            seed.append(x)
            last = sum(seed) / n if len(seed) == n else None
        averages.append(last)
    return averages


def ema(values, n):
    return smoothed(values, n, Decimal(2) / (n + 1))


def percent(x, lowest, highest):
    width = highest - lowest
    return ZERO if width <= TIE * (abs(highest) + abs(lowest)) else 100 * (x - lowest) / width


def stoch(high, low, close, k_period, smoothing, d_period):
    highest = over(numbers(high), k_period, max)
    lowest = over(numbers(low), k_period, min)
    raw = [
        None if top is None else percent(x, bottom, top)
        for x, bottom, top in zip(numbers(close), lowest, highest)
    ]
    return silent_together(sma(raw, smoothing), d_period)


def silent_together(k, d_period):
    d = sma(k, d_period)
    return [x if y is not None else None for x, y in zip(k, d)], d


def stochrsi(close, period, k_period, d_period):
    close = numbers(close)
    changes = [None] + [now - before for before, now in zip(close, close[1:])]
    share = Decimal(1) / period
    gain = smoothed([x if x is None else max(x, ZERO) for x in changes], period, share)
    loss = smoothed([x if x is None else max(-x, ZERO) for x in changes], period, share)
    rsi = [
        None if g is None else (100 * g / (g + l) if g + l else ZERO) for g, l in zip(gain, loss)
    ]
    raw = over(rsi, k_period, lambda window: percent(window[-1], min(window), max(window)))
    return silent_together(raw, d_period)


def roc(close, n):
    return over(numbers(close), n + 1, lambda window: 100 * (window[-1] - window[0]) / window[0])


def trix(close, n):
    average = ema(ema(ema(numbers(close), n), n), n)
    return over(average, 2, lambda pair: 100 * (pair[1] - pair[0]) / pair[0])


def macd(close, fast, slow, signal):
    close = numbers(close)
    # The fast average takes only the last of the closes that seed the slow one.
    late = [None] * (slow - fast) + close[slow - fast :]
    line = difference(ema(late, fast), ema(close, slow))
    average = ema(line, signal)
    line = [None if y is None else x for x, y in zip(line, average)]
    return line, average, difference(line, average)


def ppo(close, fast, slow):
    close = numbers(close)
    fast, slow = ema(close, fast), ema(close, slow)
    return [None if y is None else 100 * (x - y) / y for x, y in zip(fast, slow)]


def difference(a, b):
    return [None if x is None or y is None else x - y for x, y in zip(a, b)]


def force_index(close, volume, n):
    close, volume = numbers(close), numbers(volume)
    forces = [(now - before) * v for before, now, v in zip(close, close[1:], volume[1:])]
    return ema([None, *forces], n)


def cci(high, low, close, n):
    prices = [sum(bar) / 3 for bar in zip(*map(numbers, (high, low, close)))]

    def of(window):
        mean = sum(window) / n
        deviation = sum(abs(x - mean) for x in window) / n
        change = window[-1] - mean
        flat = min(abs(change), deviation) <= TIE * mean
        return ZERO if flat else change / (deviation * Decimal("0.015"))

    return over(prices, n, of)


def mfi(high, low, close, volume, n):
    prices = [sum(bar) / 3 for bar in zip(*map(numbers, (high, low, close)))]
    risen, fallen = [None], [None]
    for before, now, v in zip(prices, prices[1:], numbers(volume)[1:]):
        flow = ZERO if abs(now - before) <= TIE * (now + before) else now * v
        risen.append(flow if now > before else ZERO)
        fallen.append(flow if now < before else ZERO)
    pairs = zip(over(risen, n, sum), over(fallen, n, sum))
    return [None if x is None else (100 * x / (x + y) if x + y else ZERO) for x, y in pairs]


def stddev(close, n):
    def of(window):
        mean = sum(window) / n
        return (sum((x - mean) ** 2 for x in window) / n).sqrt()

    return over(numbers(close), n, of)


def bollinger(close, n, deviations):
    middle, deviation = sma(numbers(close), n), stddev(close, n)

    def band(times):
        return [None if x is None else x + times * y for x, y in zip(middle, deviation)]

    return band(deviations), middle, band(-deviations)


def slope(close, n):
    center = Decimal(n - 1) / 2
    spread = sum((x - center) ** 2 for x in range(n))
    return over(
        numbers(close), n, lambda window: sum((x - center) * y for x, y in enumerate(window)) / spread
    )


def cmf(high, low, close, volume, n):
    flows = [
        ((c - l) - (h - c)) / (h - l) * v if h > l else ZERO
        for h, l, c, v in zip(*map(numbers, (high, low, close, volume)))
    ]
    pairs = zip(over(flows, n, sum), over(numbers(volume), n, sum))
    return [None if flow is None else flow / volume for flow, volume in pairs]
