"""Moments of X and Y: against mpmath, integration, SciPy and published figures."""

import mpmath as mp
import numpy as np
import pytest
import scipy.stats
from conftest import FAMILIES, HAS_JAX, make, needs_jax
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from nvmix import (
    GeneralizedHyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.mixture.parts.mixing_moments import cumulants, raw_moments

if HAS_JAX:
    import jax


def exact_cumulants(p, a, b):
    """Second to fourth cumulant of Y / E[Y] in 60 digits."""
    with mp.workdps(60):
        w = mp.sqrt(mp.mpf(a) * mp.mpf(b))
        bessel = [mp.besselk(p, w), mp.besselk(mp.mpf(p) + 1, w)]
        for j in (1, 2, 3):
            bessel.append(bessel[j - 1] + 2 * (mp.mpf(p) + j) / w * bessel[j])
        m2, m3, m4 = (bessel[j] / bessel[0] * (bessel[0] / bessel[1]) ** j for j in (2, 3, 4))
        return m2 - 1, m3 - 3 * m2 + 2, m4 - 4 * m3 - 3 * m2**2 + 12 * m2 - 6


@pytest.mark.parametrize("p", [-37.3, -2.9, -0.5, 0.0, 0.4, 2.2, 30.3, 70.5])
@pytest.mark.parametrize("root", [1e-3, 0.3, 5.0, 39.0, 45.0, 400.0])
def test_cumulants_of_y(p, root):
    for scale in (1.0, 1e-20):
        a, b = root * scale, root / scale
        found = cumulants((p, a, b))
        expected = [float(x) for x in exact_cumulants(p, a, b)]
        np.testing.assert_allclose(found, expected, rtol=3e-13)


def test_cumulants_of_nearly_degenerate_laws():
    """Those of an inverse Gaussian law are powers of mu / lam."""
    for r in (1e2, 1e5, 1e10, 1e100):
        np.testing.assert_allclose(
            cumulants((-0.5, r, r)), [1.0 / r, 3.0 / r**2, 15.0 / r**3], rtol=1e-14
        )


@pytest.mark.parametrize("root", [1e-10, 1e-40])
def test_cumulants_near_the_limits(root):
    np.testing.assert_allclose(cumulants((3.5, root, root)), cumulants((3.5, 2.0, 0.0)), rtol=1e-13)
    near, limit = cumulants((-5.5, root, root)), cumulants((-5.5, 0.0, 2.0))
    np.testing.assert_allclose(near, limit, rtol=1e-8)


def test_cumulants_of_inverse_gamma_laws():
    for alpha in (0.5, 1.5, 2.5, 3.5, 4.5, 9.0):
        law = scipy.stats.invgamma(alpha)
        if alpha <= 1.0:
            assert np.isnan(cumulants((-alpha, 0.0, 2.0))).all()
            continue
        found = cumulants((-alpha, 0.0, 2.0))
        exists = [alpha > 2.0, alpha > 3.0, alpha > 4.0]
        np.testing.assert_array_equal(np.isfinite(found), exists)
        mean, *raw = (law.moment(j) for j in (1, 2, 3, 4))
        m2, m3, m4 = (m / mean**j for j, m in enumerate(raw, start=2))
        expected = m2 - 1, m3 - 3 * m2 + 2, m4 - 4 * m3 - 3 * m2**2 + 12 * m2 - 6
        for one, other, finite in zip(found, expected, exists, strict=True):
            assert not finite or one == pytest.approx(other, rel=1e-10)


@pytest.mark.parametrize("theta", [(0.4, 1.3, 0.7), (2.5, 2.0, 0.0), (-6.5, 0.0, 3.0)])
def test_raw_moments_of_y(theta):
    p, a, b = theta
    found = raw_moments(theta, 5)
    for j, value in enumerate(found):
        if a == 0.0:
            expected = mp.mpf(b / 2) ** j * mp.gamma(-mp.mpf(p) - j) / mp.gamma(-p)
        elif b == 0.0:
            expected = mp.gamma(mp.mpf(p) + j) / mp.gamma(p) / mp.mpf(a / 2) ** j
        else:
            w = mp.sqrt(mp.mpf(a) * b)
            expected = (
                (mp.mpf(b) / a) ** (mp.mpf(j) / 2) * mp.besselk(mp.mpf(p) + j, w) / mp.besselk(p, w)
            )
        assert value == pytest.approx(float(expected), rel=1e-13)
    assert (raw_moments((-2.5, 0.0, 1.0), 4)[3:] == np.inf).all()


def test_moments_are_integrals(family):
    model = make(family, 2)
    for column in (0, 1):
        one = model.marginal(column)
        middle, mean = float(one.mu[0]), float(one.mean()[0])

        def integral(f, one=one, middle=middle):
            parts = [quad(lambda x: f(x) * one.pdf(x), *ends, limit=2000, epsabs=1e-12, epsrel=1e-9)
                     for ends in ((-np.inf, middle), (middle, np.inf))]  # fmt: skip
            return sum(part[0] for part in parts)

        variance = integral(lambda x, mean=mean: (x - mean) ** 2)
        assert model.var()[column] == pytest.approx(variance, rel=1e-5)
        assert model.std()[column] == pytest.approx(np.sqrt(variance), rel=1e-5)
        if family is NormalInverseGamma:  # alpha = 3: the third moment is infinite
            assert model.skewness()[column] == np.sign(model.gamma[column]) * np.inf
            assert model.kurtosis()[column] == np.inf
            continue
        third, fourth = (integral(lambda x, k=k, mean=mean: (x - mean) ** k) for k in (3, 4))
        assert model.skewness()[column] == pytest.approx(third / variance**1.5, rel=1e-7)
        assert model.kurtosis()[column] == pytest.approx(fourth / variance**2 - 3.0, rel=1e-6)
        for k in range(7):
            expected = integral(lambda x, k=k: x**k)
            assert model.raw_moment(k)[column] == pytest.approx(expected, rel=1e-7)


def test_published_moments():
    # JuliaStats/Distributions.jl, test/ref/continuous_test.ref.json, from R fBasics:
    # NormalInverseGaussian(mu=1.7, alpha=1.8, beta=1.2, delta=2.3).
    alpha, beta, delta = 1.8, 1.2, 2.3
    root = np.sqrt(alpha**2 - beta**2)
    model = NormalInverseGaussian.from_classical(
        mu=[1.7], gamma=[beta], sigma=[[1.0]], mu_ig=delta / root, lam=delta**2
    )
    found = [float(x[0]) for x in model.stats("mvsk")]
    expected = [3.75718253929981, 3.08577380894971, 1.13853910398555, 2.70056519021714]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    # SciPy's tests, from R GeneralizedHyperbolic: lambda=2, alpha=2, beta=1, delta=1.5, mu=0.5.
    model = GeneralizedHyperbolic.from_classical(
        mu=[0.5], gamma=[1.0], sigma=[[1.0]], p=2.0, a=3.0, b=2.25
    )
    expected = [2.36848366948115, 8.4739346779246, 37.8870502710066, 205.76608511485]
    for k, value in enumerate(expected, start=1):
        assert model.raw_moment(k)[0] == pytest.approx(value, rel=1e-13)
    # R ghyp 1.6.5: ghyp(-2, chi=5, psi=.1, mu=10:11, sigma=diag(5:6), gamma=-1:0).
    model = GeneralizedHyperbolic.from_classical(
        mu=[10.0, 11.0], gamma=[-1.0, 0.0], sigma=np.diag([5.0, 6.0]), p=-2.0, a=0.1, b=5.0
    )
    np.testing.assert_allclose(model.mean(), [7.95598454947, 11.0], rtol=1e-11)
    np.testing.assert_allclose(model.var(), [15.16176908, 12.2640927032], rtol=1e-9)


@given(
    st.floats(-1.5, 1.5), st.floats(-0.9, 0.9), st.floats(-2.0, 4.0), st.floats(-3.0, 3.0)
)  # fmt: skip
def test_moments_of_the_normal_inverse_gaussian_in_closed_form(log_alpha, ratio, log_delta, mu):
    """Skewness 3 beta / (alpha sqrt(delta g)), kurtosis 3 (1 + 4 beta^2 / alpha^2) / (delta g)."""
    alpha, delta = 10.0**log_alpha, 10.0**log_delta
    beta = ratio * alpha
    root = np.sqrt((alpha - beta) * (alpha + beta))
    model = NormalInverseGaussian.from_classical(
        mu=[mu], gamma=[beta], sigma=[[1.0]], mu_ig=delta / root, lam=delta**2
    )
    skewness = 3.0 * ratio / np.sqrt(delta * root)
    assert model.skewness()[0] == pytest.approx(skewness, rel=1e-12, abs=1e-300)
    kurtosis = 3.0 * (1.0 + 4.0 * ratio**2) / (delta * root)
    assert model.kurtosis()[0] == pytest.approx(kurtosis, rel=1e-12)


@pytest.mark.parametrize("df", [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 7.0])
def test_moments_of_students_t_are_scipys(df):
    model = NormalInverseGamma.from_classical(
        mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=0.5 * df, beta=0.5 * df
    )
    mean, var, skewness, kurtosis = (float(x) for x in scipy.stats.t(df).stats("mvsk"))
    found = {name: getattr(model, name)()[0] for name in ("mean", "var", "skewness", "kurtosis")}
    # SciPy has inf for a mean that does not exist, and nan for what follows from it.
    assert found["mean"] == mean or (np.isnan(found["mean"]) and df <= 1.0)
    np.testing.assert_allclose(found["var"], var, rtol=1e-13)
    np.testing.assert_allclose(found["skewness"], skewness)
    np.testing.assert_allclose(found["kurtosis"], kurtosis, rtol=1e-12)
    assert model.raw_moment(2)[0] == pytest.approx(df / (df - 2.0) if df > 2.0 else np.inf)
    assert np.isnan(model.raw_moment(3)[0]) == (df <= 3.0)


def test_infinite_moments_of_skewed_laws():
    def skew_t(alpha):
        return NormalInverseGamma.from_classical(
            mu=[1.0, 1.0, 1.0], gamma=[0.5, 0.0, -0.5], sigma=np.eye(3), alpha=alpha, beta=alpha
        )

    inf, nan = np.inf, np.nan
    model = skew_t(2.5)
    assert np.isfinite(model.var()).all()
    np.testing.assert_array_equal(model.skewness(), [inf, 0.0, -inf])
    np.testing.assert_array_equal(np.isinf(model.kurtosis()), [True, False, True])
    np.testing.assert_array_equal(model.raw_moment(3)[[0, 2]], [inf, -inf])
    np.testing.assert_array_equal(np.isfinite(model.raw_moment(4)), [False, True, False])
    model = skew_t(1.5)
    np.testing.assert_array_equal(np.isinf(model.var()), [True, False, True])
    np.testing.assert_array_equal(model.skewness(), [nan, nan, nan])
    np.testing.assert_array_equal(model.kurtosis(), [nan, inf, nan])
    model = skew_t(0.5)
    np.testing.assert_array_equal(model.mean(), [inf, nan, -inf])
    np.testing.assert_array_equal(model.raw_moment(1), [inf, nan, -inf])
    np.testing.assert_array_equal(model.raw_moment(2), [inf, inf, inf])
    assert np.isnan(model.mardia_skewness())
    assert np.isnan(model.mardia_kurtosis())


def mardia_of(X):
    """Mardia's statistics of a sample."""
    centred = X - X.mean(axis=0)
    whitened = np.linalg.solve(np.linalg.cholesky(np.cov(X.T, bias=True)), centred.T)
    third = np.einsum("in,jn,kn->ijk", whitened, whitened, whitened) / len(X)
    return np.square(third).sum(), np.square(np.square(whitened).sum(axis=0)).mean()


@pytest.mark.parametrize("family", [NormalInverseGaussian, VarianceGamma, GeneralizedHyperbolic])
def test_mardias_moments_are_those_of_many_rows(family):
    model = make(family, 3)
    skewness, kurtosis = mardia_of(model.rvs(1_000_000, seed=7))
    assert model.mardia_skewness() == pytest.approx(skewness, rel=0.03)
    assert model.mardia_kurtosis() == pytest.approx(kurtosis, rel=0.02)


def test_mardias_moments_do_not_change_under_maps(family):
    model = make(family, 3)
    moved = model.linear([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0], [1.0, 1.0, 1.0]], [1.0, 2.0, 3.0])
    for name in ("mardia_skewness", "mardia_kurtosis"):
        np.testing.assert_allclose(getattr(moved, name)(), getattr(model, name)(), rtol=1e-12)
    one = model.marginal(1)
    np.testing.assert_allclose(one.mardia_skewness(), one.skewness()[0] ** 2, rtol=1e-12)
    np.testing.assert_allclose(one.mardia_kurtosis(), 3.0 + one.kurtosis()[0], rtol=1e-12)


