"""Contrasts of many fits: effects, standard errors and degrees of freedom."""

import numpy as np

from statsmodels_lmm.core.many.fits import fixed_part
from statsmodels_lmm.core.many.many_contrasts import contrast_dfs, f_statistics
from statsmodels_lmm.core.uncertainty.small_sample import satterthwaite
from statsmodels_lmm.inference.fixed.degrees_of_freedom import inference


def contrasts_of(many, contrast, method):
    """
    A contrast in every fit.

    Parameters
    ----------
    many : ManyResults
        The fits.
    contrast : ndarray
        Coefficients, shape (p,).
    method : str
        Method of the degrees of freedom.

    Returns
    -------
    effect, se, df : ndarray
        Shape (r,); NaN where there is no fit.
    """
    (used,) = np.nonzero(contrast)
    fits = many.fits
    if len(used) == 1:
        j, factor = used[0], contrast[used[0]]
        df = fits.df[:, j] if method == "satterthwaite" else _constant_df(many, method)
        return factor * fits.params[:, j], abs(factor) * fits.bse[:, j], df
    effect, se, df = np.full((3, len(many)), np.nan)

    def of_batch(places, params, root, scale, slopes):
        whitened = contrast[_kept(many)] @ root
        effect[places] = params @ contrast[_kept(many)]
        se[places] = np.sqrt((whitened**2).sum(axis=-1) * scale)
        df[places] = contrast_dfs(slopes, whitened[:, None])[:, 0]

    def of_one(place, result):
        fixed = inference(result, "satterthwaite")
        effect[place] = contrast @ np.nan_to_num(result.params)
        se[place] = np.sqrt(fixed.variances(contrast)[0])
        df[place] = fixed.df(contrast)

    _visit(many, of_batch, of_one)
    if method != "satterthwaite":
        df = _constant_df(many, method)
    return effect, se, df


def joint_forms(many, contrasts, values, method):
    """
    F statistics of several contrasts in every fit.

    Parameters
    ----------
    many : ManyResults
        The fits.
    contrasts, values : ndarray
        Coefficients (q, p), and what they are under the hypothesis (q,).
    method : str
        Method of the degrees of freedom.

    Returns
    -------
    statistic : ndarray
        Shape (r,).
    rank : ndarray
        Numerator degrees of freedom, shape (r,).
    df : ndarray
        Denominator degrees of freedom, shape (r,).
    """
    statistic, rank, df = np.full((3, len(many)), np.nan)

    def of_batch(places, params, root, scale, slopes):
        own = contrasts[:, _kept(many)]
        errors = (params @ own.T - values) / np.sqrt(scale)[:, None]
        found = f_statistics(slopes, own @ root, errors)
        statistic[places], rank[places], df[places] = found

    def of_one(place, result):
        test = inference(result, "satterthwaite").f_test(contrasts, values)
        statistic[place], rank[place] = test.statistic, test.df_num
        df[place] = test.df_denom

    _visit(many, of_batch, of_one)
    if method != "satterthwaite":
        df = _constant_df(many, method)
    return statistic, rank, df


def _kept(many):
    """Columns of X that the design keeps."""
    return many.design.data.kept


def _constant_df(many, method):
    """Degrees of freedom that all contrasts share, shape (r,)."""
    df = np.full(len(many), np.inf)
    if method == "residual":
        df = many.fits.nobs - np.isfinite(many.fits.params).sum(axis=1)
    return np.where(np.isnan(many.fits.llf), np.nan, df)


def _visit(many, of_batch, of_one):
    """
    Evaluate every fit once more, at its estimates.

    Parameters
    ----------
    many : ManyResults
        The fits.
    of_batch : callable
        Called with positions, the coefficients kept, a root of their covariance over
        sigma^2, sigma^2 and the slopes of `UncertainCovariance`.
    of_one : callable
        Called with a position and the results of that response.
    """
    design, fits = many.design, many.fits
    offset = 0.0 if many.model.offset is None else many.model.offset
    usual = np.isfinite(fits.params[:, design.data.kept]).all(axis=1) & fits.certified
    size = design.size
    for start in range(0, len(many), size):
        stop = min(start + size, len(many))
        y, weights = many._read(start, stop)
        y = y - offset
        used = np.isfinite(y) if weights is None else np.isfinite(y) & (weights > 0.0)
        own = ~used.all(axis=1) | (weights is not None)
        good = usual[start:stop] & design.in_batches
        groups = [np.flatnonzero(good & ~own)]
        if design.takes_weights:
            rest = np.flatnonzero(good & own)
            each = range(0, len(rest), design.own_size)
            groups += [rest[i : i + design.own_size] for i in each]
        alone = np.isfinite(fits.llf[start:stop])
        for i, group in enumerate(groups):
            if not len(group):
                continue
            mine = None
            if i:
                mine = used[group] * (1.0 if weights is None else weights[group])
            response = np.where(used[group], y[group], 0.0)
            try:
                at = design.evaluate(response, fits.theta[start + group], mine)
            except np.linalg.LinAlgError:
                continue
            params, root = fixed_part(design.units, *at)
            scale = np.asarray(at[0].scale) * at[1].scale ** 2
            params = params[:, design.data.kept]
            slopes = satterthwaite(at[0]).slopes
            of_batch(start + group, params, root, scale, slopes)
            alone[group] = False
        for place in start + np.flatnonzero(alone):
            of_one(place, many.at(int(place))._results)
