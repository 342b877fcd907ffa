"""Observed information against differences and JAX's Hessian, standard errors against refits."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from conftest import FAMILIES, make, needs_jax, normal_block

import nvmix
from nvmix import (
    BatchEMFitter,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.backends.types import NormalParameters
from nvmix.inference.information import (
    frame_jacobian,
    frame_of,
    free_coordinates,
    information_in,
)
from nvmix.inference.standard_errors import standard_errors

SMOOTH = {VarianceGamma: {"alpha": 4.5, "beta": 3.0}}
LIMITS = ({"p": 4.0, "a": 3.0, "b": 0.0}, {"p": -4.0, "a": 0.0, "b": 3.0})


def _smooth(family, d):
    return family.from_classical(**normal_block(d), **SMOOTH.get(family, FAMILIES[family]))


def _at_a_limit(law):
    return GeneralizedHyperbolic.from_classical(**normal_block(2), **law)


def _fitted(tol=1e-5):
    """A model near the maximum of its likelihood, and the data."""
    true = make(NormalInverseGaussian)
    X = true.rvs(1500, seed=0)
    return true.fit(X, tol=tol, max_iter=5000).model, X


def _observed_information(model, X):
    """Negative Hessian of the log-likelihood by the coordinates of `_coordinates`."""
    frame, free = frame_of(model), free_coordinates(model, ())
    inverse = np.linalg.inv(frame_jacobian(frame))[np.ix_(free, free)]
    return inverse.T @ information_in(frame, X, None, free)[0] @ inverse


def _coordinates(model):
    """The coordinates of the information, in which of p, a and b those come that are free."""
    law = [x for x, fixed in zip(model.subordinator.gig, model.fixed, strict=True) if fixed is None]
    return np.concatenate([model.mu, model.gamma, model.sigma()[np.tril_indices(model.d)], law])


def _log_likelihood(v, model, X, cholesky=np.linalg.cholesky):
    """Log-likelihood of the model's family at other coordinates."""
    d = model.d
    rows, columns = np.tril_indices(d)
    place = np.empty((d, d), int)
    place[rows, columns] = place[columns, rows] = 2 * d + np.arange(len(rows))
    free = iter(v[2 * d + len(rows) :])
    # What is fixed stays a number, by which the family finds its limit.
    law = zip(model.subordinator.gig, model.fixed, strict=True)
    theta = tuple(next(free) if fixed is None else x for x, fixed in law)
    block = NormalParameters(v[:d], v[d : 2 * d], cholesky(v[place]))
    missing = "em" if isinstance(X, np.ndarray) else "raise"
    return model.at(block, theta).log_prob(X, missing=missing).sum()


def test_information_is_the_curvature_in_every_direction(family):
    model = _smooth(family, 2)
    X = model.rvs(300, seed=1)
    at, information = _coordinates(model), _observed_information(model, X)
    # Three points on either side; a step is a tenth of a standard error.
    step, weights = 0.1, np.array([2.0, -27.0, 270.0, -490.0, 270.0, -27.0, 2.0]) / 180.0
    for direction in np.random.default_rng(0).standard_normal((100, len(at))):
        e = direction / np.sqrt(direction @ information @ direction)
        values = [_log_likelihood(at + k * step * e, model, X) for k in range(-3, 4)]
        assert -(weights @ values) / step**2 == pytest.approx(1.0, abs=1e-6)


def with_holes(X, share, seed=0):
    """A copy with a share of its values missing, and a value in each row."""
    rng, X = np.random.default_rng(seed), X.copy()
    kept = rng.integers(X.shape[1], size=len(X))
    holes = rng.random(X.shape) < share
    holes[np.arange(len(X)), kept] = False
    X[holes] = np.nan
    return X


