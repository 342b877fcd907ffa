"""How far the law of a model is from rows."""

import numpy as np
import pytest
from conftest import make

from nvmix import NormalInverseGaussian
from nvmix.fitting.outcome.misfit import misfit
from nvmix.sources.source import ArraySource

MODEL = make(NormalInverseGaussian, 2)


def of(X, weights=None):
    return misfit(MODEL, ArraySource(X, weights))


def test_it_is_the_distance_of_distribution_functions():
    n = 503
    X = MODEL.rvs(n, seed=0) + 0.2
    below = np.arange(1, 20) * n // 20
    expected = 0.0
    for j, x in enumerate(np.sort(X, axis=0)[below].T):
        f = MODEL.marginal([j]).cdf(x)
        expected = max(expected, (f - below / n).max(), ((below + 1) / n - f).max())
    assert 0.05 < expected < 0.3
    assert of(X) == pytest.approx(expected, rel=1e-12)


def test_it_is_small_of_the_very_law():
    assert of(MODEL.rvs(4000, seed=1)) < 0.02
    assert of(MODEL.rvs(40_000, seed=2)) < 0.02


def test_weights_count_as_repetitions():
    X = MODEL.rvs(100, seed=3)
    weights = np.random.default_rng(0).integers(0, 4, 100)
    repeated = of(np.repeat(X, weights, axis=0))
    assert of(X, weights.astype(float)) == pytest.approx(repeated, abs=1e-12)


def test_missing_values_are_left_out():
    X = MODEL.rvs(300, seed=4)
    X[::3, 0] = np.nan
    whole = of(X)
    assert whole == max(
        misfit(MODEL.marginal([j]), ArraySource(x[~np.isnan(x)][:, None]))
        for j, x in enumerate(X.T)
    )
    X[:, 0] = np.nan
    assert np.isnan(of(X))


def test_a_value_that_repeats_is_a_misfit():
    X = np.sort(MODEL.rvs(1000, seed=5), axis=0)
    X[400:600] = np.median(X, axis=0)
    assert 0.09 < of(X) < 0.15
