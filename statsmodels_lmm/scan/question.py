"""What a scan estimates and tests, checked."""

from dataclasses import dataclass
from typing import Any

from statsmodels_lmm.inference.adjustments import adjustment_of
from statsmodels_lmm.inference.fixed.degrees_of_freedom import df_method_of
from statsmodels_lmm.inference.requirements import check_choice


@dataclass(frozen=True)
class Question:
    """
    What a scan estimates and tests; arguments as for `scan_predictors`.

    Parameters
    ----------
    method : {"exact", "held"}
        Whether variances are estimated for each candidate.
    test : {"wald", "lr", "score"}
        The test.
    df_method : {"asymptotic", "residual", "satterthwaite"}
        Degrees of freedom.
    reml : bool
        Whether estimates are REML's.
    missing : {"mean", "drop"}
        What stands for missing values.
    adjust : str or None
        Adjustment of p-values.
    """

    method: str
    test: str
    df_method: str
    reml: bool
    missing: str
    adjust: str | None

    @classmethod
    def of(cls, method, test, df_method, reml, missing, adjust, has_sets):
        """
        Check the arguments of `scan_predictors`, and fill in defaults.

        Parameters
        ----------
        method, test, df_method, reml, missing, adjust
            The arguments.
        has_sets : bool
            Whether sets are tested.

        Returns
        -------
        Question

        Raises
        ------
        ValueError
            If a value is unknown, or some do not go together.
        """
        check_choice("method", method, ("exact", "held"))
        check_choice("test", test, ("wald", "lr", "score"))
        check_choice("missing", missing, ("mean", "drop"))
        adjust = adjustment_of(adjust)
        by: Any = df_method_of(df_method) or "asymptotic"
        if by == "kenward-roger":
            raise ValueError(
                "df_method='kenward-roger' is not available for a scan, because it "
                "corrects the covariances of each candidate by a pass over the rows; "
                "use 'satterthwaite', or fit the candidates that matter one by one"
            )
        if by != "asymptotic" and test != "wald":
            raise ValueError(
                f"df_method={df_method!r} is for test='wald'; a {test} statistic is "
                "compared with chi-squared"
            )
        if by == "satterthwaite" and (method == "held" or has_sets):
            raise ValueError(
                "df_method='satterthwaite' is for single candidates whose variances "
                "are estimated: method='exact' without sets"
            )
        if test == "lr" and reml:
            raise ValueError(
                "test='lr' compares likelihoods of models with different fixed "
                "effects, which needs ML: leave out reml=True"
            )
        if test == "score" and method == "exact":
            raise ValueError(
                "test='score' uses the variances without candidates only: write "
                "method='held'"
            )
        reml = test != "lr" if reml is None else bool(reml)
        return cls(method, test, by, reml, missing, adjust)