def test_information_with_missing_values_is_the_curvature(family):
    model = _smooth(family, 3)
    X = with_holes(model.rvs(300, seed=1), 0.3)
    at, information = _coordinates(model), _observed_information(model, X)
    step, weights = 0.1, np.array([2.0, -27.0, 270.0, -490.0, 270.0, -27.0, 2.0]) / 180.0
    for direction in np.random.default_rng(0).standard_normal((50, len(at))):
        e = direction / np.sqrt(direction @ information @ direction)
        values = [_log_likelihood(at + k * step * e, model, X) for k in range(-3, 4)]
        assert -(weights @ values) / step**2 == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("held", [(), ("mu",), ("gamma",)])
def test_information_of_rows_is_the_sum_over_patterns(held):
    """Rows of one column have the information of its marginal, by its parameters alone."""
    model = _smooth(NormalInverseGaussian, 2)
    X = model.rvs(200, seed=2)
    X[:120, 0] = np.nan
    frame, free = frame_of(model), free_coordinates(model, held)
    weights = np.linspace(0.5, 2.0, 200)
    total, _ = information_in(frame, X, weights, free)
    complete, _ = information_in(frame, X[120:], weights[120:], free)
    partial, _ = information_in(frame, X[:120], weights[:120], free)
    np.testing.assert_allclose(total, complete + partial, rtol=1e-12, atol=1e-9)
    own = model.marginal(1)
    frame_1, free_1 = frame_of(own), free_coordinates(own, held)
    alone, _ = information_in(frame_1, X[:120, 1:], weights[:120], free_1)
    to_own = np.linalg.inv(frame_jacobian(frame_1))[np.ix_(free_1, free_1)]
    to_all = np.linalg.inv(frame_jacobian(frame))[np.ix_(free, free)]
    by_own, by_all = to_own.T @ alone @ to_own, to_all.T @ partial @ to_all
    # Positions of mu[1], gamma[1], sigma[1, 1], a and b among mu, gamma, Sigma, p, a and b.
    places = np.zeros(10, bool)
    places[[1, 3, 6, 8, 9]] = True
    places = places[free]
    np.testing.assert_allclose(by_all[np.ix_(places, places)], by_own, rtol=1e-9)
    assert np.abs(by_all[~places]).max(initial=0.0) < 1e-9 * np.abs(by_all).max()


def test_standard_errors_with_missing_values():
    true = make(NormalInverseGaussian)
    X = true.rvs(2000, seed=4)
    Z = with_holes(X, 0.4)
    result = true.fit(Z, missing="em", tol=1e-6, max_iter=5000)
    errors = result.standard_errors()
    # Missing values cost information, and the rest is as it is.
    complete = standard_errors(result.model, X)
    for name in ("mu", "gamma", "sigma"):
        assert (np.asarray(errors[name]) > np.asarray(complete[name])).all()
        assert (np.asarray(errors[name]) < 4.0 * np.asarray(complete[name])).all()
    again = result.standard_errors(Z, missing="em")
    np.testing.assert_array_equal(again.covariance, errors.covariance)
    with pytest.raises(ValueError, match="X must be finite, got nan"):
        result.standard_errors(Z)
    with pytest.raises(ValueError, match="missing must be one of"):
        result.standard_errors(Z, missing="no")


@needs_jax
@pytest.mark.exhaustive
@pytest.mark.parametrize("family", [VarianceGamma, GeneralizedHyperbolic])
def test_information_is_the_hessian(family):
    import jax
    import jax.numpy as jnp

    model = _smooth(family, 2)
    X = model.rvs(300, seed=1)
    with jax.enable_x64(True):

        def loss(v):
            return -_log_likelihood(v, model, jnp.asarray(X), jnp.linalg.cholesky)

        exact = np.asarray(jax.jit(jax.hessian(loss))(jnp.asarray(_coordinates(model))))
    size = np.sqrt(np.abs(np.diag(exact)))
    error = (_observed_information(model, X) - exact) / np.outer(size, size)
    assert np.abs(error).max() < 1e-12


