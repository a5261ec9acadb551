"""The model: data, its likelihood, and the fit."""

from copy import copy
from functools import partial

import numpy as np
import pandas as pd
from statsmodels.base.data import PandasData
from statsmodels.base.model import LikelihoodModel

from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.criteria.saturation import is_saturated
from statsmodels_lmm.core.criteria.units import Units
from statsmodels_lmm.core.rows.estimability import estimability
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.search.several_starts import VANISHING, search
from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.core.structures.by_name import STRUCTURES
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.backend import (
    FormulaData,
    caller_scope,
    current_engine,
)
from statsmodels_lmm.formula.design import build_design
from statsmodels_lmm.formula.dialects import engine_text
from statsmodels_lmm.formula.mixedlm_terms import group_columns, random_terms
from statsmodels_lmm.formula.names import CODINGS, SYNTAX, names_in
from statsmodels_lmm.formula.parser import TRANSFORMS, parse
from statsmodels_lmm.formula.tokens import has_bar
from statsmodels_lmm.inference.fixed.degrees_of_freedom import METHODS
from statsmodels_lmm.inference.prediction.prediction_rows import determined_means
from statsmodels_lmm.inference.requirements import check_choice, require_data
from statsmodels_lmm.inputs.alignment import aligned, labels_of, subset_rows
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.inputs.row_values import (
    row_values,
    take_rows,
    without_zero_weights,
)
from statsmodels_lmm.inputs.tables import to_frame
from statsmodels_lmm.keywords import scale_of
from statsmodels_lmm.models.arrays import complete_rows
from statsmodels_lmm.models.distribution import Distribution
from statsmodels_lmm.models.shared_design import SharedDesign
from statsmodels_lmm.models.validation import (
    check_data,
    check_range,
    check_residual,
    warn_after_fit,
)
from statsmodels_lmm.random.known_levels import known_levels
from statsmodels_lmm.random.random_effects import RandomEffects
from statsmodels_lmm.random.terms import as_terms, function_term, matrix_effects
from statsmodels_lmm.random.variance_components import group_term
from statsmodels_lmm.results.linear import (
    CrossedMixedLMResults,
    CrossedMixedLMResultsWrapper,
)

NOTHING_LEFT = 1e-15
"""Share of the residual variance below which its digits are those of rounding."""

NO_RESIDUAL = (
    "the residual variance is zero, or too small to be told from zero: fixed and "
    "random effects reproduce the response to the last of its digits"
)

NO_MAXIMUM = (
    "the likelihood has no maximum: fixed and random effects together reproduce any "
    "response of these rows, and it grows without bound as the residual variance goes "
    "to zero. Leave out a random effect"
)


