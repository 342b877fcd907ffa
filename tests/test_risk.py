"""Risk measures against sums over Y, closed forms, published figures, draws and differences."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, make, needs_jax, normal_block
from scipy import stats
from scipy.special import ndtr

import nvmix
from nvmix import (
    GeneralizedHyperbolic,
    MultivariateNormal,
    NormalInverseGamma,
    NormalInverseGaussian,
    StudentT,
    VarianceGamma,
    risk,
)
from nvmix.datasets import load_crude_oil

BLOCK = normal_block(3)
SYMMETRIC = {"mu": BLOCK["mu"], "sigma": BLOCK["sigma"]}
MODELS = {family.__name__: make(family, 3) for family in FAMILIES} | {
    "narrow Y": GeneralizedHyperbolic.from_classical(**BLOCK, p=-20.0, a=50.0, b=70.0),
    "density with a pole": VarianceGamma.from_classical(**BLOCK, alpha=0.3, beta=0.4),
    "no variance": NormalInverseGamma.from_classical(**BLOCK, alpha=1.2, beta=0.5),
    "no mean of Y": NormalInverseGamma.from_classical(**BLOCK, alpha=0.8, beta=0.5),
    "StudentT": StudentT.from_classical(**SYMMETRIC, df=3.0),
    "StudentT without variance": StudentT.from_classical(**SYMMETRIC, df=1.5),
    "MultivariateNormal": MultivariateNormal.from_classical(**SYMMETRIC),
}
PORTFOLIOS = np.array([[0.5, 0.3, 0.2], [-0.2, 1.4, 0.0], [0.0, 0.0, -3.0], [1e6, 2e6, -1e6]])
LEVELS = (0.01, 0.5, 0.95, 0.99, 1.0 - 1e-6, 1.0 - 1e-10)
MEASURES = {
    "var": risk.value_at_risk, "es": risk.expected_shortfall, "expectile": risk.expectile
}  # fmt: skip


class Reference(NamedTuple):
    """Losses of a portfolio by Gauss-Legendre rules over log Y, given which they are normal.

    Far out a loss of heavy tails is nearly g Y, so that panels are short near where it is x.
    """

    chance: np.ndarray  # of each Y
    mean: np.ndarray  # of the loss given Y
    deviation: np.ndarray
    means: np.ndarray  # of -X given Y
    slopes: np.ndarray  # Cov(-X, loss) / deviation given Y

    @classmethod
    def of(cls, model, w, x):
        if isinstance(model, MultivariateNormal):
            y, chance = np.ones(1), np.ones(1)
        else:
            edges = np.linspace(-150.0, 150.0, 1201)
            crossing = -(x + w @ model.mu) / (w @ model.gamma) if w @ model.gamma else 0.0
            if crossing > 0.0:
                steps = 0.5 ** np.arange(30.0)
                edges = np.sort([*edges, *(math.log(crossing) + np.append(steps, -steps))])
            half, middle = 0.5 * np.diff(edges)[:, None], 0.5 * (edges[1:] + edges[:-1])[:, None]
            nodes, weights = np.polynomial.legendre.leggauss(14)
            y = np.exp(middle + half * nodes).ravel()
            chance = (half * weights).ravel() * y * model.subordinator.pdf(y)
        means = -model.mu - model.gamma * y[:, None]
        deviation = np.sqrt(y * (w @ model.sigma() @ w))
        slopes = (model.sigma() @ w) * (y / deviation)[:, None]
        return cls(chance, means @ w, deviation, means, slopes)

    def _standard(self, x):
        z = (self.mean - x) / self.deviation
        return z, np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)

    def tail(self, x):
        """P(loss > x)."""
        return self.chance @ ndtr(self._standard(x)[0])

    def excess(self, x, sign=1.0):
        """E[max(sign (loss - x), 0)]."""
        z, density = self._standard(x)
        return self.chance @ (sign * (self.mean - x) * ndtr(sign * z) + self.deviation * density)

    def means_beyond(self, x):
        """E[-X; loss > x]."""
        z, density = self._standard(x)
        return (self.chance * ndtr(z)) @ self.means + (self.chance * density) @ self.slopes

    def means_at(self, x):
        """E[-X | loss = x]."""
        z, density = self._standard(x)
        weight = self.chance * density / self.deviation
        return weight @ (self.means - z[:, None] * self.slopes) / weight.sum()


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    return MODELS[request.param]


def has_mean(model, w):
    """Whether the mean of losses beyond a quantile is finite."""
    return math.isfinite(model.subordinator.mean()) or w @ model.gamma > 0.0


def size_of(model, w):
    """Some size of the loss."""
    return np.sqrt(w @ model.sigma() @ w)


@pytest.mark.parametrize("level", LEVELS)
def test_value_at_risk_is_the_quantile_of_the_loss(model, level):
    for w in PORTFOLIOS:
        x = risk.value_at_risk(model, w, level)
        found = Reference.of(model, w, x).tail(x)
        assert found == pytest.approx(1.0 - level, rel=1e-10)
        assert risk.tail_probability(model, w, x) == pytest.approx(1.0 - level, rel=1e-10)


@pytest.mark.parametrize("level", LEVELS)
def test_expected_shortfall_is_the_mean_beyond_it(model, level):
    for w in PORTFOLIOS:
        x, found = (f(model, w, level) for f in (risk.value_at_risk, risk.expected_shortfall))
        if not has_mean(model, w):
            symmetric = not model.gamma.any() and model.df > 1.0
            assert math.isfinite(found) if symmetric else found == math.inf
            continue
        reference = Reference.of(model, w, x)
        expected = reference.means_beyond(x) / (1.0 - level)
        floor = 1e-11 * size_of(model, w)
        assert found == pytest.approx(expected @ w, rel=1e-10, abs=floor)
        assert found >= x
        gradient = risk.gradient(model, w, level)
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize("level", LEVELS)
def test_gradient_of_value_at_risk_is_a_mean_given_it(model, level):
    for w in PORTFOLIOS:
        x = risk.value_at_risk(model, w, level)
        expected = Reference.of(model, w, x).means_at(x)
        found = risk.gradient(model, w, level, "var")
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize("level", LEVELS)
def test_an_expectile_balances_losses_and_gains(model, level):
    for w in PORTFOLIOS:
        if math.isinf(model.subordinator.mean()):
            continue
        e = risk.expectile(model, w, level)
        reference = Reference.of(model, w, e)
        above, below = level * reference.excess(e), (1.0 - level) * reference.excess(e, -1.0)
        assert above == pytest.approx(below, rel=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("level", LEVELS)
def test_contributions_sum_to_the_risk(model, measure, level):
    for w in PORTFOLIOS:
        total = MEASURES[measure](model, w, level)
        parts = risk.contributions(model, w, level, measure)
        assert parts[w == 0.0].tolist() == [0.0] * (w == 0.0).sum()
        if np.isfinite(parts).all():
            assert parts.sum() == pytest.approx(total, rel=1e-12, abs=1e-12 * abs(parts).max())


@pytest.mark.parametrize("measure", MEASURES)
def test_gradients_are_those_of_differences(model, measure):
    w, h = np.array([0.5, 0.3, 0.2]), 1e-5
    if math.isinf(model.subordinator.mean()) and measure != "var":
        return
    found = risk.gradient(model, w, 0.97, measure)
    for i, step in enumerate(h * np.eye(3)):
        up, down = (MEASURES[measure](model, w + side, 0.97) for side in (step, -step))
        assert found[i] == pytest.approx((up - down) / (2.0 * h), rel=1e-7, abs=1e-8)


def test_second_derivatives_are_those_of_differences(model):
    w, h = np.array([0.5, 0.3, 0.2]), 1e-5
    if math.isinf(model.subordinator.mean()):
        return
    found = risk.hessian(model, w, 0.97)
    for i, step in enumerate(h * np.eye(3)):
        up, down = (risk.gradient(model, w + side, 0.97) for side in (step, -step))
        expected = (up - down) / (2.0 * h)
        np.testing.assert_allclose(found[i], expected, rtol=1e-6, atol=1e-7 * abs(found).max())
    assert abs(found @ w).max() <= 1e-13 * abs(found).max()
    np.testing.assert_array_equal(risk.hessian(model, [w, -w], 0.97)[0], found)


@pytest.mark.parametrize("measure", MEASURES)
def test_many_portfolios_have_the_risks_of_each(model, measure):
    W = np.random.default_rng(0).standard_normal((100, 3))
    W[7] = W[8] = 0.0
    W[7, 0] = W[8, 1] = 1.0
    found = MEASURES[measure](model, W, 0.98)
    each = np.array([MEASURES[measure](model, w, 0.98) for w in W])
    sizes = np.array([size_of(model, w) for w in W])
    finite = np.isfinite(each)
    assert (found[~finite] == each[~finite]).all()
    error = abs(found[finite] - each[finite])
    assert (error <= 1e-11 * (abs(each) + sizes)[finite]).all()
    parts = risk.contributions(model, W, 0.98, measure)
    expected = np.array([risk.contributions(model, w, 0.98, measure) for w in W[:20]])
    np.testing.assert_allclose(parts[:20], expected, rtol=1e-10, atol=1e-10)


def test_draws_have_these_risks():
    model, w, n = MODELS["NormalInverseGaussian"], np.array([0.5, 0.3, 0.2]), 200_000
    losses = -model.rvs(n, seed=1) @ w
    x = risk.value_at_risk(model, w, 0.95)
    beyond = losses[losses > x]
    assert len(beyond) / n == pytest.approx(0.05, abs=4.0 * math.sqrt(0.05 * 0.95 / n))
    error = beyond.std() / math.sqrt(len(beyond))
    assert risk.expected_shortfall(model, w, 0.95) == pytest.approx(beyond.mean(), abs=4.0 * error)
    utility = np.exp(0.3 * losses)
    error = utility.std() / math.sqrt(n)
    expected = math.exp(0.3 * risk.entropic(model, w, 0.3))
    assert expected == pytest.approx(utility.mean(), abs=4.0 * error)
    gains, costs = np.maximum(-losses, 0.0).mean(), np.maximum(losses, 0.0).mean()
    assert risk.omega_ratio(model, w) == pytest.approx(gains / costs, rel=0.02)


def test_omega_and_entropic_risk_are_means_over_y(model):
    for w in PORTFOLIOS:
        reference, size = Reference.of(model, w, 0.0), size_of(model, w)
        finite = math.isfinite(model.subordinator.mean())
        for at in (-2.0 * size, 0.0, size):
            if finite:
                expected = reference.excess(-at, -1.0) / reference.excess(-at)
                assert risk.omega_ratio(model, w, at) == pytest.approx(expected, rel=1e-10)
        for aversion in (1e-6 / size, 0.05 / size, 0.3 / size):
            found = risk.entropic(model, w, aversion)
            if math.isfinite(found):
                exponent = aversion * reference.mean + 0.5 * (aversion * reference.deviation) ** 2
                with np.errstate(over="ignore", invalid="ignore"):
                    terms = np.where(
                        reference.chance > 0.0, reference.chance * np.expm1(exponent), 0
                    )
                expected = math.log1p(terms.sum()) / aversion
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * size)
            else:
                assert model.subordinator.gig[1] < 2.0 * aversion * abs(w @ model.gamma) + 0.1


def test_infinite_means_are_infinite():
    model = MODELS["no mean of Y"]
    towards_losses, towards_gains = [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]
    for f in (risk.expected_shortfall, risk.expectile, risk.entropic):
        assert f(model, towards_losses) == math.inf
    assert risk.expectile(model, towards_gains) == -math.inf
    assert math.isfinite(risk.expected_shortfall(model, towards_gains))
    assert risk.omega_ratio(model, [towards_losses, towards_gains]).tolist() == [0.0, math.inf]
    student = MODELS["StudentT"]
    assert risk.entropic(student, towards_gains, 1e-3) == math.inf
    cauchy = StudentT.from_classical(mu=[0.0], sigma=[[1.0]], df=1.0)
    assert risk.expected_shortfall(cauchy, [1.0]) == math.inf
    assert risk.value_at_risk(cauchy, [1.0]) == pytest.approx(math.tan(0.49 * math.pi), rel=1e-12)
    with pytest.raises(ValueError, match="infinite means of both"):
        risk.omega_ratio(cauchy, [1.0])
    with pytest.raises(ValueError, match="not defined"):
        risk.expectile(cauchy, [1.0])


def test_losses_whose_squares_overflow():
    model = StudentT.from_classical(mu=[0.0, 0.0], sigma=np.eye(2), df=0.03)
    x = risk.value_at_risk(model, [3.0, 4.0], 1.0 - 1e-6)
    assert 1e180 < x < math.inf
    assert risk.tail_probability(model, [3.0, 4.0], x) == pytest.approx(1e-6, rel=1e-9)
    gradient = risk.gradient(model, [3.0, 4.0], 1.0 - 1e-6, "var")
    np.testing.assert_allclose(gradient, np.array([3.0, 4.0]) / 25.0 * x, rtol=1e-12)


def test_closed_forms_of_the_normal_distribution():
    model, w = MODELS["MultivariateNormal"], PORTFOLIOS[0]
    m, s = w @ model.mu, size_of(model, w)
    for level in LEVELS:
        z = -stats.norm.ppf(1.0 - level)
        assert risk.value_at_risk(model, w, level) == pytest.approx(-m + s * z, rel=1e-12)
        expected = -m + s * stats.norm.pdf(z) / (1.0 - level)
        assert risk.expected_shortfall(model, w, level) == pytest.approx(expected, rel=1e-12)
    assert risk.entropic(model, w, 0.7) == pytest.approx(-m + 0.35 * s * s, rel=1e-14)


@pytest.mark.parametrize("df", [1.5, 3.0, 40.0])
def test_closed_forms_of_students_t(df):
    model = StudentT.from_classical(**SYMMETRIC, df=df)
    w, law = PORTFOLIOS[0], stats.t(df)
    m, s = w @ model.mu, size_of(model, w)
    for level in (0.9, 0.975, 0.999):
        q = law.isf(1.0 - level)
        expected = (df + q * q) / (df - 1.0) * law.pdf(q) / (1.0 - level)
        assert risk.value_at_risk(model, w, level) == pytest.approx(-m + s * q, rel=1e-10)
        found = risk.expected_shortfall(model, w, level)
        assert found == pytest.approx(-m + s * expected, rel=1e-10)


def test_figures_of_r_ghyp():
    """R ghyp 1.6.5: qghyp and ESghyp of ghyp(-2, alpha.bar=.5, mu=10, sigma=5, gamma=1).

    Its expected shortfall is integrated numerically, and is a return.
    """
    model = nvmix.from_ghyp(lambda_=-2.0, alpha_bar=0.5, mu=10.0, sigma=5.0, gamma=1.0)
    for probability, quantile in ((0.01, -0.9590633653), (0.5, 10.7180302), (0.99, 26.30782047)):
        loss = risk.value_at_risk(model, [1.0], 1.0 - probability)
        assert -loss == pytest.approx(quantile, rel=1e-9)
    assert -risk.expected_shortfall(model, [1.0], 0.95) == pytest.approx(0.6764827139, rel=1e-8)


def test_weights_come_by_name_and_in_frames():
    X, _ = load_crude_oil()
    model = nvmix.fit(pd.DataFrame(X, columns=["brent", "wti"])).model
    expected = risk.expected_shortfall(model, [0.0, 1.0])
    for weights in ({"wti": 1.0}, {1: 1.0}, pd.Series({"wti": 1.0})):
        assert risk.expected_shortfall(model, weights) == expected
    frame = pd.DataFrame({"wti": [1.0, 0.4], "brent": [0.0, 0.6]}, index=["one", "both"])
    found = risk.expected_shortfall(model, frame)
    assert found.shape == (2,)
    assert found[0] == pytest.approx(expected, rel=1e-14)
    assert risk.contributions(model, frame).shape == (2, 2)
    assert risk.contributions(model, {"wti": 1.0})["brent"] == 0.0


def test_least_risk():
    model = MODELS["NormalInverseGaussian"]
    weights = risk.minimum_risk_weights(model, 0.95)
    least = risk.expected_shortfall(model, weights, 0.95)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (weights >= 0.0).all()
    others = np.random.default_rng(0).dirichlet(np.ones(3), 500)
    assert (risk.expected_shortfall(model, others, 0.95) >= least).all()
    free = risk.minimum_risk_weights(model, 0.95, bounds=(-np.inf, np.inf))
    slopes = risk.gradient(model, free, 0.95)
    np.testing.assert_allclose(slopes, slopes.mean(), rtol=1e-4)
    normal = MODELS["MultivariateNormal"]
    high = risk.minimum_risk_weights(normal, min_return=0.28)
    assert high @ normal.mean() == pytest.approx(0.28, rel=1e-8)
    with pytest.raises(ValueError, match="bounds must allow"):
        risk.minimum_risk_weights(model, bounds=(0.0, 0.2))
    largest = normal.mean().max()
    best = risk.minimum_risk_weights(normal, min_return=largest)
    np.testing.assert_allclose(best, normal.mean() == largest, atol=1e-8)
    with pytest.raises(ValueError, match=f"min_return must be at most {largest}.* got 10.0"):
        risk.minimum_risk_weights(normal, min_return=10.0)
    short = risk.minimum_risk_weights(normal, min_return=10.0, bounds=(-np.inf, np.inf))
    assert short @ normal.mean() == pytest.approx(10.0, rel=1e-8)


def test_standard_errors_of_the_normal_block_are_exact():
    """The variance of w'mu alone, where all else is held."""
    X, _ = load_crude_oil()
    result = nvmix.fit(X, "skewt", criterion="likelihood")
    w = np.array([0.5, 0.5])
    found = risk.standard_error(result, w, 0.95, "var")
    covariance, h = result.standard_errors().covariance, 1e-5
    model, gradient = result.model, []
    elements = np.concatenate(
        [model.mu, model.gamma, model.sigma()[np.tril_indices(2)], [model.alpha, model.beta]]
    )
    for i, value in enumerate(elements):
        ends = []
        for side in (1.0, -1.0):
            mu, gamma, triangle, law = np.split(
                np.where(np.arange(elements.size) == i, value * (1.0 + side * h), elements),
                [2, 4, 7],
            )
            sigma = np.empty((2, 2))
            sigma[np.tril_indices(2)] = sigma.T[np.tril_indices(2)] = triangle
            moved = type(model).from_classical(
                mu=mu, gamma=gamma, sigma=sigma, alpha=law[0], beta=law[1]
            )
            ends.append(risk.value_at_risk(moved, w, 0.95))
        gradient.append((ends[0] - ends[1]) / (2.0 * h * value))
    assert found == pytest.approx(math.sqrt(gradient @ covariance @ gradient), rel=1e-6)


