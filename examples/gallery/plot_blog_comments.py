"""
Comments on blog posts: what a variance of zero means
=====================================================

The number of comments on a post depends on the blog, on the post, and perhaps a little
on the day of the week. There are only seven days, and they differ little, so a random
effect of the day is a good test case for estimates on the boundary.

The setting comes from an example of the Ruby package mixed_models from 2015, with data
of Buza (2014). The data here are simulated, with the same number of posts and with
effects of about the same size.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy import stats

from statsmodels_lmm.formula.api import crossedmixedlm

DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
OF_DAY = dict(zip(DAYS, [0.01, 0.04, 0.03, 0.05, -0.03, -0.11, 0.01]))
"""What a day adds to the log of the number of comments; standard deviation 0.055."""

rng = np.random.default_rng(2015)
n_posts = 52_397
collected = pd.DataFrame(
    {
        "day": rng.choice(DAYS, n_posts, p=[0.16, 0.16, 0.16, 0.16, 0.14, 0.11, 0.11]),
        "host_comments": rng.normal(3.0, 1.5, n_posts),
        "length": rng.lognormal(7.5, 1.0, n_posts),
        "has_parent": rng.random(n_posts) < 0.01,
    }
)
mean = 0.2 + 0.8 * collected["host_comments"] - 0.5 * collected["has_parent"]
mean += 2.5e-5 * collected["length"] + collected["day"].map(OF_DAY)
collected["log_comments"] = mean + rng.normal(scale=1.26, size=n_posts)

# %%
# The analysis is restricted to posts that had a comment on the first day.

wanted = rng.choice(n_posts, 22_435, replace=False)
posts = collected.iloc[np.sort(wanted)].reset_index(drop=True)

formula = "log_comments ~ host_comments + length + has_parent + (1 | day)"
result = crossedmixedlm(formula, posts).fit()
print(result.summary())

# %%
# The standard deviation of the days is less than a 20th of that of the residuals, but
# with this many posts it is clearly different from zero. The test allows for the fact
# that a variance cannot be negative, and simulates the null distribution for this
# particular design.

interval = result.conf_int(method="profile", which="random")
test = result.exact_lr_test(rng=1)
print(interval.round(3))
print(f"likelihood ratio {test.statistic:.1f}, p = {test.pvalue:.4f}")

# %%
# Now consider a mistake that is easily made: the days are taken by position from the
# table before the selection. There are no missing values and no error, and each day is
# about as frequent as it should be. But the days belong to other posts.

misplaced = posts.assign(day=collected["day"].to_numpy()[: len(posts)])
singular = crossedmixedlm(formula, misplaced).fit()
print(singular.summary())

# %%
# The variance is estimated as zero, without a warning, and the last lines of the
# summary say that this is the optimum and that it lies on the boundary. It means that
# the means of the days differ no more than they would by chance; a negative variance
# would fit better still. It does not mean that the days are alike, for here they are
# not. The profile interval shows which other values are possible. The true value,
# 0.055, lies outside it, because the misplaced days carry no evidence about days.

print(singular.boundary_table()[["group", "rank", "singular"]])
misplaced_interval = singular.conf_int(method="profile", which="random")
print(misplaced_interval.round(3))

# %%
# The F statistic of the days shows why. It is below 1 if the days are closer to one
# another than they would be by chance, and then zero fits best. If all days are alike,
# this happens in more than half of all samples, so an estimate of zero is not unusual.


def f_of_days(table):
    """F test of the days as fixed effects."""
    without = smf.ols("log_comments ~ host_comments + length + has_parent", table).fit()
    days = smf.ols("log_comments ~ host_comments + length + has_parent + day", table)
    return days.fit().compare_f_test(without)[0]


print(f"F of the days: {f_of_days(posts):.2f}, misplaced {f_of_days(misplaced):.2f}")
chance = stats.chi2.cdf(6, 6)
print(f"Probability of F < 1 if seven days are alike: {chance:.2f}")

# %%
# The figure shows both fits. Open symbols are the estimates for each day alone, filled
# ones those of the model: the smaller the variance, the more they are pulled toward the
# mean, and if it is zero they are pulled all the way.

figure, axes = plt.subplots(1, 2, figsize=(8.5, 4), layout="constrained", sharex=True)
result.plot_shrinkage(ax=axes[0])
singular.plot_shrinkage(ax=axes[1])
axes[1].get_legend().remove()
axes[0].set_title("days of these posts")
axes[1].set_title("days of other posts: variance 0")
plt.show()

# %%
# Buza, K. (2014). Feedback prediction for blogs. In Data Analysis, Machine Learning and
# Knowledge Discovery, 145-152. Springer.