class CrossedMixedLM(LikelihoodModel):
    r"""
    Linear mixed model with crossed, nested or partially crossed random effects.

    .. math:: y = X \beta + \sum_i Z_i b_i + \epsilon, \quad
       b_i \sim N(0, I \otimes \Sigma_i), \quad
       \epsilon \sim N(0, \sigma^2 W^{-1})

    Parameters
    ----------
    endog : array_like
        Response, shape (n,).
    exog : array_like
        Design of the fixed effects, shape (n, p). No constant is added.
    random : dict or sequence
        The random effects: by name, or one after another, what `random_effects` or
        `matrix_effects` return; groups, shape (n,), for random intercepts; a pair
        (groups, effects) with effect columns of shape (n, k), correlated among
        themselves; a model matrix Z, dense or sparse, shape (n, q); or such a tuple
        with a covariance structure at its end.
    weights : array_like, optional
        Prior weights; the residual variance of a row is sigma^2 / weight.
    offset : array_like, optional
        Known part of the linear predictor.
    missing : {"none", "drop", "raise"}, optional
        What to do with incomplete rows.
    check_levels : bool, optional
        Whether to refuse a factor with as many levels as rows and a term with as
        many random effects as rows, as lme4 does.
    rank : {"drop", "raise"}, optional
        What to do with columns of X that depend linearly on the columns before
        them.
    relationship, relationship_inverse : dict, optional
        Known covariance matrices of the levels of grouping factors, or their inverses,
        by the names of the factors: a DataFrame with the levels as labels, a
        LabeledMatrix, or a pair of a matrix, dense or sparse, and its labels. They may
        have levels that do not occur, which are predicted, and be in any order. The
        covariance of all random effects of a factor is then K (x) Sigma.
    groups, exog_re, exog_vc : optional
        One grouping factor, its effect columns and its variance components, as
        statsmodels' MixedLM takes them, instead of `random`.
    **kwargs
        Used by `from_formula`.

    Notes
    -----
    Series and DataFrames meet the rows by their labels, see `alignment.row_positions`.
    What is masked in an array is missing. The model keeps copies of its data.

    Variances are estimated by minimizing the profiled deviance of Bates et al.
    (2015) or the REML criterion. `params` of the results are the fixed effects
    only. A formula is code: it is evaluated by statsmodels' formula engine, so
    do not take one from somebody you do not trust.

    References
    ----------
    Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear
    mixed-effects models using lme4. Journal of Statistical Software 67(1).

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    >>> round(-2 * result.llf, 4)
    1743.6283
    """

    _results_classes = CrossedMixedLMResults, CrossedMixedLMResultsWrapper

    def __init__(
        self,
        endog,
        exog,
        random=None,
        weights=None,
        offset=None,
        missing="none",
        check_levels=True,
        rank="drop",
        relationship=None,
        relationship_inverse=None,
        groups=None,
        exog_re=None,
        exog_vc=None,
        **kwargs,
    ):
        if _are_built(random) and has_bar(kwargs.get("formula")):
            kwargs.pop("formula")
            kwargs.pop("eval_env", None)
        unknown = set(kwargs) - {"formula", "model_spec", "hasconst", "missing_idx"}
        if unknown:
            raise _unknown_arguments(unknown)
        kwargs.pop("missing_idx", None)
        if missing not in ("none", "drop", "raise"):
            raise ValueError(
                f"missing must be 'none', 'drop' or 'raise', not {missing!r}"
            )
        if rank not in ("drop", "raise"):
            raise ValueError(f"rank must be 'drop' or 'raise', not {rank!r}")
        if random is None and groups is not None:
            random = [group_term(groups, exog_re, exog_vc)]
        if isinstance(endog, str) or random is None:
            raise TypeError("give endog, exog and random; for formulas from_formula")
        known = partial(known_levels, relationship, relationship_inverse)
        endog, exog, random, weights, offset, rows = complete_rows(
            endog, exog, random, weights, offset, missing, known
        )
        y, x = (getattr(values, "values", values) for values in (endog, exog))
        check_data(y, x, random, weights, offset, check_levels)
        if not np.shape(exog)[1]:
            kwargs["hasconst"] = False
        super().__init__(y, x, **kwargs)
        if labels_of(endog) is not None or labels_of(exog) is not None:
            # what statsmodels makes of frames, which it is slow to turn into arrays
            self.data.__class__ = PandasData
            self.data.orig_endog, self.data.orig_exog = endog, exog
        # pandas hands out views that cannot be written to
        self.endog = self.data.endog = np.require(self.data.endog, float, "W")
        self.exog = self.data.exog = np.require(self.data.exog, float, "W")
        self.random = random
        self.weights, self.offset = weights, offset
        self.check_levels, self.rank = check_levels, rank
        self.structures: dict = {}
        self.formula_offset = None
        self.n_dropped = 0 if rows is None else int((~rows).sum())
        self._init_keys = ["random", "weights", "offset", "check_levels", "rank"]
        self._data_attr.extend(["weights", "offset", "formula_offset"])
        self._forget()
        self._last_theta = None

    def _forget(self):
        """Form standardized data and cross-products anew when they are needed."""
        self._cross: tuple | None = None
        self._design = SharedDesign()

    def _get_init_kwds(self):
        """What a clone needs besides endog and exog, or a model of other data."""
        kwds = super()._get_init_kwds()
        if getattr(self, "_parsed", None) is not None:
            kwds["formula"] = self.formula_full
            kwds["eval_env"] = self.data.scope
        return kwds

    def initialize(self):
        """Set the counts that statsmodels reads."""
        self.nobs = len(self.endog)
        self.df_model = self.exog.shape[1] - self.k_constant
        self.df_resid = self.nobs - self.exog.shape[1]

    @classmethod
    def from_formula(
        cls,
        formula,
        data,
        subset=None,
        weights=None,
        offset=None,
        missing="drop",
        check_levels=True,
        rank="drop",
        relationship=None,
        relationship_inverse=None,
        structures=None,
        groups=None,
        re_formula=None,
        vc_formula=None,
        eval_env=None,
        **kwargs,
    ):
        """
        Create a model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            Formula in lme4's language, such as ``"y ~ x + (x | g) + (1 | h)"``.
            Its names are columns or Python names of the caller.
        data : DataFrame
            The data: pandas, polars (eager and lazy), pyarrow, mappings of columns
            and records; a DuckDB relation and others with the extra ``frames``. Of
            lazy data only the columns that are used are read.
        subset : array_like, optional
            Rows to use: labels, or booleans for each row.
        weights : str or array_like, optional
            Prior weights, or the column that holds them. A Series is aligned by its
            labels. A row without a weight is incomplete if this is a column, an error
            if it is an array.
        offset : str or array_like, optional
            Known part of the linear predictor, or the column that holds it. It is
            added to ``offset(...)`` in the formula.
        missing : {"drop", "raise"}, optional
            What to do with incomplete rows.
        check_levels : bool, optional
            Whether to refuse a factor with as many levels as rows and a term with
            as many random effects as rows, as lme4 does.
        rank : {"drop", "raise"}, optional
            What to do with redundant columns of the fixed effects: leave them out,
            with a warning and NaN coefficients, or raise a DataError.
        relationship, relationship_inverse : dict, optional
            Known covariance matrices of the levels of grouping factors, or their
            inverses, see `CrossedMixedLM`. A factor is named as in the tables, "a:b"
            for an interaction, whose levels are "x:y".
        structures : dict, optional
            Covariance structures of your own by the names that stand before a term:
            ``{"toep": Toeplitz()}`` for ``toep(0 + C(t) | g)``.
        groups, re_formula, vc_formula : optional
            The random effects in the words of statsmodels' MixedLM instead of, or
            in addition to, terms with a bar, see
            `formula.mixedlm_terms.random_terms`. Several columns of groups are crossed.
        eval_env : int or dict, optional
            How many stack frames above the caller names are looked up, or a
            mapping of names, or -1 for none.
        **kwargs
            Nothing else is allowed; unknown names raise a TypeError.

        Returns
        -------
        CrossedMixedLM

        Raises
        ------
        FormulaError
            If the formula cannot be read, with a caret under the place.
        DataError
            If the data cannot be used, naming column and rows.
        """
        # a clone names the random effects twice, by its formula and by themselves
        if _are_built(kwargs.get("random")):
            kwargs.pop("random")
        if kwargs:
            raise _unknown_arguments(kwargs)
        if missing not in ("none", "drop", "raise"):
            raise ValueError(f"missing must be 'drop' or 'raise', not {missing!r}")
        if groups is not None:
            data, groups = group_columns(to_frame(data), groups)
            terms = random_terms(groups, re_formula, vc_formula, data)
            formula = " + ".join([formula, *(t.text for t in terms)])
        elif re_formula is not None or vc_formula is not None:
            raise FormulaError("re_formula and vc_formula need groups")
        structures = _checked_structures(structures)
        parsed = parse(formula, structures)
        factors = [terms[0].group for terms in parsed.by_factor]
        known = known_levels(relationship, relationship_inverse, factors)
        names = [names_in(text) for text in parsed.pieces]
        read = {name for each in names for name in each.read}
        called = {name for each in names for name in each.called}
        columns = [v for v in (weights, offset) if isinstance(v, str)]
        data = to_frame(data, {*read, *columns, *parsed.grouping_columns})
        if subset is not None:
            rows = subset_rows(subset, data.index)
            weights = take_rows(weights, rows, data.index, "weights")
            offset = take_rows(offset, rows, data.index, "offset")
            data = data.iloc[rows]
        n_rows = len(data)
        engine = current_engine()
        scope = caller_scope(
            (called - SYNTAX) | (read - set(data.columns)),
            TRANSFORMS | CODINGS,
            eval_env,
            depth=1,
        )
        weights = row_values(weights, data, "weights")
        offset = row_values(offset, data, "offset")
        if weights is not None and (weights == 0).any():
            data, weights, offset = without_zero_weights(data, weights, offset)
        design = build_design(
            parsed,
            data,
            scope,
            engine,
            "drop" if missing == "drop" else "raise",
            {name: row_values(name, data, name) for name in columns},
            structures,
            known,
        )
        weights = None if weights is None else weights[design.rows]
        offset = None if offset is None else offset[design.rows]
        if design.offset is not None:
            offset = design.offset + (0.0 if offset is None else offset)
        model = cls(
            design.endog,
            design.exog,
            random=design.random,
            weights=weights,
            offset=offset,
            check_levels=check_levels,
            rank=rank,
            formula=parsed.fixed_formula,
            model_spec=design.spec,
        )
        # others evaluate it with patsy
        model.formula = engine_text(parsed.fixed_formula, "patsy")
        model.formula_full = formula
        model.formula_offset = design.offset
        model.n_dropped = n_rows - len(design.rows)
        model._parsed = parsed
        model.structures = structures
        model.data.frame = design.frame
        FormulaData.adopt(model.data, design.scope, engine, design.column_specs)
        return model

    @classmethod
    def from_matrices(
        cls,
        endog,
        exog,
        z,
        relative_factor=None,
        start=None,
        lower=None,
        upper=None,
        names=None,
        derivative=None,
        name="Z",
        random=(),
        **kwargs,
    ):
        r"""
        Create a model from matrices and a function for the covariance.

        .. math:: y = X \beta + Z b + \epsilon, \quad
           b \sim N(0, \sigma^2 \Lambda_\theta \Lambda_\theta')

        Parameters
        ----------
        endog : array_like
            Response, shape (n,).
        exog : array_like
            Design of the fixed effects, shape (n, p).
        z : array_like or sparse matrix
            Design of the random effects, shape (n, q).
        relative_factor : callable, optional
            theta, an array of shape (m,), to the relative covariance factor
            :math:`\Lambda`, an array or a sparse matrix of shape (q, any number).
            Default is theta times the identity.
        start : array_like, optional
            Where to start, shape (m,), inside the range and not at its ends.
        lower, upper : array_like, optional
            Range of theta, shape (m,). The function is called inside of it only.
        names : sequence of str, optional
            Names of the parameters theta.
        derivative : callable, optional
            theta to the m derivatives of the factor. By default its product is
            differenced.
        name : str, optional
            Name of these random effects.
        random : dict or sequence, optional
            Further random effects, see `CrossedMixedLM`.
        **kwargs
            As for `CrossedMixedLM`.

        Returns
        -------
        CrossedMixedLM

        Raises
        ------
        DataError
            If the shapes do not fit.
        ValueError
            If the function is not smooth, or its derivative not its own.

        Notes
        -----
        A factor that is theta times a matrix, such as a root of a kinship matrix, is
        found to be one, and costs one eigendecomposition.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> z = np.kron(np.eye(10), np.ones((6, 1)))
        >>> y = z @ rng.standard_normal(10) + rng.standard_normal(60)
        >>> def factor(theta):
        ...     return theta[0] * np.eye(10)
        >>> model = CrossedMixedLM.from_matrices(
        ...     y, np.ones((60, 1)), z, factor, start=[1.0], lower=[0.0])
        >>> model.fit().theta.round(3).tolist()
        [0.968]
        """
        further = as_terms(random)
        related = dict(kwargs.pop("relationship", None) or {})
        if relative_factor is None:
            if any(v is not None for v in (start, lower, upper, names, derivative)):
                raise TypeError(
                    "start, lower, upper, names and derivative are of the theta of a "
                    "relative_factor; give one"
                )
            term, own = matrix_effects(z, name=name), {}
        else:
            if start is None:
                raise TypeError("give start, where the search for theta begins")
            term, own = function_term(
                z, relative_factor, start, lower, upper, names, derivative, name
            )
        if own.keys() & related.keys():
            raise DataError(
                f"{name} has a relationship and a relative factor; give one"
            )
        related |= own
        return cls(
            endog, exog, [term, *further], relationship=related or None, **kwargs
        )

    def fit(
        self, reml=True, *, start_params=None, maxiter=200, tol=1e-10, df_method=None
    ):
        """
        Estimate the model.

        Parameters
        ----------
        reml : bool, optional
            Whether to maximize the restricted likelihood (lme4's ``REML``) or the
            likelihood.
        start_params : array_like, optional
            Relative covariance parameters to start from, in the order of
            `CrossedMixedLMResults.theta`. A Series of fixed effects, which statsmodels'
            MICE gives, starts nothing.
        maxiter : int, optional
            Largest number of evaluations of the criterion.
        tol : float, optional
            The search ends when one more step promises less, in units of the
            criterion, -2 times the log-likelihood.
        df_method : str, optional
            Degrees of freedom of the fixed effects, see
            `CrossedMixedLMResults.with_df_method`. Default is "asymptotic".

        Returns
        -------
        CrossedMixedLMResults

        Raises
        ------
        ValueError
            If an argument has an unknown value.
        DataError
            If the data leave nothing for the residual variance, or the likelihood has
            no maximum.

        Warns
        -----
        ConvergenceWarning
            If the point found is not proved to be a local optimum.
        DataWarning
            If fixed and random effects can reproduce any response.
        """
        if not isinstance(reml, bool | np.bool_):
            raise ValueError(f"reml must be True or False, not {reml!r}")
        if not isinstance(maxiter, int | np.integer) or maxiter < 1:
            raise ValueError("maxiter must be at least 1")
        check_choice("df_method", df_method, (None, *METHODS))
        _, products = self._sufficient_statistics()
        units, uninformative = self._units, self._uninformative(products)
        start = None
        if start_params is None or self._are_fixed(start_params):
            start_params = None
        else:
            start = units.factors_at(start_params, pivoted=True)
        idle = [
            at
            for at, effects in enumerate(units.of_plan(self.random))
            if effects.name in uninformative
        ]
        settings = Settings(maxiter=int(maxiter), tol=float(tol))
        try:
            criterion = Profiled(products, bool(reml))
            deviance, optimum = search(criterion, settings, start, idle)
        except np.linalg.LinAlgError:
            if start_params is not None:
                raise ValueError(
                    "the criterion cannot be evaluated at start_params; leave them out"
                ) from None
            raise DataError(NO_RESIDUAL) from None
        vanished = deviance.scale < VANISHING and is_saturated(products)
        if vanished and not reml:
            raise DataError(NO_MAXIMUM)
        if deviance.scale < NOTHING_LEFT:
            raise DataError(NO_RESIDUAL)
        results, wrapper = self._results_classes
        optimum = units.optimum(optimum, deviance.factors)
        found = results(self, units, deviance, optimum, uninformative)
        self._last_theta = optimum.theta
        warn_after_fit(found)
        return wrapper(found._by(df_method))

    def with_response(self, endog):
        """
        The same model of another response.

        Parameters
        ----------
        endog : array_like or Series
            A value for each row used. A Series with the labels of these rows, and
            possibly more, is aligned with them.

        Returns
        -------
        CrossedMixedLM

        Raises
        ------
        DataError
            If the number of rows differs or values are missing.

        Notes
        -----
        The models share what depends on the design only. Another response costs one
        pass over the rows and a search.
        """
        require_data(self, "another response")
        old, labels = self.data.orig_endog, self.data.row_labels
        endog = aligned(endog, labels, "the response")
        values = numeric(endog, "the response")
        if values.shape != (self.nobs,):
            raise DataError(
                f"the response has shape {values.shape}, the model {self.nobs} rows"
            )
        if not np.isfinite(values).all():
            raise DataError(
                f"the response is missing or infinite in "
                f"{int((~np.isfinite(values)).sum())} of the rows of the model"
            )
        other = copy(self)
        other.data = copy(self.data)
        other.endog = other.data.endog = values
        if isinstance(old, pd.DataFrame):
            values = pd.DataFrame(values, labels, old.columns)
        elif isinstance(old, pd.Series):
            values = pd.Series(values, labels, name=old.name)
        other.data.orig_endog = values
        other._design, other._last_theta = self._design, None
        return other

    def redundant_columns(self, data):
        """
        Names of the fixed effects that depend on the columns before them.

        Parameters
        ----------
        data : Standardized
            The standardized data.

        Returns
        -------
        list of str
        """
        kept = set(data.kept.tolist())
        return [name for j, name in enumerate(self.exog_names) if j not in kept]

    def _uninformative(self, products):
        """Names of factors whose effect columns lie in the span of X."""
        pairs = zip(products.plan.order, products.left_by_fixed())
        return tuple(self.random[i].name for i, left in pairs if left <= 1e-10)

    def loglike(self, params, reml=True):
        """
        Log-likelihood with fixed effects and residual variance profiled out.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta, in the order of
            `CrossedMixedLMResults.theta`.
        reml : bool, optional
            Whether to return the restricted log-likelihood.

        Returns
        -------
        float
        """
        return -0.5 * self._units.criterion(self._deviance(params, reml))

    def score(self, params, reml=True):
        """
        Gradient of `loglike` in theta.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta.
        reml : bool, optional
            Whether to differentiate the restricted log-likelihood.

        Returns
        -------
        ndarray
        """
        return -0.5 * self._derivatives(params, reml, exact=False)[0]

    def hessian(self, params, reml=True):
        """
        Second derivatives of `loglike` in theta.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta.
        reml : bool, optional
            Whether to differentiate the restricted log-likelihood.

        Returns
        -------
        ndarray
        """
        return -0.5 * self._derivatives(params, reml, exact=True)[1]

    def information(self, params, reml=True):
        """
        The negative of `hessian`.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta.
        reml : bool, optional
            Whether to use the restricted log-likelihood.

        Returns
        -------
        ndarray
        """
        return -self.hessian(params, reml)

    def predict(self, params, exog=None, which="mean", offset=None, *, type=None):
        """
        Fixed part of the linear predictor.

        Parameters
        ----------
        params : array_like
            Fixed effects, shape (p,); those of dropped columns may be NaN.
        exog : array_like, optional
            Design, shape (n, p); default is that of the model, with its offset.
        which : {"mean", "linear"}, optional
            Both are the same for a linear model.
        offset : array_like, optional
            Known part of the linear predictor of `exog`.
        type : {"response", "link"}, optional
            `which` in R's words.

        Returns
        -------
        ndarray
            NaN, with a RankWarning, in rows of `exog` whose mean the data do not
            determine.
        """
        scale_of(which, type)
        params, relations = np.asarray(params, dtype=float), None
        if exog is None:
            exog = self.exog
            offset = self.offset if offset is None else offset
        elif self.exog is not None:
            relations = estimability(self.exog, np.isfinite(params))
        rows = numeric(exog, "exog")
        mean = determined_means(
            np.atleast_2d(rows), params, relations, self.exog_names
        ).reshape(rows.shape[:-1])
        return mean if offset is None else mean + numeric(offset, "offset")

    def relative_covariances(self, theta):
        """Relative covariance matrix of each factor at some theta, (k, k) each."""
        units = self._units
        return units.relative_covariances(units.factors_at(theta, pivoted=True))

    def get_distribution(self, params, scale, exog=None):
        """
        The distribution of the response with the variances of the last fit.

        statsmodels' mediation analysis draws from it.

        Parameters
        ----------
        params : array_like
            Fixed effects, shape (p,).
        scale : float
            Residual variance.
        exog : array_like, optional
            Design of the fixed effects; default is that of the model.

        Returns
        -------
        object
            With ``rvs(n, rng=None)``, which returns one response; n is ignored.
        """
        theta = self._last_theta
        if theta is None:
            theta = self.fit().optimum.theta
        mean = self.predict(params, self.exog if exog is None else exog)
        return Distribution(self, mean, theta, float(scale))

    def _are_fixed(self, params):
        """Whether these are fixed effects by their labels, which start nothing."""
        labels = labels_of(params)
        return labels is not None and list(labels) == list(self.exog_names)

    def _sufficient_statistics(self):
        """Standardized data and cross-products, formed once."""
        if self._cross is None:
            require_data(self, "a fit")
            endog = self.endog if self.offset is None else self.endog - self.offset
            factors = [r.grouped for r in self.random]
            data = self._design.standardize(endog, self.exog, factors, self.weights)
            root = 1.0 if self.weights is None else np.sqrt(self.weights)
            check_residual(endog * root, data)
            check_range(data, self.random)
            if self.rank == "raise" and len(data.kept) < self.exog.shape[1]:
                raise DataError(
                    "the fixed effects are not linearly independent: "
                    + ", ".join(self.redundant_columns(data))
                )
            self._cross = data, self._design.cross_products(data)
        return self._cross

    @property
    def _units(self):
        """The way between the order and units of a fit and those of the user."""
        data, products = self._sufficient_statistics()
        return Units(data, products.plan)

    def _deviance(self, theta, reml):
        """The criterion at some theta, in standardized units."""
        _, products = self._sufficient_statistics()
        return profiled_deviance(products, self._units.factors_at(theta), reml)

    def _derivatives(self, theta, reml, exact):
        """Gradient and Hessian of the criterion in theta."""
        deviance = self._deviance(theta, reml)
        found = deviance.derivatives(exact)
        jacobian = self._units.theta_jacobian(deviance.factors)
        return jacobian.T @ found.gradient, jacobian.T @ found.curvature @ jacobian

    def __getstate__(self):
        """Pickle and copy without what can be formed again."""
        return {**self.__dict__, "_cross": None, "_design": SharedDesign()}