@pytest.mark.parametrize("measure", MEASURES)
def test_units_do_not_matter(model, measure):
    w = PORTFOLIOS[0]
    expected = MEASURES[measure](model, w, 0.98)
    for other in (model.rescaled(1e9), model.rescaled(1e-9)):
        assert MEASURES[measure](other, w, 0.98) == pytest.approx(expected, rel=1e-11)
    for c in (1e-200, 1e200):
        assert MEASURES[measure](model, c * w, 0.98) == pytest.approx(c * expected, rel=1e-13)


@needs_jax
def test_models_on_jax_are_taken_from_there():
    import jax

    model = MODELS["NormalInverseGaussian"]
    with jax.enable_x64(True):
        there = jax.tree.map(jax.numpy.asarray, model)
        found = risk.expected_shortfall(there, jax.numpy.asarray(PORTFOLIOS))
    np.testing.assert_allclose(found, risk.expected_shortfall(model, PORTFOLIOS), rtol=1e-14)
    with pytest.raises(TypeError, match="JAX trace"):
        jax.jit(risk.value_at_risk)(model, PORTFOLIOS[0])


@needs_jax
@pytest.mark.exhaustive
def test_derivatives_are_those_of_jax():
    import jax
    import jax.numpy as jnp
    from jax.scipy.stats import norm

    model, w, level = MODELS["NormalInverseGaussian"], PORTFOLIOS[0], 0.95
    reference = Reference.of(model, w, risk.value_at_risk(model, w, level))
    y = (reference.deviation / size_of(model, w)) ** 2
    some = reference.chance > 0.0
    y, chance = y[some], reference.chance[some]

    def shortfall_beyond(w, q):
        """Expected shortfall where q is the value at risk, and least there."""
        mean = -(w @ there.mu) - (w @ there.gamma) * y
        deviation = jnp.sqrt(y * (w @ there.sigma() @ w))
        z = (mean - q) / deviation
        excess = chance @ ((mean - q) * norm.cdf(z) + deviation * norm.pdf(z))
        return q + excess / (1.0 - level)

    with jax.enable_x64(True):
        there = jax.tree.map(jnp.asarray, model)
        x = jnp.asarray(w)
        loss = jax.jit(lambda x: -there.linear(x).ppf(1.0 - level))
        q, by_w = jax.value_and_grad(loss)(x)
        shortfall, of_shortfall = jax.value_and_grad(shortfall_beyond)(x, q)
        mixed = jax.jacfwd(jax.grad(shortfall_beyond), argnums=(0, 1))(x, q)
        hessian = mixed[0] + jnp.outer(mixed[1], by_w)
        found = {"var": (float(q), np.asarray(by_w))}
        found |= {"es": (float(shortfall), np.asarray(of_shortfall))}
    for measure, (value, slopes) in found.items():
        assert value == pytest.approx(MEASURES[measure](model, w, level), rel=1e-10)
        expected = risk.gradient(model, w, level, measure)
        np.testing.assert_allclose(slopes, expected, rtol=1e-10, atol=1e-10)
        parts = risk.contributions(model, w, level, measure)
        np.testing.assert_allclose(w * slopes, parts, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(hessian, risk.hessian(model, w, level), rtol=1e-9, atol=1e-9)


def test_standard_errors_equal_a_parametric_bootstrap():
    """The standard deviation of 800 fits has a relative error of 2.5 percent."""
    law = NormalInverseGaussian.from_classical(**normal_block(2), mu_ig=1.2, lam=0.8)
    result = nvmix.fit(law.rvs(2000, seed=1), criterion="likelihood")
    model, w = result.model, np.array([0.7, 0.3])
    samples = [model.rvs(2000, seed) for seed in range(800)]
    fits = nvmix.fit_many(samples, "nig", criterion="likelihood")
    assert all(fit.converged for fit in fits)
    for measure, level in (("var", 0.99), ("es", 0.975), ("expectile", 0.99)):
        estimates = [MEASURES[measure](fit.model, w, level) for fit in fits]
        found = risk.standard_error(result, [w, -w], level, measure)
        assert found[0] == pytest.approx(risk.standard_error(result, w, level, measure), rel=1e-9)
        assert found[0] == pytest.approx(np.std(estimates), rel=0.1)

    for f, measure, settings in (
        (risk.tail_probability, "tail_probability", {"threshold": 2.0}),
        (risk.omega_ratio, "omega_ratio", {"threshold": 0.1}),
        (risk.entropic, "entropic", {"risk_aversion": 0.3}),
    ):
        estimates = [f(fit.model, w, *settings.values()) for fit in fits]
        found = risk.standard_error(result, w, measure=measure, **settings)
        assert found == pytest.approx(np.std(estimates), rel=0.1)


@pytest.mark.parametrize("family", ["nig", "skewt", "gh", "hyperbolic", "t"])
def test_standard_errors_by_differences_are_those_of_derivatives(family):
    """The probability beyond the value at risk q varies by -f(q) times as much as q."""
    law = NormalInverseGaussian.from_classical(**normal_block(2), mu_ig=1.2, lam=0.8)
    result = nvmix.fit(law.rvs(2000, seed=1), family, criterion="likelihood")
    w = np.array([[0.7, 0.3], [-0.5, 1.0]])
    q = risk.value_at_risk(result.model, w, 0.95)
    density = [result.model.linear(-each).pdf(at) for each, at in zip(w, q, strict=True)]
    found = risk.standard_error(result, w, measure="tail_probability", threshold=q)
    expected = risk.standard_error(result, w, 0.95, "var") * np.ravel(density)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_infinite_risks_have_no_standard_error():
    law = NormalInverseGamma.from_classical(
        mu=[0.0, 0.0], gamma=[0.3, -0.3], sigma=np.eye(2), alpha=0.8, beta=1.0
    )
    result = nvmix.fit(law.rvs(2000, seed=1), "skewt", criterion="likelihood")
    assert math.isfinite(risk.standard_error(result, [0.0, 1.0], measure="var"))
    assert math.isfinite(risk.standard_error(result, [1.0, 0.0], measure="es"))
    with pytest.raises(ValueError, match=r"measure must be finite .* got 'es' of inf for portfol"):
        risk.standard_error(result, [[1.0, 0.0], [0.0, 1.0]], measure="es")
    with pytest.raises(ValueError, match="got 'expectile' of -inf for portfolio 0"):
        risk.standard_error(result, [1.0, 0.0], measure="expectile")
    with pytest.raises(ValueError, match="got 'entropic' of inf for portfolio 0"):
        risk.standard_error(result, [1.0, 0.0], measure="entropic")
    with pytest.raises(ValueError, match="got 'omega_ratio' of inf for portfolio 0"):
        risk.standard_error(result, [1.0, 0.0], measure="omega_ratio")
    with pytest.raises(ValueError, match=r"measure must be one of .*'entropic', got 'cvar'"):
        risk.standard_error(result, [1.0, 0.0], measure="cvar")


@pytest.mark.parametrize(
    "measure",
    [
        risk.value_at_risk,
        risk.expected_shortfall,
        risk.expectile,
        risk.gradient,
        risk.contributions,
        risk.hessian,
        risk.omega_ratio,
        risk.entropic,
        lambda m, w: risk.tail_probability(m, w, 1.0),
    ],
)
def test_every_measure_takes_weights_by_name_and_names_what_is_wrong(measure):
    X = MODELS["NormalInverseGaussian"].rvs(500, seed=0)
    model = nvmix.fit(pd.DataFrame(X, columns=["a", "b", "c"])).model
    expected = measure(model, [0.5, 0.0, 1.0])
    for weights in ({"c": 1.0, "a": 0.5}, pd.Series({"c": 1.0, "b": 0.0, "a": 0.5})):
        found = measure(model, weights)
        found = list(found.values()) if isinstance(found, dict) else found
        np.testing.assert_array_equal(found, expected)
    for weights, match in (
        ([1.0, 2.0], r"weights must have shape \(k, 3\) or \(3,\), got \(1, 2\)"),
        ({"a": 1.0, "oil": 1.0}, "weights must be among .* a, b, c; got 'oil'"),
        (pd.Series({"a": 1.0, "oil": 1.0}), "weights must be among .* got 'oil'"),
        (pd.Series({"a": 1.0, "b": np.nan}), "weights must be finite, got nan"),
    ):
        with pytest.raises(ValueError, match=match):
            measure(model, weights)


@pytest.mark.parametrize("derivative", [risk.gradient, risk.contributions])
def test_derivatives_have_the_names_of_weights(derivative):
    X = MODELS["NormalInverseGaussian"].rvs(500, seed=0)
    model = nvmix.fit(pd.DataFrame(X, columns=["a", "b", "c"])).model
    expected = derivative(model, [0.5, 0.0, 1.0])
    by_name = dict(zip("abc", expected.tolist(), strict=True))
    assert derivative(model, {"c": 1.0, "a": 0.5}) == by_name
    found = derivative(model, pd.Series({"c": 1.0, "a": 0.5}))
    pd.testing.assert_series_equal(found, pd.Series(by_name))
    frame = pd.DataFrame({"c": [1.0], "a": [0.5]}, index=["mine"])
    pd.testing.assert_frame_equal(derivative(model, frame), pd.DataFrame([by_name], index=["mine"]))
    assert derivative(replace(model, columns=None), {2: 1.0, 0: 0.5}).keys() == {0, 1, 2}


def test_a_fit_stands_for_its_model():
    result, w = nvmix.fit(MODELS["NormalInverseGaussian"].rvs(300, seed=0)), [0.5, 0.3, 0.2]
    for measure in (risk.expected_shortfall, risk.contributions, risk.omega_ratio, risk.hessian):
        np.testing.assert_array_equal(measure(result, w), measure(result.model, w))
    found = risk.minimum_risk_weights(result)
    np.testing.assert_array_equal(found, risk.minimum_risk_weights(result.model))


def test_standard_errors_are_of_the_rows_that_were_fitted():
    X = MODELS["NormalInverseGaussian"].rvs(500, seed=0)
    result, w = nvmix.fit(X, criterion="likelihood"), [0.5, 0.3, 0.2]
    assert risk.standard_error(result, w, X=X) == risk.standard_error(result, w)
    with pytest.raises(ValueError, match="X must be the 500 rows that were fitted, got 100"):
        risk.standard_error(result, w, X=X[:100])


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95, np.nan])
def test_every_measure_names_a_level_outside_its_domain(level):
    result = nvmix.fit(MODELS["NormalInverseGaussian"].rvs(500, seed=0), criterion="likelihood")
    w = [0.5, 0.3, 0.2]
    for call in (
        lambda: risk.value_at_risk(result.model, w, level),
        lambda: risk.expected_shortfall(result.model, w, level),
        lambda: risk.expectile(result.model, w, level),
        lambda: risk.gradient(result.model, w, level),
        lambda: risk.contributions(result.model, w, level),
        lambda: risk.hessian(result.model, w, level),
        lambda: risk.minimum_risk_weights(result.model, level),
        lambda: risk.standard_error(result, w, level),
    ):
        with pytest.raises(ValueError, match=f"level must be .* got {float(level)}"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda m: risk.value_at_risk(m, [1.0, 2.0]),
            ValueError,
            r"weights must have shape .*\(3,\)",
        ),
        (
            lambda m: risk.value_at_risk(m, {"oil": 1.0}),
            ValueError,
            "weights must be among .*'oil'",
        ),
        (lambda m: risk.value_at_risk(m, [0.0, 0.0, 0.0]), ValueError, "weights must not all be 0"),
        (lambda m: risk.value_at_risk(m, [np.nan, 0.0, 0.0]), ValueError, "weights must be finite"),
        (lambda m: risk.value_at_risk(m, [1.0] * 3, 99), ValueError, "level must be .*99"),
        (lambda m: risk.value_at_risk(m, [1.0] * 3, "0.9"), TypeError, "level must be .*'0.9'"),
        (lambda m: risk.expected_shortfall(m, [1.0] * 3, 1.0), ValueError, "level must be .*1.0"),
        (lambda m: risk.contributions(m, [1.0] * 3, 0.9, "cvar"), ValueError, "measure .*'cvar'"),
        (lambda m: risk.tail_probability(m, [1.0] * 3, [1.0, 2.0]), ValueError, "threshold must"),
        (
            lambda m: risk.tail_probability(m, [1.0] * 3, np.inf),
            ValueError,
            "threshold must be fin",
        ),
        (lambda m: risk.entropic(m, [1.0] * 3, 0.0), ValueError, "risk_aversion must be pos"),
        (
            lambda _: risk.value_at_risk("nig", [1.0]),
            TypeError,
            "model must be a fit or a model such as a NormalInverseGaussian, got str",
        ),
        (
            lambda _: risk.minimum_risk_weights("nig"),
            TypeError,
            "model must be a fit .* str",
        ),
        (lambda m: risk.standard_error(m, [1.0] * 3), TypeError, "result must be an EMResult"),
        (lambda m: risk.minimum_risk_weights(m, bounds=(0, [1, 2])), ValueError, "bounds must be"),
        (lambda m: risk.minimum_risk_weights(m, bounds=1), TypeError, "bounds must be a pair"),
        (
            lambda _: risk.minimum_risk_weights(
                MODELS["no mean of Y"], 0.9, measure="var", min_return=0
            ),
            ValueError,
            r"min_return needs a model with a finite mean, got \[inf, -inf, inf\]",
        ),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call(MODELS["NormalInverseGaussian"])