def test_mardias_moments_of_a_symmetric_law():
    student = NormalInverseGamma.from_classical(
        mu=np.zeros(4), gamma=np.zeros(4), sigma=np.eye(4), alpha=5.0, beta=5.0
    )
    assert student.mardia_skewness() == 0.0
    # d (d + 2) (df - 2) / (df - 4)
    assert student.mardia_kurtosis() == pytest.approx(24.0 * 8.0 / 6.0, rel=1e-14)


def test_nearly_normal_laws_keep_their_digits():
    """mu and gamma nearly cancel, and Y hardly varies."""
    r = 1e9
    model = NormalInverseGaussian.from_classical(
        mu=[-3e4], gamma=[3e4], sigma=[[1.0]], mu_ig=1.0, lam=r
    )
    second = 1.0 + 9e8 / r
    third, fourth = 27e12 * 3.0 / r**2 + 9e4 / r, 81e16 * 15.0 / r**3 + 18.0 * 9e8 / r**2 + 3.0 / r
    np.testing.assert_allclose(model.skewness(), third / second**1.5, rtol=1e-13)
    np.testing.assert_allclose(model.kurtosis(), fourth / second**2, rtol=1e-13)
    raw = [model.raw_moment(k)[0] for k in (1, 2, 3, 4)]
    assert raw[0] == pytest.approx(0.0, abs=1e-11)
    np.testing.assert_allclose(raw[1], second, rtol=1e-9)
    np.testing.assert_allclose(raw[3], fourth + 3.0 * second**2, rtol=1e-9)


