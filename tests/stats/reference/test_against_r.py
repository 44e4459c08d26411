"""Every value of r_values.json, computed by real R from values.R, against the product's public functions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.stats.reference.known import HERE, R
from tests.stats.reference.product import PRODUCT

# Where a millionth is not to be had, and why.
TOLERANCE = {
    "bootstrap_se": 0.005,  # both draw at random
    "bca": 0.02,
    "bootstrap_t": 0.02,
    "dunnett": 2e-4,  # multcomp integrates at random
    "dunnett_quantiles": 5e-4,
    "repeated_tests": 5e-4,
    "power_paired": 1e-5,  # R leaves out the far tail
    "power_unequal": 2e-3,  # R pools the variances, the product plans for Welch's test
    "cohen_dz": 1e-4,  # effectsize searches the limits to four digits
    "cusum_run_lengths": 1e-4,  # two numerical solutions of one integral equation
    "ewma_run_lengths": 1e-3,
    "obf_inflation": 1e-5,
    "pocock": 1e-5,
    "obrien_fleming": 1e-5,
    "lan_demets_pocock": 1e-4,
    "bradley_terry": 1e-5,  # glm stops its iterations earlier
    "bradley_terry_order": 1e-5,
    "variance_pastes": 1e-5,  # so does lmer
    "mixed": 1e-4,
    "expected_loss": 1e-4,
}


@pytest.mark.parametrize("name", sorted(PRODUCT))
def test_value_of_r(name: str) -> None:
    assert list(PRODUCT[name]()) == pytest.approx(R[name]["value"], rel=TOLERANCE.get(name, 1e-6), abs=room(name))


def room(name: str) -> float:
    return 0.5 if name in ("bca", "bootstrap_t") else 1e-8  # of a width of 38 and 46


def test_every_value_is_used() -> None:
    assert set(PRODUCT) == {name for name in R if not name.startswith("data_")}


@pytest.mark.skipif(
    "REFERENCE" not in os.environ or shutil.which("Rscript") is None, reason="run by `make reference` where R is"
)
def test_r_still_says_so(tmp_path: Path) -> None:
    """The real counterpart: wherever R and its packages are installed, the file is computed anew and compared."""
    script = tmp_path / "values.R"
    script.write_text((HERE / "values.R").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(["Rscript", str(script)], capture_output=True, text=True, check=False, timeout=280)
    if "there is no package called" in done.stderr:
        pytest.skip("a package of R is not installed")
    again = json.loads((tmp_path / "r_values.json").read_text(encoding="utf-8"))
    assert set(again) == set(R)
    for name, one in R.items():
        assert again[name]["value"] == pytest.approx(one["value"], rel=TOLERANCE.get(name, 1e-5), abs=room(name)), name
