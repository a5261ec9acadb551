"""MixedLM's arguments and attributes over `CrossedMixedLM`."""

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
from statsmodels.base._penalties import Penalty
from statsmodels.regression.mixed_linear_model import MixedLMParams
from statsmodels.tools.numdiff import approx_fprime, approx_hess

from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance
from statsmodels_lmm.exceptions import warn
from statsmodels_lmm.formula.mixedlm_terms import group_columns, random_terms
from statsmodels_lmm.formula.pieces import has_bar
from statsmodels_lmm.inference.fixed.robust_covariance import CLUSTER_TYPES
from statsmodels_lmm.inputs.tables import to_frame
from statsmodels_lmm.keywords import refuse_r_names
from statsmodels_lmm.mixedlm.layout import FormulaGroups, layout_of_arrays
from statsmodels_lmm.mixedlm.penalized import lasso, smooth, with_fixed_effects
from statsmodels_lmm.mixedlm.results import MixedLMResults, MixedLMResultsWrapper
from statsmodels_lmm.models.distribution import Distribution
from statsmodels_lmm.models.linear import CrossedMixedLM

OPTIMIZER = ("gtol", "maxiter", "eps", "maxcor", "ftol", "tol", "disp", "maxls")
"""Arguments of MixedLM's optimizers; only `maxiter` has an effect here."""