def _unknown_arguments(names):
    """The error for arguments that do not exist, with what R's users mean by some."""
    hints = {
        "REML": "write fit(reml=False)",
        "reml": "write fit(reml=False)",
        "contrasts": "write C(f, Sum) in the formula",
        "na_action": "write missing='drop' or 'raise'",
        "control": "there is one method; fit takes maxiter",
    }
    said = [f"; {hints[name]}" for name in sorted(names) if name in hints]
    return TypeError(f"unknown argument {', '.join(sorted(names))}{''.join(said[:1])}")


def _are_built(random):
    """Whether these are random effects of a model."""
    return isinstance(random, tuple) and all(
        isinstance(r, RandomEffects) for r in random
    )


def _checked_structures(structures):
    """The structures of the user, refused if they are something else."""
    structures = dict(structures or {})
    for name, structure in structures.items():
        if not isinstance(structure, Structure):
            raise TypeError(
                f"structures={{{name!r}: ...}} must be an object of a subclass of "
                f"statsmodels_lmm.Structure, not {structure!r}"
            )
        reserved = {*STRUCTURES, *TRANSFORMS, "factor", "offset"}
        if not str(name).isidentifier() or name in reserved:
            raise ValueError(f"{name!r} cannot be the name of a structure of your own")
    return structures
