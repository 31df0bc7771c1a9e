"""What river needs for the rows of a file: nanoseconds of CPU time a row, the best of three.

Each row: a value of a series, 0 or 1, ten inputs, two coordinates. Score or forecast, then learn. What river is
handed is made before the clock starts."""

import sys
import time

from river import anomaly, linear_model, optim, time_series

rows = [[float(cell) for cell in line.split(",")] for line in open(sys.argv[1])]
series = [row[0] for row in rows]
examples = [({f"x{i}": value for i, value in enumerate(row[2:12])}, row[1] == 1.0) for row in rows]
points = [{"x": row[12], "y": row[13]} for row in rows]


def autoregression():
    model = time_series.SNARIMAX(p=5, d=1, q=0)
    for i, value in enumerate(series):
        if i > 10:
            model.forecast(horizon=1)
        model.learn_one(value)


def ftrl():
    optimizer = optim.FTRLProximal(alpha=0.1, beta=1.0, l1=0.5, l2=1.0)
    model = linear_model.LogisticRegression(optimizer=optimizer, intercept_lr=0.0)
    for inputs, was_so in examples:
        model.predict_proba_one(inputs)
        model.learn_one(inputs, was_so)


def half_space_trees():
    limits = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    model = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, limits=limits, seed=42)
    for point in points:
        model.score_one(point)
        model.learn_one(point)


for name, run in [("autoregression", autoregression), ("ftrl", ftrl), ("half-space trees", half_space_trees)]:
    best = None
    for _ in range(3):
        begun = time.process_time_ns()
        run()
        spent = time.process_time_ns() - begun
        best = spent if best is None else min(best, spent)
    print(f"{name}\t{best / len(rows)}", flush=True)