def test_moments_do_not_depend_on_units(family):
    model = make(family, 2)
    for scale in (1e-100, 1e100):
        moved = model.linear(scale * np.eye(2))
        np.testing.assert_allclose(moved.skewness(), model.skewness(), rtol=1e-12)
        np.testing.assert_allclose(moved.kurtosis(), model.kurtosis(), rtol=1e-12)
        np.testing.assert_allclose(model.rescaled(scale).kurtosis(), model.kurtosis(), rtol=1e-11)


def test_correlations(family):
    model = make(family, 3)
    cov, std, corr = model.cov(), model.std(), model.corr()
    np.testing.assert_array_equal(np.diag(corr), 1.0)
    np.testing.assert_allclose(corr * np.outer(std, std), cov, rtol=1e-14)


def test_stats_names_its_moments():
    model = make(VarianceGamma, 2)
    np.testing.assert_array_equal(model.stats("s"), model.skewness())
    mean, kurtosis = model.stats("km")
    np.testing.assert_array_equal(mean, model.mean())
    np.testing.assert_array_equal(kurtosis, model.kurtosis())
    assert len(model.stats()) == 2
    with pytest.raises(ValueError, match="moments must be letters among m, v, s and k, got 'x'"):
        model.stats("x")
    with pytest.raises(ValueError, match="moments must be letters"):
        model.stats("")
    with pytest.raises(TypeError, match="moments must be a string"):
        model.stats(2)
    with pytest.raises(TypeError, match="k must be an integer"):
        model.raw_moment(1.5)
    with pytest.raises(ValueError, match="k must be at least 0, got -1"):
        model.raw_moment(-1)
    np.testing.assert_array_equal(model.raw_moment(0), [1.0, 1.0])


@needs_jax
@pytest.mark.parametrize("family", [NormalInverseGaussian, NormalInverseGamma])
def test_moments_of_models_on_jax(family, quick_programs):
    assert family in FAMILIES
    model = make(family, 2)
    with jax.enable_x64(True):
        there = jax.tree.map(jax.numpy.asarray, model)
        np.testing.assert_allclose(there.var(), model.var(), rtol=1e-13)
        np.testing.assert_allclose(there.skewness(), model.skewness(), rtol=1e-13)
        cauchy = NormalInverseGamma.from_classical(
            mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=0.5, beta=0.5
        )
        assert np.isnan(jax.jit(lambda m: (m.mean(), m.var()))(cauchy)).all()
