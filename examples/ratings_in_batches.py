"""
Ratings of movies by many users, read from Parquet files batch by batch.

Five million ratings are simulated and written to a folder, a model with effects of
users and movies is fitted to the files in about a minute, and the movies' effects are
drawn with the residuals of a sample of ratings. ``--rows 100000`` takes seconds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

FORMULA = "rating ~ center(age) + (1 | user) + (1 | movie)"


def write_ratings(folder, rows, rng, chunk=500_000):
    """Write simulated ratings, a file for each chunk; few movies have most of them."""
    users, movies = max(rows // 100, 50), max(rows // 1000, 20)
    popularity = rng.lognormal(0.0, 1.5, movies)
    share = np.cumsum(popularity) / popularity.sum()
    of_user = 0.5 * rng.standard_normal(users)
    of_movie = 0.4 * rng.standard_normal(movies)
    age = rng.integers(16, 80, users)
    for start in range(0, rows, chunk):
        n = min(chunk, rows - start)
        user = rng.integers(users, size=n)
        movie = np.searchsorted(share, rng.random(n)).clip(0, movies - 1)
        mean = 3.5 + 0.005 * (age[user] - 45) + of_user[user] + of_movie[movie]
        ratings = pd.DataFrame({"rating": mean + 0.9 * rng.standard_normal(n)})
        ratings["user"], ratings["age"] = user, age[user]
        ratings["movie"] = pd.Categorical.from_codes(
            movie, [f"movie {i}" for i in range(movies)]
        )
        ratings.to_parquet(folder / f"ratings-{start // chunk:03}.parquet")


def draw(result, sample, path):
    """Draw the movies' effects with their intervals, and residuals of a sample."""
    import matplotlib.pyplot as plt

    table = result.random_effects_table()
    movies = table[table["group"] == "movie"].sort_values("mode")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    place = np.arange(len(movies))
    left.fill_between(
        place,
        movies["mode"] - 2 * movies["sd"],
        movies["mode"] + 2 * movies["sd"],
        alpha=0.3,
    )
    left.plot(place, movies["mode"])
    left.set(xlabel="movies", ylabel="effect on the rating")
    right.plot(sample["fitted"], sample["resid"], ".", markersize=2, alpha=0.3)
    right.set(xlabel="fitted value", ylabel="residual")
    figure.savefig(path)
    plt.close(figure)


def main(rows=5_000_000, picture="ratings_in_batches.png"):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_ratings(folder, rows, np.random.default_rng(1))
        start = time.perf_counter()
        result = crossedmixedlm(FORMULA, folder).fit()
        seconds = time.perf_counter() - start
        print(result.summary())
        print(f"{rows:,} ratings in {seconds:.1f} seconds")
        draw(result, result.sample_residuals(folder, n=5_000), picture)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--picture", default="ratings_in_batches.png")
    main(**vars(parser.parse_args()))
