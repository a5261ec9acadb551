"""
statsmodels' own tests of MixedLM, run with this package's class in its place.

    python benchmarks/mixedlm_suite.py

The installed ``statsmodels.regression.tests.test_lme`` runs in a process in which
``MixedLM`` is `statsmodels_lmm.MixedLM`. The script prints which tests pass, which
concern private functions of MixedLM, and which differ by design and why; it exits with
an error if any other test fails.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SUITE = "statsmodels.regression.tests.test_lme"

PLUGIN = """
import statsmodels.api as sm
import statsmodels.formula.api as smf
import statsmodels.regression.mixed_linear_model as module

from statsmodels_lmm import MixedLM

module.MixedLM = sm.MixedLM = MixedLM
smf.mixedlm = MixedLM.from_formula
"""

PRIVATE = ("TestSMWSolver", "TestSMWLogdet")
"""Classes that test functions of MixedLM's module absent here."""

PACKED = "params, bse and tvalues are the fixed effects; MixedLM's are packed_params"

BY_DECISION = {
    "test_compare_numdiff[False-False-False]": "hessian() returns a matrix, not a pair",
    "test_compare_numdiff[False-True-False]": "hessian() returns a matrix, not a pair",
    "test_vcomp_1": PACKED,
    "test_mixed_lm_wrapper": PACKED,
    "test_summary_col": f"{PACKED}; the errors asserted are wrong (lme4 has ours)",
    "test_pastes_vcomp": "AIC and BIC after REML are lme4's, not NaN",
    "test_singular": "a singular fit is an answer, reported in the summary",
}


def main():
    """Run the suite and print the outcome."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in_place.py").write_text(PLUGIN)
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull]
        command += ["--rootdir", folder, "-p", "in_place", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", "--pyargs", SUITE]
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        cases = list(ElementTree.parse(report).iter("testcase"))
    passed, private, decided, unexpected = [], [], [], []
    for case in cases:
        name = case.get("name")
        failed = any(child.tag in ("failure", "error") for child in case)
        if any(owner in case.get("classname", "") for owner in PRIVATE):
            private.append(name)
        elif not failed:
            passed.append(name)
        elif name in BY_DECISION:
            decided.append(name)
        else:
            unexpected.append(name)
    print(f"{len(cases)} tests of {SUITE}")
    print(f"{len(private):4d} of private functions of MixedLM")
    print(f"{len(passed):4d} pass")
    print(f"{len(decided):4d} differ by decision:")
    for name in decided:
        print(f"       {name}: {BY_DECISION[name]}")
    print(f"{len(unexpected):4d} fail: {', '.join(unexpected) or 'none'}")
    return int(bool(unexpected) or not cases)


if __name__ == "__main__":
    sys.exit(main())
