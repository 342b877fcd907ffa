"""Daily S&P 500 and NASDAQ log-returns, 1999-2018, as the arch package ships them, unscaled."""

import numpy as np
import pytest
from conftest import FAMILIES
from scipy.optimize import minimize

from nvmix import (
    BatchEMFitter,
    GeneralizedHyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    Status,
    VarianceGamma,
)
from nvmix.datasets import load_crude_oil

nasdaq = pytest.importorskip("arch.data.nasdaq", reason="arch is not installed")
sp500 = pytest.importorskip("arch.data.sp500", reason="arch is not installed")


def returns(module):
    return np.diff(np.log(module.load()["Adj Close"].to_numpy()))


DAILY = returns(sp500)

SETS = {
    "S&P 500 in rows of 20 days": DAILY[:5020].reshape(-1, 20),
    "S&P 500": DAILY[:, None],
    "NASDAQ": returns(nasdaq)[:, None],
    "both": np.column_stack([returns(sp500), returns(nasdaq)]),
    "oil": load_crude_oil()[0],
}


TIGHT = {"criterion": "likelihood", "tol": 1e-11, "max_iter": 2000}


def fit(X, family, start=None, **keywords):
    start = start or family.default_init(X)
    return BatchEMFitter(**{**TIGHT, **keywords}).run(start, X)


@pytest.mark.parametrize("name", SETS)
def test_fits_end_at_the_best_there_is(name):
    """Within 1e-6 nats of other accelerations, of other starts and at other scales; GH on top."""
    X = SETS[name]
    ends = {}
    for family in FAMILIES:
        start = family.default_init(X)
        result = fit(X, family, start)
        if name == "both" and family is VarianceGamma:
            # alpha < d / 2: the likelihood has no maximum.
            assert result.status is Status.UNBOUNDED
            continue
        assert result.converged
        if family is VarianceGamma and X.shape[1] == 1:
            # alpha < d / 2 + 1: every row is a cusp.
            assert result.status is Status.CUSP
        others = [
            fit(X, family, start, acceleration="none", max_iter=20_000),
            fit(X, family, start, n_init=4),
        ]
        found = [other.log_likelihood for other in others if other.converged]
        found += [
            fit(scale * X, family).log_likelihood + X.size * np.log(scale) for scale in (1e-6, 1e6)
        ]
        assert max(found) - result.log_likelihood <= 1e-6
        assert result.log_likelihood - min(found[-2:]) <= 1e-6
        ends[family] = result.log_likelihood
    assert ends[GeneralizedHyperbolic] >= max(ends.values()) - 1e-6


@pytest.mark.parametrize("name", ["S&P 500", "oil"])
def test_no_optimizer_of_the_exact_likelihood_does_better(name):
    X = SETS[name]
    for family in (NormalInverseGaussian, NormalInverseGamma):
        result = fit(X, family)
        model, d = result.model, X.shape[1]
        p, a, b = model.subordinator.gig
        low = np.tril_indices(d, -1)

        def loss(x, model=model, theta=(p, a, b), d=d, low=low):
            L = np.zeros((d, d))
            L[low] = x[3 * d : -1]
            L[np.diag_indices(d)] = np.exp(x[2 * d : 3 * d])
            block = type(model.normal)(x[:d].copy(), x[d : 2 * d].copy(), L)
            # One scale of Y is free: its shape moves with b alone.
            p, a, b = theta
            order = p * np.exp(x[-1]) if a == 0.0 else p
            return -model.at(block, (order, a, b * np.exp(x[-1]))).log_prob(X).sum()

        L = model.L_sigma
        start = np.concatenate([model.mu, model.gamma, np.log(np.diag(L)), L[low], [0.0]])
        scale = np.abs(start).clip(1e-4)
        rng = np.random.default_rng(0)
        for _ in range(2):
            x = start + 0.05 * scale * rng.standard_normal(start.size)
            end = minimize(loss, x, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-9})
            assert -end.fun <= result.log_likelihood + 1e-6


def test_the_daily_fits_beat_the_gaussian_by_far():
    X = SETS["both"]
    n, d = X.shape
    log_det = np.linalg.slogdet(np.cov(X.T, bias=True))[1]
    gaussian = -0.5 * n * (d * np.log(2.0 * np.pi) + log_det + d)
    result = GeneralizedHyperbolic.default_init(X).fit(X)
    assert n * result.model.marginal_log_likelihood(X) - gaussian > 1000.0
