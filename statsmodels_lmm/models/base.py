"""The parts of every mixed model: data, weights, offset and random effects."""

from collections.abc import Mapping
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModel

from statsmodels_lmm.batches.sources import BATCH_SIZE, is_lazy
from statsmodels_lmm.core.engines.shared_design import SharedDesign
from statsmodels_lmm.core.rows.estimability import estimability
from statsmodels_lmm.core.rows.standardize import constant_column
from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.display import Brief, groups_of
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.backend import FormulaData
from statsmodels_lmm.formula.pieces import has_bar
from statsmodels_lmm.formula.quoting import quotes_told
from statsmodels_lmm.inference.prediction.prediction_rows import determined_means
from statsmodels_lmm.inference.requirements import require_data
from statsmodels_lmm.inputs.alignment import aligned, labels_of
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.inputs.responses import as_vector
from statsmodels_lmm.keywords import R_FUNCTIONS
from statsmodels_lmm.models.arrays import complete_rows
from statsmodels_lmm.models.from_batches import sums_of_rows
from statsmodels_lmm.models.from_formula import read_formula, with_group_terms
from statsmodels_lmm.models.from_sums import reduced_model
from statsmodels_lmm.models.updating import update
from statsmodels_lmm.models.validation import (
    CONFOUNDED,
    check_arguments,
    check_data,
    check_errors,
    unknown_arguments,
)
from statsmodels_lmm.random.known_levels import known_levels
from statsmodels_lmm.random.random_effects import RandomEffects
from statsmodels_lmm.random.terms import as_terms, function_term
from statsmodels_lmm.random.variance_components import group_term
from statsmodels_lmm.regularized.columns import penalized_columns, row_numbers
from statsmodels_lmm.residual.covariance import following_fitted
from statsmodels_lmm.residual.from_arrays import array_errors
from statsmodels_lmm.scan import predictors


