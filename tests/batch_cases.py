"""Data for tests of batches, awkward ones included, and how to give them."""

import numpy as np
import pandas as pd

N = 160


def awkward(n=N):
    """Rows of many types, with gaps, sorted so that levels appear late."""
    rng = np.random.default_rng(3)
    g, h = np.sort(rng.integers(0, 15, n)), rng.integers(0, 8, n)
    data = pd.DataFrame({"g": g, "h": [f"item {i}" for i in h]})
    data["x"] = rng.normal(size=n) + 3.0
    data["z"] = rng.integers(0, 9, n)
    data["f"] = np.sort(rng.choice(["b", "a", "c"], n))[::-1]
    data["c"] = pd.Categorical(rng.choice(["lo", "hi"], n), ["lo", "mid", "hi"])
    data["b"] = rng.random(n) < 0.4
    data["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(g // 3, unit="D")
    data["w"], data["o"] = rng.uniform(0.5, 2.0, n), rng.normal(size=n)
    effects = rng.normal(size=15)[g] + rng.normal(size=8)[h]
    slopes = rng.normal(size=15)[g] * 0.5
    data["y"] = 20.0 + (1.0 + slopes) * data["x"] + effects + rng.normal(size=n)
    data.loc[[5, 50], "x"] = np.nan
    data.loc[17, "h"] = None
    data.loc[20:26, "y"] = np.nan  # a whole batch of 7 rows among them
    return data


def in_batches(data, size):
    """The rows in batches."""
    return [data.iloc[i : i + size] for i in range(0, len(data), size)]
