"""The ways of making a model from a formula and from matrices."""

from collections.abc import Mapping
from typing import Any, Self

from statsmodels_lmm.batches.opening import is_lazy
from statsmodels_lmm.batches.sources import BATCH_SIZE
from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.quoting import quotes_told
from statsmodels_lmm.models.from_batches import sums_of_rows
from statsmodels_lmm.models.from_formula import read_formula, with_group_terms
from statsmodels_lmm.models.validation import unknown_arguments
from statsmodels_lmm.random.random_effects import are_built
from statsmodels_lmm.random.terms import as_terms, function_term


class Constructors:
    """
    Class methods of every mixed model that make one.

    Attributes
    ----------
    _sums_rows, _own_arguments, _sides, _require_errors, _number_rows, _family_of
        See `MixedModel`.
    """

    _sums_rows: bool
    _own_arguments: tuple
    _sides: tuple
    _require_errors: Any
    _number_rows: Any
    _family_of: Any
    from_sums: Any

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
        if are_built(kwargs.get("random")):
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
        arguments: dict[str, Any] = {
            "endog": endog,
            "exog": exog,
            "random": [term, *further],
            "relationship": related or None,
        }
        return cls(**arguments, **kwargs)