def test_covariance_is_that_of_refits():
    # Y as spread out as this tells lam from 800 rows well enough for the asymptotics.
    true = NormalInverseGaussian.from_classical(
        mu=[0.1], gamma=[0.2], sigma=[[1.0]], mu_ig=1.0, lam=0.5
    )
    X = true.rvs(800, seed=3)
    model = true.fit(X, tol=1e-6, max_iter=5000, regularization="det_sigma_x").model
    errors = standard_errors(model, X, regularization="det_sigma_x")
    rng = np.random.default_rng(0)
    fitter = BatchEMFitter(regularization="det_sigma_x", max_iter=5000)
    refits = [fitter.fit(model, model.rvs(800, rng)).model for _ in range(200)]
    spread = np.std([[*m.mu, *m.gamma, m.mu_ig, m.lam] for m in refits], axis=0, ddof=1)
    expected = np.delete(errors.errors, 2)
    np.testing.assert_allclose(spread, expected, rtol=0.15)


def test_likelihood_of_a_limit_needs_no_coordinate_beyond_it():
    for law, family in zip(LIMITS, (VarianceGamma, NormalInverseGamma), strict=True):
        wide = _at_a_limit(law)
        alpha, beta = abs(wide.p), 0.5 * max(wide.a, wide.b)
        narrow = family.from_classical(**normal_block(2), alpha=alpha, beta=beta)
        X = wide.rvs(2000, seed=2)
        errors, own = standard_errors(wide, X), standard_errors(narrow, X)
        assert errors["p"] == pytest.approx(own["alpha"], rel=1e-12)
        assert errors["a"] + errors["b"] == pytest.approx(2.0 * own["beta"], rel=1e-12)
        assert 0.0 in (errors["a"], errors["b"])
        np.testing.assert_allclose(errors["sigma"], own["sigma"], rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_of_the_data_are_those_of_the_errors(family, scale):
    model = _smooth(family, 2)
    X = model.rvs(2000, seed=4)
    A, c = scale * np.array([[2.0, 0.0], [-1.0, 3.0]]), scale * np.array([7.0, -3.0])
    theta = model.subordinator.gig
    moved = model.at(NormalParameters(A @ model.mu + c, A @ model.gamma, A @ model.L_sigma), theta)
    errors, there = standard_errors(model, X), standard_errors(moved, X @ A.T + c)
    for name in ("mu", "gamma"):
        place = [element.startswith(f"{name}[") for element in errors.names]
        covariance = A @ errors.covariance[np.ix_(place, place)] @ A.T
        got = there.covariance[np.ix_(place, place)]
        np.testing.assert_allclose(got, covariance, rtol=1e-7)
    for name in model.subordinator.parameters:
        assert there[name] == pytest.approx(errors[name], rel=1e-7)


def test_what_no_gauge_changes_has_the_same_error_in_each():
    model, X = _fitted(tol=1e-7)
    _, a, b = model.subordinator.gig
    gauged = model.rescaled((a / b) ** 0.5)
    free, equal = standard_errors(model, X), standard_errors(gauged, X, regularization="a_eq_b")
    np.testing.assert_allclose(equal["mu"], free["mu"], rtol=1e-6)
    # mu_ig |Sigma|^(1 / d) is of the law of X: its error is mu_ig's alone where |Sigma| is held.
    place = [equal.names.index(x) for x in ("sigma[0,0]", "sigma[1,0]", "sigma[1,1]", "mu_ig")]
    inverse = np.linalg.inv(gauged.sigma())
    slope = np.array([inverse[0, 0] / 2.0, inverse[1, 0], inverse[1, 1] / 2.0, 1.0 / gauged.mu_ig])
    error = np.sqrt(slope @ equal.covariance[np.ix_(place, place)] @ slope)
    assert error == pytest.approx(free["mu_ig"] / model.mu_ig, rel=1e-6)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_determinant_has_no_error(family, d):
    model = _smooth(family, d)
    errors = standard_errors(model, model.rvs(2000, seed=5))
    place = [name.startswith("sigma") for name in errors.names]
    rows, columns = np.tril_indices(d)
    slope = np.linalg.inv(model.sigma())[rows, columns] * np.where(rows == columns, 1.0, 2.0)
    assert slope @ errors.covariance[np.ix_(place, place)] @ slope < 1e-17


def test_weights_count_rows():
    model, X = _fitted()
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = standard_errors(model, X, counts.astype(float))
    repeated = standard_errors(model, np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-9, atol=1e-18)


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian).rvs(800, seed=0)