class MixedModel(Brief, LikelihoodModel):
    """
    Response, fixed design and random effects of a mixed model.

    Data enter every mixed model in the same ways: as arrays, by a formula or as
    matrices. Each model defines what is fitted to them, and how.

    Parameters
    ----------
    endog, exog, random, weights, offset, missing, check_levels, rank
        See `CrossedMixedLM`.
    relationship, relationship_inverse, groups, exog_re, exog_vc
        See `CrossedMixedLM`.
    **kwargs
        Used by `from_formula`, and by statsmodels to clone a model.

    Attributes
    ----------
    random : tuple of RandomEffects
        The random effects, one for each grouping factor.
    weights, offset : ndarray or None
        Prior weights and known part of the linear predictor.
    formula_full : str or None
        The formula as written; `formula` is its fixed part.
    formula_offset : ndarray or None
        The part of `offset` given in the formula.
    structures : dict
        The user's covariance structures, by their names in the formula.
    n_dropped : int
        Number of incomplete rows left out.
    """

    family: Any = None
    """Conditional distribution of a generalized model."""

    summed: Any = None
    """The SummedRows of a model whose rows were summed in batches."""

    _sums_rows = False
    """Whether rows that are read only when needed are summed and not kept."""

    _has_response = True
    """Whether there is a response; False for a formula that has none."""

    _has_other_response = False
    """Whether `with_response` replaced the response that the data hold."""

    _own_arguments: tuple = ()
    """Arguments from `from_formula` for the constructor of this model alone."""

    _sides: tuple = ("weights", "offset")
    """Arguments with a value for each row, which become attributes."""

    _hidden = frozenset(
        "argument_offset as_given check_levels formula_offset initialize k_constant "
        "grouping layout needs null_fit rank redundant_columns relative_covariances "
        "without_random".split()
    )

    @property
    def _general_class(self):
        """The class of a model that differs from this one in its terms."""
        return type(self)

    def __init__(
        self,
        endog: Any,
        exog: Any,
        random: Any = None,
        weights: Any = None,
        offset: Any = None,
        missing: str = "none",
        check_levels: bool = True,
        rank: str = "drop",
        relationship: Mapping[str, Any] | None = None,
        relationship_inverse: Mapping[str, Any] | None = None,
        groups: Any = None,
        exog_re: Any = None,
        exog_vc: Any = None,
        residual: Any = None,
        dispersion: Any = None,
        power_of_fitted: bool = False,
        penalized: Any = None,
        **kwargs: Any,
    ) -> None:
        source = kwargs.pop("source", None)
        if penalized is not None:
            self._number_rows(penalized, kwargs)
            penalized = penalized_columns(penalized)
        if residual is not None or dispersion is not None or power_of_fitted:
            self._require_errors()
            random = () if random is None and groups is None else random
        of_clone = "eval_env" in kwargs or has_bar(kwargs.get("formula"))
        if _are_built(random) and of_clone:
            kwargs.pop("formula")
            kwargs.pop("eval_env", None)
        further = {name: kwargs.pop(name, None) for name in self._sides[2:]}
        check_arguments(kwargs, missing, rank)
        kwargs.pop("missing_idx", None)
        if random is None and groups is not None:
            random = [group_term(groups, exog_re, exog_vc)]
        if isinstance(endog, str) or random is None:
            raise TypeError("give endog, exog and random, or use from_formula")
        sides, rows = {"weights": weights, "offset": offset, **further}, None
        errors = None if source is None else source.errors
        if source is None:  # the design of a formula is complete and in order
            known = partial(known_levels, relationship, relationship_inverse)
            errors = array_errors(residual, dispersion)
            endog, exog, random, sides, rows, errors = complete_rows(
                endog, exog, random, sides, missing, known, errors
            )
        endog, sides = self._response(endog, sides)
        y, x = (getattr(values, "values", values) for values in (endog, exog))
        confounded, is_linear = self._confounded(sides), self.family is None
        self.penalized = penalized
        may_be_wide = is_linear and source is None
        if source is not None:
            self._has_response = bool(source.parsed.response)
        self.residual = errors
        if power_of_fitted:
            self.residual = following_fitted(errors, len(y))
        alone = self.residual is not None
        constant = not is_linear or not self._has_response
        check_data(
            y,
            x,
            random,
            sides,
            check_levels,
            confounded,
            constant,
            alone,
            may_be_wide,
        )
        if check_levels:
            check_errors(self.residual, random, sides["weights"])
        if not x.shape[1] or (x.shape[1] >= len(x) and constant_column(x) is None):
            kwargs["hasconst"] = False  # which would be looked for among all columns
        if source is not None:
            kwargs |= {"formula": source.parsed.fixed_formula, "source": source}
            kwargs["model_spec"] = source.spec
        super().__init__(endog, exog, **kwargs)
        # pandas returns read-only views
        self.endog = self.data.endog = np.require(self.data.endog, float, "W")
        self.exog = self.data.exog = np.require(self.data.exog, float, "W")
        self._set_up(random, sides, check_levels, rank, source)
        if rows is not None:
            self.n_dropped = int((~rows).sum())

    def _set_up(self, random, sides, check_levels, rank, source):
        """Set what does not depend on where the rows are."""
        self.random = random
        for name, values in sides.items():
            setattr(self, name, values)
        self.check_levels, self.rank = check_levels, rank
        self.n_dropped = 0
        self.structures: dict = {}
        self.formula_offset = None
        self.formula_full = self._parsed = None
        if source is not None:
            self._take_formula(source)
        self._init_keys = ["random", *self._sides, "check_levels", "rank", "residual"]
        self._data_attr.extend([*self._sides, "formula_offset"])
        if self.penalized is not None:
            self._init_keys.append("penalized")
            self._data_attr.append("penalized")
        self._forget()
        self._last_theta = None

    scan_predictors = predictors.scan_predictors

    def __getattr__(self, name):
        results = getattr(type(self), "_results_classes", (None,))[0]
        of_fit = name in {"params", *R_FUNCTIONS} or hasattr(results, name)
        if of_fit and not name.startswith("_"):
            raise AttributeError(
                f"a model has no {name}; its fit has: write `model.fit()`"
            )
        return super().__getattribute__(name)  # raises the error

    def _brief(self):
        lines = [self.formula_full or "a model from arrays"]
        groups = f"; groups: {groups_of(self.random)}" if self.random else ""
        lines.append(f"{self.nobs:,} rows{groups}")
        if self.penalized is not None:
            lines.append(f"penalized: {len(self.penalized.names):,} columns")
        if self.residual is not None:
            lines.append(f"errors: {self.residual}")
        if self.family is not None:
            lines.append(f"{self.family.name} family, {self.family.link_name} link")
        return lines

    @classmethod
    def _require_errors(cls):
        """Raise a TypeError if errors can be neither correlated nor unequal."""

    @classmethod
    def _require_penalized(cls):
        """Raise a TypeError if there can be no penalized columns."""

    @classmethod
    def _number_rows(cls, penalized, sides):
        """Add the rows of penalized columns to the values of the rows, if need be."""
        cls._require_penalized()
        if sides.get("penalized_rows") is None:
            sides["penalized_rows"] = row_numbers(penalized)

    def _response(self, endog, sides):
        """The response and the values of the rows, of complete rows."""
        return endog, sides

    @classmethod
    def _family_of(cls, own):
        """The family named by this model's own arguments."""
        return None

    def _handle_data(self, endog, exog, *args, source=None, **kwargs):
        """As inherited, but a formula's data can be pickled and evaluated anywhere."""
        if source is None:
            return super()._handle_data(endog, exog, *args, **kwargs)
        arrays = endog.to_numpy(), exog.to_numpy()
        data = super()._handle_data(*arrays, *args, **kwargs)
        data.orig_endog, data.orig_exog, data.frame = endog, exog, source.frame
        return FormulaData.adopt(
            data, source.scope, source.engine, source.column_specs, source.groupings
        )

    def _take_formula(self, source):
        """Record the formula and how it evaluated the data."""
        self.formula, self.formula_full = source.fixed_text, source.text
        self._parsed, self.structures = source.parsed, source.structures
        self.formula_offset, self.n_dropped = source.offset, source.n_dropped

    def _forget(self):
        """Discard standardized data, which are formed when needed."""
        self._design = SharedDesign()

    def _confounded(self, sides):
        """
        What a factor with as many levels as there are rows is confounded with.

        Parameters
        ----------
        sides : dict
            Weights, offset and the like: one value per row or None, by name.

        Returns
        -------
        reason : str
            Why there must be fewer levels than rows; "" if there need not.
        of_effects : bool
            Whether there must be fewer random effects than rows, too.
        """
        return "" if sides["weights"] is not None else CONFOUNDED, True

    @property
    def _offset(self):
        """Known part of the linear predictor; None if zero."""
        return self.offset

    @property
    def _frequencies(self):
        """How much each row counts in an average over the data, shape (n,)."""
        return np.ones(len(self.endog)) if self.weights is None else self.weights

    def _get_init_kwds(self):
        """Arguments, besides endog and exog, for a clone or a model of other data."""
        kwds = super()._get_init_kwds()
        if getattr(self, "_parsed", None) is not None:
            kwds["formula"] = self.formula_full
            kwds["eval_env"] = self.data.scope
        return kwds

    def _beyond_design(self, rows=slice(None)):
        """Arguments of a model of some rows, but for its response, X and effects."""
        sides = {name: getattr(self, name) for name in self._sides}
        own = {name: getattr(self, name) for name in self._general_class._own_arguments}
        return {n: None if v is None else v[rows] for n, v in sides.items()} | own

    def initialize(self):
        """Set the counts that statsmodels reads."""
        self.nobs = len(self.endog) if self.summed is None else self.summed.sums.nobs
        self.df_model = self.exog.shape[1] - self.k_constant
        self.df_resid = self.nobs - self.exog.shape[1]

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        subset: Any = None,
        contrasts: Mapping[str, Any] | None = None,
        weights: Any = None,
        offset: Any = None,
        missing: str = "drop",
        check_levels: bool = True,
        rank: str = "drop",
        relationship: Mapping[str, Any] | None = None,
        relationship_inverse: Mapping[str, Any] | None = None,
        structures: Mapping[str, Structure] | None = None,
        groups: Any = None,
        re_formula: str | None = None,
        vc_formula: Any = None,
        eval_env: Any = None,
        residual: Any = None,
        dispersion: str | None = None,
        power_of_fitted: bool = False,
        penalized: Any = None,
        **kwargs: Any,
    ) -> Self:
        """
        Create a model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            Formula in lme4's language, such as ``"y ~ x + (x | g) + (1 | h)"``.
            Its names are columns or Python names of the caller.
        data : DataFrame or source of rows
            The data: pandas, polars, pyarrow, mappings of columns, or records, and
            whatever else narwhals reads. The rows of a linear model may also come in
            batches, which are summed and not kept: paths of Parquet files, datasets and
            readers of pyarrow, lazy frames of polars, relations of DuckDB, frames of
            Dask, and functions that return a new iterator of tables, see
            `CrossedMixedLM.from_batches`. Collect such data first if you need results
            row by row. Only the columns used are read.
        subset : str or array_like, optional
            Rows to use: a condition such as ``"x > 2 and f != 'a'"``, labels, or
            booleans for each row. A condition is evaluated like the formula; as in R,
            a row in which a missing value leaves it open is not used.
        contrasts : dict, optional
            Codings of factors among the fixed effects, as in R: ``{"f": "sum"}`` for
            ``C(f, Sum)``; "treatment", "helmert", "poly" and "sdif", or an array with a
            row for each level and a column for each contrast.
        weights : str or array_like, optional
            Prior weights, or the column that holds them. A Series is aligned by its
            labels. A row without a weight counts as incomplete in a column, but is an
            error in an array.
        offset : str or array_like, optional
            Known part of the linear predictor, or the column that holds it. It is
            added to ``offset(...)`` in the formula.
        missing : {"drop", "raise"}, optional
            What to do with incomplete rows.
        check_levels : bool, optional
            Whether to reject, as lme4 does, a grouping factor with as many levels as
            rows and a term with as many random effects as rows.
        rank : {"drop", "raise"}, optional
            What to do with redundant columns of the fixed effects: leave them out,
            with a warning and NaN coefficients, or raise a DataError.
        relationship, relationship_inverse : dict, optional
            Known covariance matrices of the levels of grouping factors, or their
            inverses, see `CrossedMixedLM`. A factor is named as in the tables, "a:b"
            for an interaction, whose levels are "x:y".
        structures : dict, optional
            Your own covariance structures, by the names that precede a term:
            ``{"toep": Toeplitz()}`` for ``toep(0 + C(t) | g)``.
        groups, re_formula, vc_formula : optional
            The random effects in the notation of statsmodels' MixedLM, instead of or in
            addition to terms with a bar, see
            `formula.mixedlm_terms.random_terms`. Several columns of groups are crossed.
        eval_env : int or dict, optional
            Number of stack frames above the caller at which names are looked up, a
            mapping of names, or -1 for none.
        residual : str or Residual, optional
            Correlations of the errors of a linear model, such as
            ``"ar1(trial | subject)"``, see `residual.Residual`. The formula may then do
            without random effects.
        dispersion : str, optional
            One-sided formula of the logarithms of the errors' standard deviations, such
            as ``"~ sex + log(x)"``.
        power_of_fitted : bool, optional
            Whether standard deviations are also proportional to a power of the fitted
            values, as of nlme's ``varPower()``. The model is then fitted again and
            again until these no longer change; the result is not a maximum of a
            likelihood, so that likelihoods cannot be compared.
        penalized : DataFrame, array or sparse matrix, optional
            Further columns of the fixed effects of a linear model, of which there may
            be more than rows: `CrossedMixedLM.fit_regularized` chooses among them. A
            DataFrame is aligned with the rows by its labels.
        **kwargs
            Not used; unknown names raise a TypeError.

        Returns
        -------
        CrossedMixedLM

        Raises
        ------
        FormulaError
            If the formula cannot be read, with a caret under the offending place.
        DataError
            If the data cannot be used; the message names the column and rows.
        """
        # a clone passes the random effects twice, in the formula and as objects
        if _are_built(kwargs.get("random")):
            kwargs.pop("random")
        rest = {name: kwargs.pop(name) for name in cls._own_arguments if name in kwargs}
        sides = {"weights": weights, "offset": offset}
        sides |= {name: kwargs.pop(name, None) for name in cls._sides[2:]}
        if penalized is not None:
            cls._number_rows(penalized, sides)
            rest["penalized"] = penalized
        if kwargs:
            raise unknown_arguments(kwargs)
        if residual is not None or dispersion is not None or power_of_fitted:
            cls._require_errors()
        in_memory = {
            "relationship": relationship,
            "relationship_inverse": relationship_inverse,
            "groups": groups,
            "re_formula": re_formula,
            "vc_formula": vc_formula,
            "residual": residual,
            "dispersion": dispersion,
            "power_of_fitted": power_of_fitted or None,
            "penalized": penalized,
        }
        needs_rows = any(value is not None for value in in_memory.values())
        if data is None:
            raise TypeError("data is None; give a table of the formula's columns")
        if cls._sums_rows and is_lazy(data, collected=needs_rows):
            sums = sums_of_rows(
                formula,
                data,
                BATCH_SIZE,
                in_memory=in_memory,
                depth=1,
                weights=weights,
                offset=offset,
                subset=subset,
                missing=missing,
                contrasts=contrasts,
                structures=structures,
                eval_env=eval_env,
                progress=None,
            )
            return cls.from_sums(sums, check_levels=check_levels, rank=rank)
        if groups is not None:
            terms = groups, re_formula, vc_formula
            formula, data = with_group_terms(formula, data, *terms)
        elif re_formula is not None or vc_formula is not None:
            raise FormulaError("re_formula and vc_formula need groups")
        with quotes_told(formula, data):
            arguments = read_formula(
                formula,
                data,
                subset=subset,
                sides=sides,
                missing=missing,
                relationship=relationship,
                relationship_inverse=relationship_inverse,
                structures=structures,
                eval_env=eval_env,
                depth=1,
                family=cls._family_of(rest),
                contrasts=contrasts,
                residual=residual,
                dispersion=dispersion,
                alone=power_of_fitted,
            )
        options = {"check_levels": check_levels, "rank": rank, **rest}
        if power_of_fitted:
            options["power_of_fitted"] = True
        return cls(**arguments, **options)

    @classmethod
    def from_matrices(
        cls,
        endog: Any,
        exog: Any,
        z: Any,
        relative_factor: Any = None,
        start: Any = None,
        lower: Any = None,
        upper: Any = None,
        names: Any = None,
        derivative: Any = None,
        name: str = "Z",
        random: Any = (),
        **kwargs: Any,
    ) -> Self:
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
            Maps theta, an array of shape (m,), to the relative covariance factor
            :math:`\Lambda`, an array or a sparse matrix with q rows.
            Default is theta times the identity.
        start : array_like, optional
            Starting values, shape (m,), strictly inside the range.
        lower, upper : array_like, optional
            Range of theta, shape (m,). The function is called only within it.
        names : sequence of str, optional
            Names of the parameters theta.
        derivative : callable, optional
            Maps theta to the m derivatives of the factor. By default its product is
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
            If the shapes do not match.
        ValueError
            If the function is not smooth, or `derivative` is not its derivative.

        Notes
        -----
        A factor that is theta times a matrix, such as a root of a kinship matrix, is
        recognized as such and costs one eigendecomposition.

        Examples
        --------
        >>> import numpy as np
        >>> from statsmodels_lmm import CrossedMixedLM
        >>> rng = np.random.default_rng(0)
        >>> z = np.kron(np.eye(10), np.ones((6, 1)))
        >>> y = z @ rng.standard_normal(10) + rng.standard_normal(60)
        >>> def factor(theta):
        ...     return theta[0] * np.eye(10)
        >>> model = CrossedMixedLM.from_matrices(
        ...     y, np.ones((60, 1)), z, factor, start=[1.0], lower=[0.0])
        >>> model.fit().theta.round(3).tolist()
        [1.021]
        """
        further = as_terms(random)
        term, known = function_term(
            z, relative_factor, start, lower, upper, names, derivative, name
        )
        related = dict(kwargs.pop("relationship", None) or {})
        if known.keys() & related.keys():
            raise DataError(
                f"{name} has a relationship and a relative factor; give one"
            )
        related |= known
        return cls(
            endog, exog, [term, *further], relationship=related or None, **kwargs
        )

    def with_response(self, endog: Any) -> Self:
        """
        The same model for another response.

        Parameters
        ----------
        endog : array_like, Series or DataFrame of one column
            One value for each row used. A Series with the labels of these rows, and
            possibly others, is aligned with them.

        Returns
        -------
        CrossedMixedLM

        Raises
        ------
        DataError
            If the number of rows differs or values are missing.

        Notes
        -----
        The models share everything that depends on the design alone. Another response
        costs one pass over the rows and a search.
        """
        require_data(self, "another response")
        endog = aligned(as_vector(endog), self.data.row_labels, "the response")
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
        other = self._with_endog(values)
        other._has_other_response = other._has_response = True
        return other

    def fit_many(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: only a linear model is fitted to many responses at once."""
        raise NotImplementedError(
            "fit_many is for linear mixed models; fit a generalized one to each "
            "response, with `model.with_response(y).fit()`"
        )

    def _with_endog(self, values):
        """The same model for another response, in the form of `endog`."""
        old, labels = self.data.orig_endog, self.data.row_labels
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

    def update(
        self,
        formula: str = ". ~ .",
        data: Any = None,
        eval_env: Any = None,
        *,
        residual: Any = ".",
        dispersion: Any = ".",
    ) -> Self:
        """
        The same model with some of its terms changed.

        Parameters
        ----------
        formula : str, optional
            The change, as for R's ``update``: ``". ~ . + z - (1 | item)"``. A dot is
            what stands on that side of the formula, ``+`` adds a term and ``-``
            removes one; ``"log(.) ~ ."`` changes the response. In a product, as in
            ``". ~ . * z"``, the dot is all the fixed effects.
        data : DataFrame, optional
            The data of the model, for columns that its formula does not use.
        eval_env : int or dict, optional
            Where to look up names that are not columns, see `from_formula`.
        residual, dispersion : str, Residual, None or False, optional
            Other correlations and standard deviations of the errors, see
            `from_formula`; None or False for none. Default is ".", those of the model.

        Returns
        -------
        CrossedMixedLM
            With the same weights, offset, relationships and rows, so that its fit can
            be compared with that of this model; rows without a value in a new column
            are dropped.

        Raises
        ------
        FormulaError
            If a term to be removed is not in the formula.
        DataError
            If a column is needed that the model has not kept.

        Examples
        --------
        >>> from statsmodels_lmm import datasets
        >>> from statsmodels_lmm.formula.api import crossedmixedlm
        >>> data = datasets.sleepstudy.load_pandas().data
        >>> model = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data)
        >>> model.update(". ~ . - (Days | Subject) + (1 | Subject)").formula_full
        'Reaction ~ Days + (1 | Subject)'
        """
        errors = tuple(
            None if isinstance(each, str) and each == "." else each or False
            for each in (residual, dispersion)
        )
        if any(errors):
            self._require_errors()
        return update(self, formula, data, eval_env, errors, depth=1)

    @property
    def standing_rows(self):
        """
        Rows with the cross-products of those of [1, X], without prior weights.

        These rows themselves or, of rows summed in batches, p + 2 that stand for them.

        Returns
        -------
        ndarray
            Shape (m, 1 + p).
        """
        if self.summed is not None:
            return self.summed.standing_rows()
        return np.column_stack([np.ones(len(self.exog)), self.exog])

    @property
    def spanning(self):
        """X, or rows that stand for those of X, which satisfy the same relations."""
        return self.exog if self.summed is None else self.standing_rows[:, 1:]

    def reduced_to(self, columns, effects, *of_formula):
        """A model of the same sums over rows, see `from_sums.reduced_model`."""
        return reduced_model(self, columns, effects, *of_formula)

    def as_given(self, values, trials=None):
        """
        Responses in the form in which the model was given its own.

        Parameters
        ----------
        values : ndarray
            In the form of `endog`, shape (..., n).
        trials : ndarray, optional
            Numbers of trials, shape (n,). Default is those of the model.

        Returns
        -------
        ndarray
            Shape (..., n).
        """
        return values

    def redundant_columns(self, data):
        """
        Names of the fixed effects that depend linearly on the columns before them.

        Parameters
        ----------
        data : Standardized or Estimates
            An object that holds the columns kept.

        Returns
        -------
        list of str
        """
        kept = set(data.kept.tolist())
        return [name for j, name in enumerate(self.exog_names) if j not in kept]

    def _linear_predictor(self, params, exog=None, offset=None):
        """Fixed part of the linear predictor, see `CrossedMixedLM.predict`."""
        params, relations = np.asarray(params, dtype=float), None
        if exog is None:
            require_data(self, "a prediction without new data")
            exog = self.exog
            offset = self.offset if offset is None else offset
        elif self.spanning is not None:
            relations = estimability(self.spanning, np.isfinite(params))
        rows = numeric(exog, "exog")
        mean = determined_means(
            np.atleast_2d(rows), params, relations, self.exog_names
        ).reshape(rows.shape[:-1])
        return mean if offset is None else mean + numeric(offset, "offset")

    def _are_fixed(self, params):
        """Whether a starting vector has the labels of fixed effects, to be ignored."""
        labels = labels_of(params)
        return labels is not None and list(labels) == list(self.exog_names)

    residual: Any = None
    """The covariance of the errors, an ErrorCovariance; None without one."""

    penalized: Any = None
    """Columns for `CrossedMixedLM.fit_regularized`, PenalizedColumns or None."""

    penalized_rows: Any = None
    """Their row for each row of the model, numbers of shape (n,), or None."""

    def __getstate__(self):
        """Pickle and copy without what can be formed again."""
        return {**self.__dict__, "_design": SharedDesign(choice=self._design.choice)}


def _are_built(random):
    """Whether these are random effects already built by a model."""
    return isinstance(random, tuple) and all(
        isinstance(r, RandomEffects) for r in random
    )