class MixedLM(CrossedMixedLM):
    """
    Linear mixed model with the arguments and attributes of statsmodels' MixedLM.

    Scripts written for MixedLM run with this class in its place. As it is also a
    `CrossedMixedLM`, several grouping factors work too, as do terms with bars beside
    `groups`, and `params` of the results holds the fixed effects only. MixedLM's packed
    vector is ``result.packed_params``.

    Parameters
    ----------
    endog : array_like
        Response, shape (n,).
    exog : array_like
        Design of the fixed effects, shape (n, p).
    groups : array_like
        Group of each row, shape (n,).
    exog_re : array_like, optional
        Correlated random effects, shape (n, k). Default is an intercept if there are
        no variance components.
    exog_vc : VCSpec, optional
        Design matrices of variance components, group by group.
    use_sqrt : bool, optional
        Whether packed parameters hold square roots of the covariances. The
        search does not depend on it.
    missing : {"none", "drop", "raise"}, optional
        What to do with incomplete rows.
    use_sparse : bool, optional
        Accepted, without effect.
    grouping : tuple, optional
        What a clone or a formula knows of the groups; internal.
    **kwargs
        As for `CrossedMixedLM`.

    See Also
    --------
    CrossedMixedLM : The same model in lme4's terms.
    """

    _results_classes = MixedLMResults, MixedLMResultsWrapper
    _sums_rows = False
    _own_arguments = "use_sqrt", "grouping"
    _general_class = CrossedMixedLM

    def __init__(
        self,
        endog: Any,
        exog: Any,
        groups: Any = None,
        exog_re: Any = None,
        exog_vc: Any = None,
        use_sqrt: bool = True,
        missing: str = "none",
        use_sparse: bool = False,
        grouping: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("residual") is not None or kwargs.get("dispersion") is not None:
            self._require_errors()
        from_arrays = groups is not None
        if not from_arrays and grouping is None:
            raise TypeError("MixedLM needs groups; without them, use CrossedMixedLM")
        if from_arrays:
            named = {"groups": groups, "exog_re": exog_re, "exog_vc": exog_vc}
            # MixedLM did not require more rows than random effects
            kwargs.setdefault("check_levels", False)
            kwargs |= named
        exog = np.asarray(exog)[:, None] if np.ndim(exog) == 1 else exog
        super().__init__(endog, exog, missing=missing, **kwargs)
        self.use_sqrt, self.reml = bool(use_sqrt), True
        self._init_keys += ["use_sqrt", "grouping"]
        if from_arrays:
            has_effects = exog_re is not None or exog_vc is None
            names = sorted(getattr(exog_vc, "names", exog_vc or ()))
            layout = layout_of_arrays(self, list(map(str, names)), has_effects)
            (effects,) = self.random
            grouping = layout, effects.grouped.codes, effects.levels
        elif isinstance(grouping, FormulaGroups):
            grouping = grouping.of(self)
        self._set_layout(*grouping)

    @classmethod
    def _require_errors(cls):
        raise TypeError(
            "MixedLM's vector of parameters has no place for those of errors: use "
            "`CrossedMixedLM(endog, exog, groups=groups, residual=...)`, or "
            "`mixedlm(formula, data, groups=..., residual=...)`, which creates one"
        )

    @classmethod
    def _require_penalized(cls):
        raise TypeError(
            "penalized= is for CrossedMixedLM(endog, exog, groups=groups, "
            "penalized=...), whose fit_regularized() chooses among many columns"
        )

    def _set_layout(self, layout, codes, labels):
        """Set the layout of MixedLM's parameters, and name them and the groups."""
        self.layout, self.grouping = layout, (layout, codes, labels)
        self._group_codes, self.group_labels = codes, list(labels)
        self.group_sizes = np.bincount(codes, minlength=len(self.group_labels))
        self._data_attr.append("_group_codes")
        self.data.exog_re_names = layout.effect_names(self)
        self.data.exog_re_names_full = layout.covariance_names(self)
        self.data.vcomp_names = list(layout.components)

    @classmethod
    def from_formula(  # type: ignore[override]
        cls,
        formula: str,
        data: Any,
        re_formula: str | None = None,
        vc_formula: Any = None,
        subset: Any = None,
        use_sparse: bool = False,
        missing: str = "none",
        *args: Any,
        groups: Any = None,
        use_sqrt: bool = True,
        eval_env: Any = None,
        **kwargs: Any,
    ) -> Self:
        """
        Create a model from a formula and a data frame.

        Without `groups`, a formula with bars is that of a `CrossedMixedLM`, and so is
        any formula with ``residual`` or ``dispersion``.

        Parameters
        ----------
        formula : str
            The fixed part; terms with a bar may be added.
        data : DataFrame
            The data.
        re_formula : str, optional
            Correlated random effects. Default is an intercept if there is no
            `vc_formula`.
        vc_formula : dict, optional
            Formula of each variance component, by name.
        subset : array_like, optional
            Rows to use. MixedLM ignores it.
        use_sparse : bool, optional
            Accepted, without effect.
        missing : {"none", "drop", "raise"}, optional
            What to do with incomplete rows; "none" raises if there are any.
        groups : str, sequence of str, DataFrame or array_like
            The grouping factor, or several crossed factors.
        use_sqrt : bool, optional
            As for the class.
        eval_env : int or dict, optional
            Where to look up names; see `CrossedMixedLM.from_formula`.
        *args, **kwargs
            As for `CrossedMixedLM.from_formula`.

        Returns
        -------
        MixedLM or CrossedMixedLM
        """
        if args:
            raise TypeError("pass the arguments after missing by keyword")
        grouping = kwargs.pop("grouping", None)
        if not isinstance(eval_env, dict) and eval_env != -1:
            eval_env = 1 + (eval_env or 0)
        kwargs |= {
            "subset": subset,
            "missing": "drop" if missing == "drop" else "raise",
            "eval_env": eval_env,
        }
        has_errors = any(kwargs.get(n) is not None for n in ("residual", "dispersion"))
        if has_errors:
            if groups is not None:
                kwargs = {"check_levels": False} | kwargs
            terms = {"groups": groups, "re_formula": re_formula}
            return CrossedMixedLM.from_formula(
                formula, data, vc_formula=vc_formula, **terms, **kwargs
            )
        if groups is None and grouping is None:
            if not has_bar(formula):
                raise AttributeError(
                    "'groups' is a required keyword argument in MixedLM.from_formula"
                )
            own = {"re_formula": re_formula, "vc_formula": vc_formula}
            return CrossedMixedLM.from_formula(formula, data, **own, **kwargs)
        data = to_frame(data)
        if groups is not None:
            name = groups if isinstance(groups, str) else "Group"
            if isinstance(groups, pd.Series):  # which MixedLM calls Group
                groups = groups.rename(None)
            data, columns = group_columns(data, groups)
            terms = random_terms(columns, re_formula, vc_formula, data)
            formula = " + ".join([formula, *(t.text for t in terms)])
            name = columns[0] if len(columns) > 1 else name
            grouping = FormulaGroups(name, tuple(terms), columns[0], data)
        kwargs.setdefault("check_levels", False)
        kwargs |= {"use_sqrt": use_sqrt, "grouping": grouping}
        return super().from_formula(formula, data, **kwargs)

    # counts and rows --------------------------------------------------------

    @property
    def k_fe(self):
        """Number of fixed effects."""
        return self.exog.shape[1]

    @property
    def k_re(self):
        """Number of correlated random effects."""
        return len(self.data.exog_re_names)

    @property
    def k_re2(self):
        """Number of variances and covariances of the correlated effects."""
        return self.k_re * (self.k_re + 1) // 2

    @property
    def k_vc(self):
        """Number of variance components."""
        return len(self.data.vcomp_names)

    @property
    def n_totobs(self):
        """Number of rows."""
        return len(self.endog)

    @property
    def n_groups(self):
        """Number of groups."""
        return len(self.group_labels)

    @property
    def row_indices(self):
        """Rows of each group, as a dict by label."""
        order = np.argsort(self._group_codes, kind="stable")
        ends = np.searchsorted(self._group_codes[order], np.arange(self.n_groups + 1))
        return {
            label: order[a:b].tolist()
            for label, a, b in zip(self.group_labels, ends[:-1], ends[1:])
        }

    def group_list(self, array: Any) -> list | None:
        """The rows of an array group by group, as a list; None for None."""
        if array is None:
            return None
        array = np.asarray(array)
        return [array[rows] for rows in self.row_indices.values()]

    @property
    def exog_re(self):
        """Columns of the correlated random effects, shape (n, k_re)."""
        if self.layout.effects is None:
            return np.zeros((self.n_totobs, 0))
        factor, _ = self.layout.effects
        return self.random[factor].grouped.effects[:, self.layout.columns(self)]

    @property
    def endog_li(self):
        """The response group by group, as a list."""
        return self.group_list(self.endog)

    @property
    def exog_li(self):
        """The design of the fixed effects group by group, as a list."""
        return self.group_list(self.exog)

    @property
    def exog_re_li(self):
        """The columns of the random effects group by group, as a list."""
        return self.group_list(self.exog_re)

    def get_fe_params(
        self, cov_re: Any, vcomp: Any, tol: float = 1e-10
    ) -> tuple[np.ndarray, bool]:
        """
        Fixed effects at given variances.

        Parameters
        ----------
        cov_re : array_like
            Covariance matrix of the correlated effects relative to the residual
            variance.
        vcomp : array_like
            Variance components relative to the residual variance.
        tol : float, optional
            Accepted, without effect; MixedLM returns 0.0 for smaller variances.

        Returns
        -------
        params : ndarray
            Shape (k_fe,).
        singular : bool
            Always False.
        """
        deviance = self._deviance(self._theta_of(cov_re, vcomp), False)
        return self._units.beta(deviance.coefficients), False

    def get_scale(self, fe_params: Any, cov_re: Any, vcomp: Any) -> float:
        """
        Residual variance at given parameters, by REML or ML as in the last fit.

        Parameters
        ----------
        fe_params : array_like
            Fixed effects.
        cov_re, vcomp : array_like
            As for `get_fe_params`.

        Returns
        -------
        float
        """
        deviance = self._deviance(self._theta_of(cov_re, vcomp), self.reml)
        away = self._away(deviance, fe_params)
        scale = float(deviance.scale) + float(away @ away) / deviance.nu
        return float(self._units.scale(scale))

    def _theta_of(self, cov_re, vcomp):
        cov_re = np.asarray(cov_re, dtype=float).reshape(self.k_re, self.k_re)
        parameters = MixedLMParams.from_components(
            cov_re=cov_re, vcomp=np.atleast_1d(vcomp)
        )
        return self.layout.theta(self, parameters)

    def _away(self, deviance, fe_params):
        """R'(beta - estimate) in standardized units, X'V^-1 X = R R'."""
        coefficients = self._units.coefficients(fe_params)
        return deviance.fixed_root.T @ (coefficients - deviance.coefficients)

    # fit --------------------------------------------------------------------

    @refuse_r_names("REML", "control", "ddf")
    def fit(  # type: ignore[override]
        self,
        start_params: Any = None,
        reml: bool = True,
        niter_sa: int = 0,
        do_cg: bool = True,
        fe_pen: Any = None,
        cov_pen: Any = None,
        free: Any = None,
        full_output: bool = False,
        method: str | None = None,
        *,
        df_method: str | None = None,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        **fit_kwargs: Any,
    ) -> MixedLMResultsWrapper:
        """
        Estimate the model.

        Whichever method is named, the search is that of `CrossedMixedLM.fit`.

        Parameters
        ----------
        start_params : MixedLMParams or array_like, optional
            Starting values: MixedLM's parameters, packed with or without the fixed
            effects.
        reml : bool, optional
            Whether to maximize the restricted likelihood.
        niter_sa : int, optional
            Ignored, as in MixedLM.
        do_cg : bool, optional
            Whether to search; if False, the results are those at `start_params`.
        fe_pen, cov_pen : None
            Penalties are not supported.
        free : MixedLMParams, optional
            Mask of the free parameters. With an identity matrix as ``cov_re`` the
            random effects are independent; other masks are not supported.
        full_output : bool, optional
            Whether to keep the iterates of the search in ``hist`` of the results.
        method : str or list of str, optional
            Name of an optimizer; accepted, without effect.
        df_method : str, optional
            Degrees of freedom of the fixed effects, see
            `CrossedMixedLMResults.with_df_method`.
        cov_type, cov_kwds : optional
            As for `CrossedMixedLM.fit`. As in MixedLM, an unknown `cov_type` has no
            effect but a warning.
        **fit_kwargs
            ``maxiter`` is the largest number of evaluations. Other arguments of
            optimizers have no effect; unknown arguments give a warning.

        Returns
        -------
        MixedLMResults
        """
        if fe_pen is not None or cov_pen is not None:
            raise ValueError("penalties (fe_pen, cov_pen) are not supported")
        unknown = set(fit_kwargs) - set(OPTIMIZER)
        if cov_type not in ("nonrobust", *CLUSTER_TYPES):
            unknown, cov_type = unknown | {"cov_type"}, "nonrobust"
        if unknown:
            ending = "s" if len(unknown) > 1 else ""
            warn(
                f"Argument{ending} {', '.join(sorted(unknown))} not used by "
                "MixedLM.fit",
                FutureWarning,
            )
        for name in [method] if isinstance(method, str) else method or []:
            if name.lower() in ("newton", "ncg"):
                raise ValueError(f"method {name} not available for MixedLM")
        model = self if free is None else self._independent(free)
        options: dict[str, Any] = {"maxiter": int(fit_kwargs.get("maxiter") or 200)}
        options |= {"df_method": df_method, "cov_type": cov_type, "cov_kwds": cov_kwds}
        if start_params is not None and not self._are_fixed(start_params):
            start = self.layout.read(self, start_params, self.use_sqrt)
            options["start_params"] = model.layout.theta(model, start)
        if not do_cg:
            options["maxiter"] = 1
        model.reml = bool(reml)
        results = CrossedMixedLM.fit(model, reml=reml, **options)
        results._results.hist = (
            [{"trace": results.optimum.trace}] if full_output else None
        )
        results._results.freepat = free
        self._last_theta = model._last_theta
        return results

    def _are_fixed(self, params):
        """Whether a starting vector holds only fixed effects, to be ignored."""
        if super()._are_fixed(params):
            return True
        if isinstance(params, MixedLMParams) or len(params) != self.k_fe:
            return False
        n_variances = self.k_re2 + self.k_vc
        return len(params) not in (n_variances, n_variances + self.k_fe)

    def _independent(self, free):
        """The model with independent random effects, if a mask asks for them."""
        pattern = np.asarray(free.cov_re).reshape(self.k_re, self.k_re) != 0
        components = np.all(np.asarray(free.vcomp) != 0)
        if components and pattern.all():
            return self
        identity = np.array_equal(pattern, np.eye(self.k_re, dtype=bool))
        if not (identity and components):
            raise ValueError(
                "free supports only independent random effects, with an identity "
                "matrix as cov_re; to hold a variance at a value, use "
                "result.profile() or profile_re()"
            )
        other = copy(self)
        factor, block = self.layout.effects
        effects = self.random[factor]
        grouped = effects.grouped
        size = grouped.blocks[block]
        blocks = (*grouped.blocks[:block], *[1] * size, *grouped.blocks[block + 1 :])
        structures = (
            *grouped.structures[:block],
            *[UnstructuredCovariance(1)] * size,
            *grouped.structures[block + 1 :],
        )
        grouped = replace(grouped, blocks=blocks, structures=structures)
        random = list(self.random)
        random[factor] = replace(effects, grouped=grouped)
        other.random = tuple(random)
        other.layout = self.layout.with_independent(size)
        return other

    def fit_regularized(  # type: ignore[override]
        self,
        start_params: Any = None,
        method: str = "l1",
        alpha: Any = 0,
        ceps: float = 1e-4,
        ptol: float = 1e-6,
        maxit: int = 200,
        **fit_kwargs: Any,
    ) -> Any:
        """
        Estimate the fixed effects with a penalty.

        The covariance of the response is held at that of the fit without a penalty.

        Parameters
        ----------
        start_params : optional
            As for `fit`.
        method : {"l1"} or Penalty, optional
            The lasso, or a smooth penalty of statsmodels.
        alpha : float or array_like, optional
            Weights of the penalty.
        ceps : float, optional
            Coefficients that become smaller than this are set to zero.
        ptol : float, optional
            Change of the coefficients at which to stop.
        maxit : int, optional
            Largest number of cycles.
        **fit_kwargs
            As for `fit`.

        Returns
        -------
        MixedLMResults
            Standard errors are those of the nonzero coefficients, as if these had
            been chosen beforehand.
        """
        unpenalized = self.fit(start_params, **fit_kwargs)._results
        kept = np.isfinite(unpenalized.params)
        covariance = unpenalized.normalized_cov_params[np.ix_(kept, kept)]
        precision = np.linalg.inv(covariance) / unpenalized.scale
        estimate = np.asarray(unpenalized.params)[kept]
        if isinstance(method, Penalty):
            method.alpha = alpha
            beta = smooth(estimate, precision, method)
        elif method == "l1":
            weights = np.broadcast_to(np.asarray(alpha, dtype=float), self.k_fe)[kept]
            beta = lasso(estimate, precision, weights, ceps, ptol, maxit)
        else:
            raise ValueError("Invalid regularization method")
        whole = np.array(unpenalized.params)
        whole[kept] = beta
        deviance = with_fixed_effects(unpenalized, whole)
        results = MixedLMResults(
            self,
            unpenalized._units,
            deviance,
            unpenalized.optimum,
            unpenalized.uninformative,
        )
        results.params[kept] = beta  # zeros do not survive a change of units
        chosen = np.flatnonzero(kept)[np.abs(beta) > ceps]
        among = np.abs(beta) > ceps
        part = np.linalg.inv(precision[np.ix_(among, among)] * unpenalized.scale)
        results.normalized_cov_params = np.full((self.k_fe,) * 2, np.nan)
        results.normalized_cov_params[np.ix_(chosen, chosen)] = part
        return MixedLMResultsWrapper(results)

    # likelihood and prediction ----------------------------------------------

    def loglike(  # type: ignore[override]
        self, params: Any, profile_fe: bool = True, reml: bool | None = None
    ) -> float:
        """
        Log-likelihood with the residual variance profiled out.

        Parameters
        ----------
        params : MixedLMParams or array_like
            MixedLM's parameters, with variances relative to the residual variance; a
            vector is packed according to `use_sqrt`.
        profile_fe : bool, optional
            Whether to profile out the fixed effects; if False, those of `params` are
            used.
        reml : bool, optional
            Whether to return the restricted log-likelihood. Default is as in the last
            fit.

        Returns
        -------
        float
        """
        reml = self.reml if reml is None else reml
        parameters = self.layout.read(self, params, self.use_sqrt)
        theta = self.layout.theta(self, parameters)
        value = super().loglike(theta, reml)
        if profile_fe:
            return value
        deviance = self._deviance(theta, reml)
        away = self._away(deviance, parameters.fe_params)
        nu = deviance.nu
        return value - 0.5 * nu * np.log1p(float(away @ away) / (nu * deviance.scale))

    def score(self, params: Any, profile_fe: bool = True) -> np.ndarray:  # type: ignore[override]
        """
        Gradient of `loglike` with respect to the packed parameters, by differences.

        Parameters
        ----------
        params : MixedLMParams or array_like
            Parameters at which to evaluate it.
        profile_fe : bool, optional
            Whether to profile out the fixed effects.

        Returns
        -------
        ndarray
            The derivatives with respect to the fixed effects, unless these are profiled
            out, and to the variance parameters as packed according to `use_sqrt`.
        """
        parameters = self.layout.read(self, params, self.use_sqrt)
        packed = parameters.get_packed(self.use_sqrt, has_fe=not profile_fe)
        slope = approx_fprime(
            packed, lambda x: self.loglike(x, profile_fe), centered=True
        )
        return np.ravel(slope)

    def hessian(self, params: Any, profile_fe: bool = False) -> np.ndarray:  # type: ignore[override]
        """
        Hessian of `loglike` with respect to the packed parameters, by differences.

        Parameters
        ----------
        params : MixedLMParams or array_like
            Parameters at which to evaluate it.
        profile_fe : bool, optional
            Whether to profile out the fixed effects.

        Returns
        -------
        ndarray
            With respect to the covariances, not their square roots. MixedLM returns a
            pair: this matrix, and whether it is singular.
        """
        parameters = self.layout.read(self, params, self.use_sqrt)
        packed = parameters.get_packed(use_sqrt=False, has_fe=not profile_fe)

        def value(x):
            moved = self.layout.read(self, x, use_sqrt=False)
            return self.loglike(moved, profile_fe)

        return approx_hess(packed, value)

    def information(self, params: Any, profile_fe: bool = False) -> np.ndarray:
        """
        The negative of the `hessian`.

        Parameters
        ----------
        params : MixedLMParams or array_like
            Parameters at which to evaluate it.
        profile_fe : bool, optional
            Whether to profile out the fixed effects.

        Returns
        -------
        ndarray
        """
        return -self.hessian(params, profile_fe)

    def predict(
        self, params: Any, exog: Any = None, *args: Any, **kwargs: Any
    ) -> np.ndarray:
        """
        Fixed part of the linear predictor.

        Parameters
        ----------
        params : MixedLMParams or array_like
            Parameters; a vector may be packed. Only the fixed effects are used.
        exog : array_like, optional
            Design; default is that of the model.
        *args, **kwargs
            As for `CrossedMixedLM.predict`.

        Returns
        -------
        ndarray
        """
        if isinstance(params, MixedLMParams):
            params = params.fe_params
        return super().predict(np.asarray(params)[: self.k_fe], exog, *args, **kwargs)

    def get_distribution(self, params: Any, scale: float, exog: Any = None) -> Any:
        """
        The distribution of the response at given parameters.

        Parameters
        ----------
        params : array_like
            MixedLM's packed parameters, with covariances rather than their square
            roots; or the fixed effects only, with the variances of the last fit.
        scale : float
            Residual variance.
        exog : array_like, optional
            Design of the fixed effects; default is that of the model.

        Returns
        -------
        object
            Its method ``rvs(n, rng=None)`` returns one response; n is ignored.
        """
        if self._are_fixed(params):
            return super().get_distribution(params, scale, exog)
        exog = self.exog if exog is None else np.asarray(exog)
        parameters = self.layout.read(self, params, use_sqrt=False)
        theta = self.layout.theta(self, parameters)
        return Distribution(self, exog @ parameters.fe_params, theta, float(scale))