@pytest.fixture(scope="module")
def counts(X):
    return np.random.default_rng(0).integers(0, 4, len(X))


@pytest.fixture(scope="module")
def fits(X, counts):
    """Of rows with weights, and of rows that are repeated as often."""
    start, keywords = make(NormalInverseGaussian), {"criterion": "likelihood", "tol": 1e-12}
    repeated = np.repeat(X, counts, axis=0)
    return start.fit(X, weights=counts, **keywords), start.fit(repeated, **keywords)


class TestResultsOfWeightedFits:
    """The weights of a fit come with its data, those of other data with these."""

    def test_integer_weights_are_repeated_rows(self, X, counts, fits):
        weighted, repeated = fits
        expected = repeated.standard_errors().covariance
        for found in (weighted.standard_errors(), weighted.standard_errors(X, weights=counts)):
            np.testing.assert_allclose(found.covariance, expected, rtol=1e-4, atol=1e-9)
        # At the same model the two are the same sums.
        same = replace(repeated, model=weighted.model).standard_errors().covariance
        np.testing.assert_allclose(weighted.standard_errors().covariance, same, rtol=1e-9)

    def test_weights_are_remembered_as_they_were_given(self, X, counts, fits):
        weighted = fits[0]
        remembered = weighted.standard_errors().covariance
        given = weighted.standard_errors(X, weights=counts).covariance
        np.testing.assert_array_equal(remembered, given)
        with pytest.raises(ValueError, match=f"X has 800 rows and the fit had {counts.sum()}"):
            weighted.standard_errors(X)
        again = pickle.loads(pickle.dumps(weighted))
        with pytest.raises(ValueError, match="X must be given"):
            again.standard_errors()
        np.testing.assert_array_equal(
            again.standard_errors(X, weights=counts).covariance, remembered
        )

    def test_twice_the_weights_are_half_the_covariance(self, X, counts, fits):
        once, twice = (standard_errors(fits[0].model, X, k * counts) for k in (1, 2))
        np.testing.assert_allclose(2.0 * twice.covariance, once.covariance, rtol=1e-12)

    def test_weights_of_other_rows_are_refused(self, X, counts, fits):
        for weights in (counts[:-1], np.append(counts, 1), counts[:, None], 1.0):
            with pytest.raises(ValueError, match=r"weights must have shape \(800,\)"):
                fits[0].standard_errors(X, weights=weights)
        with pytest.raises(ValueError, match="weights must be nonnegative"):
            fits[0].standard_errors(X, weights=-1.0 * counts)
        with pytest.raises(ValueError, match="weights go with X"):
            fits[0].standard_errors(weights=counts)


def test_blocks_of_rows_add():
    model = _smooth(NormalInverseGaussian, 3)
    X = model.rvs(25_000, seed=6)
    halves = _observed_information(model, X[:9000]) + _observed_information(model, X[9000:])
    np.testing.assert_allclose(_observed_information(model, X), halves, rtol=1e-10, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "held"),
    [
        (NormalInverseGaussian, ("mu",)),
        (NormalInverseGaussian, ("gamma", "mu")),
        (VarianceGamma, ("alpha",)),
        (NormalInverseGamma, ("alpha", "gamma")),
        (GeneralizedHyperbolic, ("p",)),
        (Hyperbolic, ("p",)),
    ],
)
def test_held_parameters_have_no_error(family, held):
    model = _smooth(family, 2)
    X = model.rvs(2000, seed=7)
    errors = standard_errors(model, X, held=held)
    every = standard_errors(model, X)
    for name, error in errors.items():
        assert np.shape(error) == np.shape(getattr(model, name)) or name == "sigma"
        assert np.all(np.equal(error, 0.0) == (name in held or (name == "p" and every[name] == 0)))
        assert np.all(error <= every[name] * (1.0 + 1e-9))


