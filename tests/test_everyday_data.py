"""Default fits to samples of many kinds beside the best log-likelihoods known.

The samples and references are those of asv_benchmarks/robustness.py, which also scores data sets
that other packages ship.
"""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "asv_benchmarks"
FAMILIES = "nig", "skewt", "nig_sym", "skewt_sym"


@pytest.fixture(scope="module")
def robustness():
    if not (BENCHMARKS / "robustness_reference.json").exists():
        pytest.skip("the benchmarks are not beside the tests")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return pytest.importorskip("robustness")
    finally:
        sys.path.remove(str(BENCHMARKS))


def fits_of(robustness, count):
    sets = robustness.all_sets(count)
    sets = {key: X for key, X in sets.items() if key.split("/")[0] in robustness.KINDS}
    fits = robustness.fits_of(sets, FAMILIES, {})
    return [fit for fit in fits if fit.reference["value"] is not None]


def check(fits):
    """No more than 0.1 nats is lost, and hardly ever more than 1e-6 a row or 1e-3 in total."""
    assert [fit for fit in fits if fit.gap > 0.1] == []
    assert sum(fit.short for fit in fits) <= 0.03 * len(fits)


def test_samples_of_every_kind(robustness):
    check(fits_of(robustness, 1))


@pytest.mark.exhaustive
def test_more_samples(robustness):
    fits = fits_of(robustness, 5)
    assert len(fits) > 250
    check(fits)
