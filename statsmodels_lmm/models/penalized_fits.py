"""The methods of a linear mixed model that choose among many columns."""

from typing import Any

from statsmodels_lmm.keywords import refuse_r_names
from statsmodels_lmm.regularized.fit import (
    PATH_WORDS,
    check_words,
    regularized_fit,
    regularized_path,
)
from statsmodels_lmm.regularized.path import RegularizedPath
from statsmodels_lmm.regularized.problem import Regularization


class PenalizedFits:
    """Mixin of a linear mixed model with many columns of fixed effects."""

    @refuse_r_names(**PATH_WORDS)
    def fit_regularized_path(
        self,
        alphas: Any = None,
        n_alphas: int = 50,
        L1_wt: float = 1.0,
        objective: str = "scaled",
        standardize: bool = True,
        *,
        penalty_weights: Any = None,
        adaptive: int = 0,
        max_columns: int | None = None,
        retrace: bool | None = None,
        eps: float | None = None,
    ) -> RegularizedPath:
        r"""
        Estimate the model with penalties from the first chosen column to many.

        With V the covariance of the response over :math:`\sigma^2`, and :math:`b_j`
        the coefficients of the penalized columns, standardized,

        .. math:: \tfrac12 \left(\log |V| + n \log 2 \pi \sigma^2 +
           r'V^{-1}r / \sigma^2\right) + n \alpha \sum_j w_j |b_j| / \sigma

        is minimized over all parameters. With correlated errors or a dispersion, R,
        the sigma of the penalty is the geometric mean :math:`\sigma |R|^{1/(2n)}` of
        what is left of a row given the others.

        Parameters
        ----------
        alphas : array_like, optional
            Penalties, lambda / n. Default is `n_alphas` of them in equal ratios.
        n_alphas : int, optional
            Number of penalties.
        L1_wt : float, optional
            Share c of the absolute values: the penalty of a coefficient is
            ``c |b| + (1 - c) b^2 / 2``, as in statsmodels.
        objective : {"scaled", "lmmlasso"}, optional
            Whether the penalty is on b / sigma, which does not depend on the unit of
            the response, or on b, as in R's lmmlasso.
        standardize : bool, optional
            Whether the penalty is on coefficients of columns with a mean square of one
            around their mean.
        penalty_weights : array_like, optional
            Relative weights w of the penalty, one for each penalized column, or each
            column of exog; 0 for a column that is not penalized.
        adaptive : int, optional
            Number of rounds, 2 or 3, in which columns with large coefficients are
            penalized less, see `regularized.path.reweighted`.
        max_columns : int, optional
            Number of columns above which the path ends. Default is half the number of
            rows, and at most 500.
        retrace : bool, optional
            Whether the path is run down and up again, and the lower of two minima kept
            at each penalty. Default is False, or True for lmmlasso's objective.
        eps : float, optional
            The last penalty over the first. Default is 0.1 with as many columns as
            rows, and otherwise 0.01.

        Returns
        -------
        RegularizedPath

        Raises
        ------
        ImportError
            Without scikit-learn, of the extra ``regularized``.
        DataError
            If there are no columns to penalize, or values are missing in them.

        References
        ----------
        Schelldorfer, J., Buehlmann, P. and van de Geer, S. (2011). Estimation for
        high-dimensional linear mixed-effects models using l1-penalization.
        Scandinavian Journal of Statistics 38, 197-214.
        Staedler, N., Buehlmann, P. and van de Geer, S. (2010). l1-penalization for
        mixture regression models. TEST 19, 209-256.
        """
        options = Regularization(
            L1_wt,
            objective,
            standardize,
            penalty_weights,
            adaptive,
            max_columns,
            retrace,
        )
        return regularized_path(self, options, alphas, n_alphas, eps)

    def fit_regularized(
        self,
        alpha: Any = "ebic",
        L1_wt: float = 1.0,
        refit: bool = True,
        method: str = "elastic_net",
        objective: str = "scaled",
        standardize: bool = True,
        cv: str | None = None,
        selection: str | None = None,
        *,
        penalty_weights: Any = None,
        adaptive: int = 0,
        max_columns: int | None = None,
        retrace: bool | None = None,
        groups: Any = None,
        n_folds: int = 5,
        n_pairs: int = 25,
        threshold: float = 0.75,
        n_columns: int | None = None,
        n_alphas: int = 50,
        eps: float | None = None,
        rng: Any = None,
        n_jobs: int | None = None,
        progress: bool | None = None,
        **fit_kwds: Any,
    ) -> Any:
        """
        Choose among many columns of the fixed effects by a penalty, and fit them.

        The penalized columns are those of ``penalized=``. Without these, they are all
        columns of exog but the constant and those that also have a random slope.

        Parameters
        ----------
        alpha : float, array_like or str, optional
            The penalty, lambda / n: a number, one for each column (0 if it is not
            penalized), or how it is chosen. "ebic" takes the lowest extended BIC of
            refits along the path, and "bic" and "aic" these criteria; "universal" is
            the one that columns without effect hardly reach, see
            `regularized.universal.universal`; "cv" the lowest error of a
            cross-validation; and "stability" chooses columns that enter often on halves
            of the groups, see `regularized.stability.stability`.
        L1_wt : float, optional
            Share of the absolute values in the penalty, see `fit_regularized_path`.
        refit : bool, optional
            Whether the chosen columns are fitted without a penalty; the default is True
            here and False in statsmodels. The results without a refit are shrunken and
            have no standard errors.
        method : {"elastic_net"}, optional
            Accepted as in statsmodels.
        objective, standardize : optional
            See `fit_regularized_path`.
        cv : {"groups", "rows"}, optional
            What a cross-validation leaves out: whole groups, for predictions of new
            groups, or rows, for predictions of known ones. ``alpha="cv"`` needs it.
        selection : {None, "split"}, optional
            "split" chooses the columns on half of the groups and fits them to the
            other half, so that tests and intervals hold.
        penalty_weights, adaptive, max_columns, retrace : optional
            See `fit_regularized_path`.
        groups : str or array_like, optional
            The groups that stay together in a cross-validation, a split or stability
            selection. Default is the only grouping factor.
        n_folds : int, optional
            Number of folds of a cross-validation.
        n_pairs : int, optional
            Number of pairs of complementary halves for stability selection.
        threshold : float, optional
            Frequency from which stability selection chooses a column.
        n_columns : int, optional
            Largest number of columns of a half. Default bounds the expected number of
            false ones by 1.
        n_alphas, eps : optional
            The path, see `fit_regularized_path`.
        rng : None, int or numpy.random.Generator, optional
            Draws folds and halves.
        n_jobs : int, optional
            Number of workers for folds or halves, as in joblib, with the same numbers
            for any. Default is as configured by ``joblib.parallel_config``; if nothing
            is, all processors once what remains takes longer than their start.
        progress : bool, optional
            Whether to show a progress bar. Default is to show one after two seconds on
            a terminal, if tqdm is installed.
        **fit_kwds
            Arguments of `fit` for the chosen columns, such as ``reml=False``.

        Returns
        -------
        CrossedMixedLMResults or RegularizedResults
            The former is an ordinary fit of the chosen columns, whose attribute
            `selection` and summary say how they were chosen; the latter, with
            ``refit=False``, the penalized fit.

        Raises
        ------
        ImportError
            Without scikit-learn, of the extra ``regularized``.
        DataError
            If there are no columns to penalize, or values are missing in them.
        """
        check_words(method, fit_kwds)
        options = Regularization(
            L1_wt,
            objective,
            standardize,
            penalty_weights,
            adaptive,
            max_columns,
            retrace,
        )
        return regularized_fit(
            self,
            options,
            alpha,
            refit=refit,
            selection=selection,
            cv=cv,
            groups=groups,
            n_folds=n_folds,
            n_pairs=n_pairs,
            threshold=threshold,
            n_columns=n_columns,
            n_alphas=n_alphas,
            eps=eps,
            rng=rng,
            n_jobs=n_jobs,
            progress=progress,
            fit_kwds=fit_kwds,
        )