@pytest.mark.parametrize("seed", range(4))
def test_a_held_determinant_of_one_column_has_no_error(seed):
    X = np.random.default_rng(seed).standard_t(3, size=(400, 1))
    errors = nvmix.fit(X, "gh").standard_errors()
    assert errors.names[2] == "sigma[0,0]"
    assert errors.covariance[2, 2] == 0.0


def test_a_held_order_of_the_wide_family_gives_the_errors_of_the_narrow_one():
    narrow = _smooth(NormalInverseGaussian, 2)
    X = narrow.rvs(2000, seed=8)
    wide = GeneralizedHyperbolic(
        narrow.mu, narrow.gamma, narrow.L_sigma, make(GeneralizedHyperbolic).subordinator
    ).at(narrow.normal, narrow.subordinator.gig)
    errors, own = standard_errors(wide, X, held=("p",)), standard_errors(narrow, X)
    np.testing.assert_allclose(errors["gamma"], own["gamma"], rtol=1e-9)
    assert errors["b"] == pytest.approx(own["lam"], rel=1e-9)


def test_shapes_intervals_and_tables():
    model, X = _fitted()
    errors = standard_errors(model, X)
    assert list(errors) == ["mu", "gamma", "sigma", "mu_ig", "lam"]
    assert len(errors) == 5
    assert errors["mu"].shape == (2,)
    np.testing.assert_array_equal(errors["sigma"], errors["sigma"].T)
    assert isinstance(errors["lam"], float)
    intervals = errors.confidence_intervals(0.9)
    assert intervals["sigma"].shape == (2, 2, 2)
    low, high = intervals["lam"]
    assert high - low == pytest.approx(2.0 * 1.6448536269514722 * errors["lam"])
    assert 0.5 * (low + high) == pytest.approx(model.lam)
    assert "sigma[1,0]" in str(errors)
    assert "|Sigma| held" in str(errors)
    assert errors._repr_html_().count("<tr>") == 1 + len(errors.names)
    with pytest.raises(KeyError):
        errors["alpha"]
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="level"):
            errors.confidence_intervals(level)


def test_an_infinite_information_raises():
    student = NormalInverseGamma.from_classical(
        mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=0.3, beta=0.5
    )
    X = student.rvs(500, seed=1)
    with pytest.raises(ValueError, match="not finite"):
        standard_errors(student, X)
    assert standard_errors(student, X, held=("gamma",))["alpha"] < 0.1
    peaked = VarianceGamma.from_classical(mu=X[7], gamma=[0.1], sigma=[[1.0]], alpha=0.8, beta=1.0)
    with pytest.raises(ValueError, match="cusp"):
        standard_errors(peaked, X)


def test_a_fit_that_is_no_maximum_raises():
    X = np.random.default_rng(0).standard_normal((400, 1))
    nearly_gaussian = NormalInverseGaussian.from_classical(
        mu=[0.0], gamma=[0.0], sigma=[[1.0]], mu_ig=1.0, lam=1e4
    )
    with pytest.raises(ValueError, match="interior maximum"):
        standard_errors(nearly_gaussian, X)


def test_there_are_none_at_the_gaussian_limit():
    light = np.random.default_rng(3).uniform(-1.0, 1.0, size=(500, 1))
    with pytest.raises(ValueError, match="Gaussian limit"):
        nvmix.fit(light, "nig", symmetric=True).standard_errors()
    assert nvmix.fit(light, "normal").standard_errors()["mu"] < 0.03


def test_bad_arguments_raise():
    model, X = _fitted()
    with pytest.raises(ValueError, match="held must be names among mu, gamma, got p"):
        standard_errors(model, X, held=("p",))
    with pytest.raises(ValueError, match="regularization"):
        standard_errors(model, X, regularization="det")
    with pytest.raises(ValueError, match="a_eq_b"):
        standard_errors(_smooth(VarianceGamma, 2), X, regularization="a_eq_b")
    with pytest.raises(ValueError, match="a_eq_b"):
        standard_errors(_at_a_limit(LIMITS[0]), X, regularization="a_eq_b")
