"""Daily S&P 500 and NASDAQ log-returns, 1999-2018, as the arch package ships them, unscaled."""

import numpy as np
import pytest
from conftest import FAMILIES

from nvmix import BatchEMFitter, GeneralizedHyperbolic, Status, VarianceGamma
from nvmix._validation import sample
from nvmix.datasets import load_crude_oil

nasdaq = pytest.importorskip("arch.data.nasdaq", reason="arch is not installed")
sp500 = pytest.importorskip("arch.data.sp500", reason="arch is not installed")


def returns(module):
    return np.diff(np.log(module.load()["Adj Close"].to_numpy()))


SETS = {
    "S&P 500": returns(sp500)[:, None],
    "NASDAQ": returns(nasdaq)[:, None],
    "both": np.column_stack([returns(sp500), returns(nasdaq)]),
    "oil": load_crude_oil()[0],
}


@pytest.mark.parametrize("name", SETS)
def test_all_families_fit_and_gh_is_the_likeliest(name):
    X = SETS[name]
    best = {}
    for family in FAMILIES:
        result = BatchEMFitter(max_iter=2000).run(family.default_init(X), sample(X))
        assert np.diff(result.log_likelihoods).min(initial=0.0) >= -1e-12
        if name == "both" and family is VarianceGamma:
            # alpha < d / 2: the likelihood has no maximum.
            assert result.status is Status.UNBOUNDED
        elif name != "oil" and family is VarianceGamma:
            # alpha < d / 2 + 1: every row is a cusp.
            assert result.status in {Status.CONVERGED, Status.CUSP, Status.SINGULAR}
        else:
            assert result.converged
        if result.status is not Status.UNBOUNDED:
            best[family] = result.model.marginal_log_likelihood(X) * len(X)
    assert best[GeneralizedHyperbolic] >= max(best.values()) - 1e-9


def test_the_daily_fits_beat_the_gaussian_by_far():
    X = SETS["both"]
    n, d = X.shape
    log_det = np.linalg.slogdet(np.cov(X.T, bias=True))[1]
    gaussian = -0.5 * n * (d * np.log(2.0 * np.pi) + log_det + d)
    result = GeneralizedHyperbolic.default_init(X).fit(X)
    assert n * result.model.marginal_log_likelihood(X) - gaussian > 1000.0
