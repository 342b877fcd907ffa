"""Bad input raises a TypeError or ValueError that names the parameter and what it got."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import make, normal_block

from nvmix import (
    GIG,
    BatchEMFitter,
    EWMAUpdate,
    Gamma,
    Hyperbolic,
    NormalInverseGaussian,
    NormalMixture,
    VarianceGamma,
    set_num_threads,
)

GOOD = np.random.default_rng(0).standard_normal((40, 2))


def with_value(value, at=(3, 1)):
    X = GOOD.copy()
    X[at] = value
    return X


BAD_DATA = [
    (np.empty((0, 2)), ValueError, r"X must not be empty, got shape \(0, 2\)"),
    (GOOD[:1], ValueError, r"X must have more rows than columns.*\(1, 2\)"),
    (GOOD[:2], ValueError, r"X must have more rows than columns"),
    (GOOD[None], ValueError, r"X must have shape \(n, d\), got \(1, 40, 2\)"),
    (GOOD + 1j, TypeError, "X must hold real numbers, got dtype complex128"),
    (GOOD.astype(str), TypeError, "X must hold real numbers, got dtype <U"),
    ([["a", 1.0], ["b", 2.0]], TypeError, "X must hold real numbers"),
    ([[1.0, 2.0], [3.0]], ValueError, "X must be a rectangular array"),
    (with_value(np.nan), ValueError, r"X must be finite, got nan at index \(3, 1\)"),
    (with_value(np.inf), ValueError, r"X must be finite, got inf at index \(3, 1\)"),
    (np.c_[GOOD[:, 0], np.ones(40)], ValueError, "constant column, got column 1"),
    (np.c_[GOOD[:, 0], 1e8 + np.zeros(40)], ValueError, "constant column, got column 1"),
    (np.c_[GOOD[:, 0], 3.0 * GOOD[:, 0]], ValueError, "collinear columns, got column 1"),
    (None, TypeError, "X must hold real numbers"),
    (GOOD.astype(str).astype(object), TypeError, "X must hold real numbers, got text"),
    (np.ma.masked_greater(GOOD, 1.0), ValueError, "X must not have masked values"),
    (GOOD * 1e160, ValueError, "X must have its largest value within"),
    (GOOD * 1e-160, ValueError, "X must have its largest value within"),
]


@pytest.mark.parametrize(("X", "error", "match"), BAD_DATA)
def test_data(family, X, error, match):
    with pytest.raises(error, match=match):
        family.default_init(X)
    with pytest.raises(error, match=match):
        make(family).fit(X)


def test_columns_of_many_rows_are_judged_by_all_where_some_do_not_tell():
    X = np.random.default_rng(0).standard_normal((5000, 2))
    fit = make(NormalInverseGaussian).fit
    for column, match in ((np.ones(5000), "constant"), (X[:, 0] / 3.0, "collinear")):
        with pytest.raises(ValueError, match=match):
            fit(np.c_[X[:, 0], column])
    with pytest.raises(ValueError, match=r"got nan at index \(4999, 1\)"):
        fit(np.r_[X[:-1], [[0.0, np.nan]]])
    rare = np.where(np.arange(5000) % 16 == 1, X[:, 1], 0.0)
    assert fit(np.c_[X[:, 0], rare], tol=1.0).converged


def test_wrong_number_of_columns(model):
    wide = np.random.default_rng(0).standard_normal((9, 3))
    for call in (model.fit, model.e_step, model.marginal_log_likelihood):
        with pytest.raises(ValueError, match=r"X must have 2 columns.*\(9, 3\)"):
            call(wide)
    with pytest.raises(ValueError, match=r"x must have shape \(2,\) or \(n, 2\), got \(9, 3\)"):
        model.log_prob(wide)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"sigma": [[1.0, 0.5], [0.2, 1.0]]}, ValueError, "sigma must be symmetric"),
        ({"sigma": [[1.0, 2.0], [2.0, 1.0]]}, ValueError, "sigma must be positive definite"),
        ({"sigma": np.eye(3)}, ValueError, r"sigma must have shape \(2, 2\), got \(3, 3\)"),
        ({"gamma": [0.1, 0.2, 0.3]}, ValueError, r"gamma must have shape \(2,\), got \(3,\)"),
        ({"mu": [[0.0, 1.0]]}, ValueError, r"mu must have shape \(d,\), got \(1, 2\)"),
        ({"mu": [0.0, np.nan]}, ValueError, "mu must be finite, got nan"),
        ({"lam": -1.0}, ValueError, "lam must be positive, got -1.0"),
        ({"lam": 0.0}, ValueError, "lam must be positive, got 0.0"),
        ({"mu_ig": np.inf}, ValueError, "mu_ig must be finite, got inf"),
        ({"lam": "2"}, TypeError, "lam must be a real number, got '2'"),
        ({"lam": [1.0, 2.0]}, TypeError, "lam must be a real number"),
        ({"lam": True}, TypeError, "lam must be a real number, got True"),
    ],
)
def test_classical_parameters(change, error, match):
    parameters = normal_block(2) | {"mu_ig": 1.0, "lam": 1.5} | change
    with pytest.raises(error, match=match):
        NormalInverseGaussian.from_classical(**parameters)


@pytest.mark.parametrize(
    ("keywords", "error", "match"),
    [
        ({"e_step_backend": "gpu"}, ValueError, "e_step_backend must be one of 'cpu', 'jax'"),
        ({"m_step_backend": None}, ValueError, "m_step_backend must be one of"),
        ({"m_step_method": "adam"}, ValueError, "m_step_method must be one of 'newton'"),
        ({"regularization": "ridge"}, ValueError, "regularization must be one of 'none'"),
        ({"max_iter": -1}, ValueError, "max_iter must be at least 1, got -1"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1, got 0"),
        ({"max_iter": 2.5}, TypeError, "max_iter must be an integer, got 2.5"),
        ({"tol": np.nan}, ValueError, "tol must be finite, got nan"),
        ({"tol": -1.0}, ValueError, "tol must not be negative, got -1.0"),
        ({"tol": "small"}, TypeError, "tol must be a real number, got 'small'"),
        ({"verbose": -1}, ValueError, "verbose must be at least 0, got -1"),
        ({"eta_update": 3}, TypeError, "eta_update must be callable or None, .* got 3"),
        ({"tolerance": 1e-3}, TypeError, "tolerance"),
    ],
)
def test_fitter_keywords(keywords, error, match):
    with pytest.raises(error, match=match):
        BatchEMFitter(**keywords)
    with pytest.raises(error, match=match):
        make(NormalInverseGaussian).fit(GOOD, **keywords)


def test_columns_must_be_those_of_the_model():
    frame = pd.DataFrame(GOOD, columns=["a", "b"])
    model = NormalInverseGaussian.default_init(frame)
    for call in (model.fit, model.log_prob, model.e_step, model.marginal_log_likelihood):
        with pytest.raises(ValueError, match=r"must have the columns of the model, \('a', 'b'\)"):
            call(frame[["b", "a"]])
    assert model.log_prob(GOOD).shape == (40,)


def test_threads():
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        set_num_threads(0)


def test_constructor():
    law = NormalInverseGaussian.default_init(GOOD).subordinator
    mu, L = np.zeros(2), np.eye(2)
    model = NormalInverseGaussian(mu, mu, L, law)
    mu[0] = L[0, 0] = 9.0
    assert model.mu[0] == 0.0
    assert model.L_sigma[0, 0] == 1.0
    with pytest.raises(ValueError, match="L_sigma must be lower triangular"):
        NormalInverseGaussian([0.0, 0.0], [0.0, 0.0], np.ones((2, 2)), law)
    with pytest.raises(TypeError, match="subordinator must be an InverseGaussian, got Gamma"):
        NormalInverseGaussian([0.0], [0.0], [[1.0]], Gamma(1.0, 1.0))
    with pytest.raises(ValueError, match=r"p of the subordinator must be 1\.0"):
        Hyperbolic([0.0], [0.0], [[1.0]], GIG(2.0, 1.0, 1.0))


@pytest.mark.parametrize("columns", [("a", "a"), ("a",), "ab", (1, 2), 3])
def test_names_of_columns(columns, model):
    with pytest.raises(ValueError, match="columns must be 2 different texts or None, got"):
        replace(model, columns=columns)
    assert replace(model, columns=["b", "a"]).columns == ("b", "a")


def test_fitter_takes_keywords_only():
    with pytest.raises(TypeError):
        BatchEMFitter(100)


def test_steps():
    model = make(NormalInverseGaussian)
    with pytest.raises(ValueError, match="backend must be one of"):
        model.e_step(GOOD, backend="gpu")
    with pytest.raises(ValueError, match="method must be one of"):
        model.m_step(model.e_step(GOOD), method="adam")
    with pytest.raises(TypeError, match="eta must be a SufficientStatistics, got NoneType"):
        model.m_step(None)
    with pytest.raises(ValueError, match="eta must be statistics of 2 columns"):
        model.m_step(make(NormalInverseGaussian, d=3).e_step(np.ones((4, 3))))
    with pytest.raises(TypeError, match="starting model first and the observations second"):
        BatchEMFitter().fit(GOOD, model)
    with pytest.raises(TypeError, match="is not a family"):
        NormalMixture.default_init(GOOD)
    with pytest.raises(ValueError, match="seed must be None"):
        model.rvs(3, seed=-1)
    with pytest.raises(ValueError, match="method must be one of"):
        Gamma.from_expectation([0.0, 2.0], method="adam")
    with pytest.raises(ValueError, match="theta must be natural parameters of a Gamma"):
        Gamma.from_natural([1.0, 0.5])
    repeated = model.e_step(np.zeros((5, 2)) + model.mu)
    with pytest.raises(ValueError, match="Sigma is not positive definite"):
        model.m_step(repeated)
    without_spread = replace(repeated, inv_y=repeated.weight**2 / repeated.y)
    with pytest.raises(ValueError, match="does not separate mu from gamma"):
        VarianceGamma.from_expectation(without_spread)
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        model.rvs(-1)
    with pytest.raises(ValueError, match=r"w must be at most 1, got 1\.5"):
        EWMAUpdate(1.5)


class TestAcceptedKinds:
    expected = NormalInverseGaussian.default_init(GOOD).fit(GOOD, tol=1e-2, max_iter=500)

    @pytest.mark.parametrize(
        "X",
        [
            np.asfortranarray(GOOD),
            GOOD[::-1][::-1],
            GOOD.tolist(),
            pd.DataFrame(GOOD, columns=["a", "b"]),
            pd.DataFrame(GOOD, columns=["a", "b"]).astype(object),
        ],
        ids=["fortran", "strided", "list", "frame", "object frame"],
    )
    def test_same_answer(self, X):
        result = NormalInverseGaussian.default_init(X).fit(X, tol=1e-2, max_iter=500)
        np.testing.assert_allclose(
            result.log_likelihoods, self.expected.log_likelihoods, rtol=1e-13
        )

    def test_read_only_input_is_not_modified(self):
        X = GOOD.copy()
        X.setflags(write=False)
        NormalInverseGaussian.default_init(X).fit(X, tol=1e-2, max_iter=500)
        np.testing.assert_array_equal(X, GOOD)

    def test_float32_and_integers(self):
        result = NormalInverseGaussian.default_init(GOOD.astype("f4")).fit(
            GOOD.astype("f4"), tol=1e-2, max_iter=500
        )
        assert result.model.mu.dtype == np.float64
        counts = np.random.default_rng(0).poisson(9.0, (200, 2))
        assert NormalInverseGaussian.default_init(counts).fit(counts, tol=1e-2).converged

    def test_column_names_stay_on_the_model(self):
        frame = pd.DataFrame(GOOD, columns=["left", "right"])
        start = VarianceGamma.default_init(frame)
        assert start.columns == ("left", "right")
        fitted = NormalInverseGaussian.default_init(GOOD).fit(frame, tol=1e-2, max_iter=500).model
        assert fitted.columns == ("left", "right")

    def test_a_series_is_one_column(self):
        series = pd.Series(GOOD[:, 0], name="returns")
        model = NormalInverseGaussian.default_init(series)
        assert (model.d, model.columns) == (1, ("returns",))

    def test_a_text_column_is_named_by_its_kind(self):
        frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})
        with pytest.raises(TypeError, match="X must hold real numbers"):
            NormalInverseGaussian.default_init(frame)
