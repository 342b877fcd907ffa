"""Linear maps, marginals, conditionals, sums, posteriors and missing values of a model."""

import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, HAS_JAX, make, needs_jax
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import fixed_quad, quad

from nvmix import (
    GIG,
    GeneralizedHyperbolic,
    Hyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    VarianceGamma,
)
from nvmix.backends import get_backend

if HAS_JAX:
    import jax
    import jax.numpy as jnp

LIMITS = {
    "b=0": GeneralizedHyperbolic.from_classical(
        mu=[0.1, 0.2, 0.3], gamma=[0.4, -0.2, 0.1],
        sigma=[[1.0, 0.3, 0.2], [0.3, 2.0, 0.1], [0.2, 0.1, 0.5]], p=3.5, a=2.0, b=0.0,
    ),
    "a=0": GeneralizedHyperbolic.from_classical(
        mu=[0.1, 0.2, 0.3], gamma=[0.4, -0.2, 0.1],
        sigma=[[1.0, 0.3, 0.2], [0.3, 2.0, 0.1], [0.2, 0.1, 0.5]], p=-2.5, a=0.0, b=2.0,
    ),
    "t": NormalInverseGamma.from_classical(
        mu=[0.1, 0.2, 0.3], gamma=np.zeros(3),
        sigma=[[1.0, 0.3, 0.2], [0.3, 2.0, 0.1], [0.2, 0.1, 0.5]], alpha=1.5, beta=1.5,
    ),
    "normal": NormalInverseGaussian.from_classical(
        mu=[-9.0, 9.0, 0.0], gamma=[9.0, -9.0, 0.0],
        sigma=[[1.0, 0.3, 0.2], [0.3, 2.0, 0.1], [0.2, 0.1, 0.5]], mu_ig=1.0, lam=1e8,
    ),
}  # fmt: skip
NAMES = ("spx", "oil", "gold")


@pytest.fixture(params=[*FAMILIES, *LIMITS], ids=lambda key: getattr(key, "__name__", key))
def wide(request):
    """A model of three columns, of each family and at limits."""
    return LIMITS[request.param] if request.param in LIMITS else make(request.param, 3)


def named(model, names=NAMES):
    """The model with names of columns."""
    return type(model)(model.mu, model.gamma, model.L_sigma, model.subordinator, names)


def assert_same_law(one, other, rtol=1e-13):
    """One class, one law of Y, and parameters that agree to rounding of their size."""
    assert type(one) is type(other)
    assert one.columns == other.columns
    scale = np.sqrt(np.diag(other.sigma()))
    for a, b in ((one.mu, other.mu), (one.gamma, other.gamma)):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale.max())
    np.testing.assert_allclose(
        one.sigma() / np.outer(scale, scale), other.sigma() / np.outer(scale, scale), atol=rtol
    )
    np.testing.assert_allclose(one.subordinator.gig, other.subordinator.gig, rtol=rtol)


def test_a_marginal_is_the_integral_over_the_other_column(family):
    model = make(family)
    for keep in (0, 1):
        marginal = model.marginal(keep)
        other = 1 - keep
        middle = float(model.mu[other])
        for x in (-1.3, 0.4, 2.2):
            point = np.full(2, x)

            def density(y, point=point, other=other):
                point[other] = y
                return model.pdf(point)

            parts = [quad(density, *ends, limit=500, epsabs=1e-13, epsrel=1e-11)[0]
                     for ends in ((-np.inf, middle), (middle, np.inf))]  # fmt: skip
            assert marginal.pdf(x) == pytest.approx(sum(parts), rel=1e-9)


def test_a_portfolio_is_the_integral_over_the_others(family):
    """P(w'X <= q) of a model of two columns by its density in the plane."""
    model = make(family)
    w, q = np.array([0.7, -0.4]), 0.3
    portfolio = model.linear(w)
    one, _ = quad(portfolio.pdf, -40.0, q, limit=500, points=[float(portfolio.mu[0])])

    def inside(x):
        def along(y):
            return model.pdf(np.column_stack([np.full_like(y, x), y]))

        return fixed_quad(along, (w[0] * x - q) / 0.4, 25.0, n=200)[0]

    two, _ = quad(inside, -12.0, 14.0, epsabs=1e-5, epsrel=1e-5)
    assert two == pytest.approx(one, abs=1e-3)


def test_an_invertible_map_moves_the_density(wide):
    A, b = (
        np.array([[2.0, 1.0, 0.0], [0.0, -1.0, 1.0], [1.0, 1.0, 1.0]]),
        np.array([1.0, 2.0, -3.0]),
    )
    x = wide.rvs(50, seed=1)
    expected = wide.log_prob(x) - np.log(abs(np.linalg.det(A)))
    moved = wide.linear(A, b)
    assert type(moved) is type(wide)
    np.testing.assert_allclose(moved.log_prob(x @ A.T + b), expected, rtol=1e-11, atol=1e-11)


@given(st.integers(0, 2**32 - 1), st.sampled_from([*FAMILIES]))
def test_a_map_of_a_map_is_the_map_of_the_product(seed, family):
    rng = np.random.default_rng(seed)
    model = make(family, 4)
    A, B = rng.standard_normal((3, 4)), rng.standard_normal((2, 3))
    a, b = rng.standard_normal(3), rng.standard_normal(2)
    assert_same_law(model.linear(A, a).linear(B, b), model.linear(B @ A, B @ a + b), rtol=1e-10)
    assert_same_law(model.linear(A, a).marginal([2, 0]), model.linear(A[[2, 0]], a[[2, 0]]), 1e-10)


@given(st.integers(0, 2**32 - 1), st.sampled_from([*FAMILIES]), st.integers(1, 3))
def test_conditional_times_marginal_is_the_joint_density(seed, family, k):
    rng = np.random.default_rng(seed)
    model = make(family, 4)
    columns = rng.permutation(4)[:k].tolist()
    rest = [i for i in range(4) if i not in columns]
    x = model.rvs(1, seed)[0]
    conditional = model.conditional(dict(zip(columns, x[columns], strict=True)))
    total = conditional.log_prob(x[rest]) + model.marginal(columns).log_prob(x[columns])
    assert total == pytest.approx(model.log_prob(x), rel=1e-12, abs=1e-12)


def test_conditional_times_marginal_at_limits(wide):
    X = wide.rvs(20, seed=3)
    laws = wide.conditional({2: X[:, 2], 0: X[:, 0]})
    total = [law.log_prob(x[1]) for law, x in zip(laws, X, strict=True)]
    total += wide.marginal([0, 2]).log_prob(X[:, [0, 2]])
    # The normal limit's log-densities are differences of numbers of 1e8.
    tol = 1e-12 if wide is not LIMITS["normal"] else 1e-6
    np.testing.assert_allclose(total, wide.log_prob(X), rtol=tol, atol=tol)


def test_conditionals_of_rows_are_those_of_each(wide):
    model = named(wide)
    laws = model.conditional({"oil": np.array([0.5, -1.5]), 0: 2.0})
    assert len(laws) == 2
    for law, oil in zip(laws, (0.5, -1.5), strict=True):
        assert_same_law(law, model.conditional(pd.Series({"spx": 2.0, "oil": oil})))
        assert law.columns == ("gold",)
    assert model.conditional({0: np.empty(0)}) == []


def test_the_class_follows_from_the_law_of_y():
    expected = {
        VarianceGamma: (VarianceGamma, GeneralizedHyperbolic),
        NormalInverseGamma: (NormalInverseGamma, GeneralizedHyperbolic),
        NormalInverseGaussian: (NormalInverseGaussian, GeneralizedHyperbolic),
        GeneralizedHyperbolic: (GeneralizedHyperbolic, GeneralizedHyperbolic),
        # p = (d + 1) / 2 is no longer true of a map, but of a conditional.
        Hyperbolic: (GeneralizedHyperbolic, Hyperbolic),
    }
    for family, (of_map, of_conditional) in expected.items():
        model = make(family, 3)
        assert type(model.linear(np.ones((2, 3)) + np.eye(2, 3))) is of_map
        assert type(model.marginal([0, 1])) is of_map
        assert type(model[[2, 0, 1]]) is family
        assert type(model.conditional({0: 1.0})) is of_conditional
    hyperbolic = make(Hyperbolic, 3)
    assert hyperbolic.marginal(0).p == 2.0
    assert hyperbolic.conditional({0: 1.0, 1: 0.0}).p == 1.0
    student = LIMITS["t"]
    conditional = student.conditional({1: 2.0})
    assert type(conditional) is NormalInverseGamma
    assert conditional.alpha == 2.0
    assert conditional.beta == pytest.approx(1.5 + 0.5 * 1.8**2 / 2.0)


def test_a_subclass_of_a_family_keeps_its_class():
    class Mine(NormalInverseGaussian):
        pass

    model = make(Mine if Mine in FAMILIES else NormalInverseGaussian)
    mine = Mine(model.mu, model.gamma, model.L_sigma, model.subordinator)
    assert type(mine.marginal(0)) is Mine
    assert type(mine.conditional({0: 0.0})) is GeneralizedHyperbolic
    assert type(model.marginal(0)) is NormalInverseGaussian


def test_columns_and_their_names():
    model = named(make(VarianceGamma, 3))
    for chosen in (["gold", "spx"], [2, 0], [-1, -3], np.array([2, 0]), pd.Index(["gold", "spx"])):
        marginal = model[chosen]
        assert marginal.columns == ("gold", "spx")
        np.testing.assert_array_equal(marginal.mu, model.mu[[2, 0]])
        assert_same_law(marginal, model.marginal(chosen))
    for chosen in ("oil", 1, np.int64(1), slice(1, 2), [False, True, False]):
        assert model[chosen].columns == ("oil",)
    np.testing.assert_array_equal(model[:2].L_sigma, model.L_sigma[:2, :2])
    np.testing.assert_array_equal(model[:].L_sigma, model.L_sigma)
    assert make(VarianceGamma, 3)[[0, 2]].columns is None
    with pytest.raises(TypeError, match="not iterable"):
        iter(model)


def test_weights_by_name():
    model = named(make(NormalInverseGaussian, 3))
    plain = model.linear([0.25, 0.0, 0.75], 1.0)
    assert plain.columns is None
    assert_same_law(model.linear({"gold": 0.75, "spx": 0.25}, [1.0]), plain)
    assert_same_law(model.linear({2: 0.75, 0: 0.25}, 1.0), plain)
    series = pd.Series({"gold": 0.75, "spx": 0.25})
    assert_same_law(model.linear(series, 1.0), plain)
    assert model.linear(series.rename("fund")).columns == ("fund",)
    frame = pd.DataFrame({"oil": [0.5, 0.1], "spx": [0.5, 0.2]}, index=["A", "B"])
    both = model.linear(frame, [1.0, 2.0])
    assert both.columns == ("A", "B")
    by_array = model.linear([[0.5, 0.5, 0.0], [0.2, 0.1, 0.0]], [1.0, 2.0])
    assert_same_law(both, named(by_array, ("A", "B")))
    # Labels of a DataFrame that are numbers are names, where the model has names.
    years = named(model, ("2020", "2021", "2022"))
    assert_same_law(years.linear(pd.Series({2021: 1.0})), years.linear([0.0, 1.0, 0.0]))
    with pytest.raises(ValueError, match="columns of the model, 2020"):
        years.linear({"spx": 1.0})


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda m: m.linear([1.0, 2.0]), ValueError, r"A must have shape \(k, 3\) or \(3,\), got"),
        (lambda m: m.linear([[1.0] * 3, [2.0] * 3]), ValueError, "A must have rank 2.*got rank 1"),
        (lambda m: m.linear([[0.1, 0.2, 0.3], [0.3, 0.6, 0.9]]), ValueError, "got rank 1"),
        (lambda m: m.linear(np.eye(4, 3)), ValueError, "A must have rank 4.*got 3 columns"),
        (lambda m: m.linear(np.zeros(3)), ValueError, "A must have rank 1.*got rank 0"),
        (lambda m: m.linear([1.0, np.nan, 0.0]), ValueError, "A must be finite, got nan"),
        (lambda m: m.linear("abc"), TypeError, "A must hold real numbers"),
        (lambda m: m.linear(np.ones(3), [1.0, 2.0]), ValueError, r"b must .*\(1,\), got"),
        (lambda m: m.linear(np.ones(3), np.inf), ValueError, "b must be finite, got inf"),
        (lambda m: m.linear({"dax": 1.0}), ValueError, "A must be among .*spx.*got 'dax'"),
        (lambda m: m.linear({}), ValueError, "A must be at least one column"),
        (lambda m: m.linear({3: 1.0}), ValueError, "A must be positions of 3 columns, got 3"),
        (lambda m: m.linear({"spx": 1.0, 0: 2.0}), ValueError, "A must be different columns"),
        (lambda m: m.linear({True: 1.0}), TypeError, "A must be positions or names .*got True"),
        (lambda m: m.linear({1.5: 1.0}), TypeError, "A must be positions or names .*got 1.5"),
        (lambda m: m.linear({"spx": "x"}), TypeError, "A must hold real numbers"),
        (lambda m: m.linear(1e200 * np.ones((1, 3))), ValueError, "must be finite"),
        (lambda m: m.marginal([]), ValueError, "columns must be at least one column"),
        (lambda m: m.marginal([0, 0]), ValueError, "columns must be different"),
        (lambda m: m["dax"], ValueError, "columns must be among .*got 'dax'"),
        (lambda m: m[3], ValueError, "columns must be positions of 3 columns, got 3"),
        (lambda m: m[[True, False]], ValueError, "columns must have 3 flags"),
        (lambda m: m[[True, 0, 1]], TypeError, "columns must be positions or names .*got True"),
        (lambda m: m[None], TypeError, "columns must be positions or names .*got None"),
        (lambda m: m["a":"b"], TypeError, "columns must be a slice of positions"),
        (lambda m: m.conditional({}), ValueError, "given must be at least one column"),
        (lambda m: m.conditional(dict.fromkeys(NAMES, 0.0)), ValueError, "given must leave"),
        (lambda m: m.conditional([1.0]), TypeError, "given must have values by column"),
        (lambda m: m.conditional({"spx": np.nan}), ValueError, "given must be finite, got nan"),
        (lambda m: m.conditional({"spx": np.ones((1, 2))}), ValueError, "given must have numbers"),
        (
            lambda m: m.conditional({"spx": [1.0, 2.0], "oil": [1.0, 2.0, 3.0]}),
            ValueError,
            "given must have arrays of one length",
        ),
        (lambda m: m.conditional({"spx": 1e200}), ValueError, "given must not be where .* is 0"),
        (lambda m: m.horizon(0.0), ValueError, "t must be positive"),
        (lambda m: m.horizon("x"), TypeError, "t must be a real number"),
        (lambda m: m.rvs(3, 0, return_mixing=1), TypeError, "return_mixing must be True or False"),
        (lambda m: m.log_prob(np.zeros(3), missing="no"), ValueError, "missing must be one of"),
        (lambda m: m.log_prob([np.nan, 0.0, 0.0]), ValueError, "x must be finite, got nan"),
        (lambda m: m.log_prob([np.inf, 0.0, 0.0], missing="em"), ValueError, "finite or nan"),
        (lambda m: m.posterior([np.nan, 0.0, 0.0]), ValueError, "x must be finite, got nan"),
        (lambda m: m.impute([[np.inf, 0.0, 0.0]]), ValueError, "X must be finite or nan"),
        (lambda m: m.impute(pd.DataFrame({"a": [1.0], "b": [1.0], "c": [1.0]})), ValueError,
         "X must have the columns of the model"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call(named(make(NormalInverseGaussian, 3)))


def test_a_point_of_infinite_density_is_not_given():
    laplace = VarianceGamma.from_classical(
        mu=[0.0, 0.0], gamma=[0.0, 0.0], sigma=np.eye(2), alpha=0.5, beta=1.0
    )
    with pytest.raises(ValueError, match=r"density of its columns is infinite, got \[0.0\]"):
        laplace.conditional({0: [1.0, 0.0]})
    assert laplace.conditional({0: 1e-9}).b == pytest.approx(1e-18)


def test_a_map_of_columns_that_nearly_cancel():
    """A hedged portfolio keeps the digits of its variance, by QR of rows of L."""
    model = NormalInverseGaussian(
        np.zeros(2), np.zeros(2), np.array([[1.0, 0.0], [1.0, 1e-9]]),
        make(NormalInverseGaussian).subordinator,
    )  # fmt: skip
    assert model.linear([1.0, -1.0]).L_sigma[0, 0] == pytest.approx(1e-9, rel=1e-14)


@pytest.mark.parametrize("t", [1.0, 2.0, 21.0, 0.3])
@pytest.mark.parametrize("family", [NormalInverseGaussian, VarianceGamma])
def test_a_horizon_multiplies_cumulants(family, t):
    model = named(make(family, 2), ("a", "b"))
    total = model.horizon(t)
    assert type(total) is family
    assert total.columns == ("a", "b")
    np.testing.assert_allclose(total.mean(), t * model.mean(), rtol=1e-13)
    np.testing.assert_allclose(total.cov(), t * model.cov(), rtol=1e-13)
    np.testing.assert_allclose(total.skewness(), model.skewness() / np.sqrt(t), rtol=1e-12)
    np.testing.assert_allclose(total.kurtosis(), model.kurtosis() / t, rtol=1e-12)
    assert_same_law(total.horizon(1.0 / t), model)


def test_a_horizon_of_two_is_a_convolution():
    for family in (NormalInverseGaussian, VarianceGamma):
        model = make(family, 1)
        total = model.horizon(2)
        for x in (-0.5, 1.0):
            value, _ = quad(
                lambda y, x=x, model=model: model.pdf(y) * model.pdf(x - y), -40, 40, limit=500,
                points=[float(model.mu[0]), x - float(model.mu[0])],
            )  # fmt: skip
            assert total.pdf(x) == pytest.approx(value, rel=1e-8)


def test_horizons_at_limits_and_of_other_laws():
    gamma = LIMITS["b=0"].horizon(2.0)
    assert gamma.subordinator == GIG(7.0, 2.0, 0.0)
    hyperbolic = Hyperbolic.from_classical(mu=[0.0], gamma=[0.1], sigma=[[1.0]], a=2.0, b=0.0)
    assert type(hyperbolic.horizon(2.0)) is GeneralizedHyperbolic
    assert type(hyperbolic.horizon(1.0)) is Hyperbolic
    cauchy = NormalInverseGamma.from_classical(
        mu=[1.0], gamma=[0.0], sigma=[[1.0]], alpha=0.5, beta=0.5
    )
    total = cauchy.horizon(3.0)  # Cauchy laws: locations and scales add up
    assert total.pdf(3.5) == pytest.approx(3.0 / np.pi / (9.0 + 0.25), rel=1e-13)
    for family in (NormalInverseGamma, GeneralizedHyperbolic, Hyperbolic):
        with pytest.raises(ValueError, match="horizon needs a law of Y whose sums have a closed"):
            make(family).horizon(2.0)


def test_the_posterior_is_the_law_of_y_given_x(wide):
    X = wide.rvs(5, seed=1)
    posterior = wide.posterior(X)
    assert len(posterior) == 5
    conditional = wide.marginal([0, 1, 2])
    g = np.linalg.solve(wide.L_sigma, wide.gamma)
    w = np.linalg.solve(wide.L_sigma, (X - wide.mu).T)
    p, a, b = wide.subordinator.gig
    np.testing.assert_allclose(posterior.p, p - 1.5)
    np.testing.assert_allclose(posterior.a, a + g @ g, rtol=1e-13)
    np.testing.assert_allclose(posterior.b, b + (w * w).sum(axis=0), rtol=1e-13)
    for i, law in enumerate(posterior):
        assert isinstance(law, GIG)
        log_y, inv_y, y = law.gig_expectations
        np.testing.assert_allclose(posterior.mean()[i], y, rtol=1e-14)
        np.testing.assert_allclose(posterior.mean_inverse()[i], inv_y, rtol=1e-14)
        np.testing.assert_allclose(posterior.mean_log()[i], log_y, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(posterior.var()[i], law.var(), rtol=1e-14)
        # Bayes: f(x | y) f(y) / f(x).
        y = np.exp(log_y)
        z = (np.linalg.solve(wide.L_sigma, X[i] - wide.mu - wide.gamma * y)) / np.sqrt(y)
        log_normal = -0.5 * (z @ z) - 1.5 * np.log(2.0 * np.pi * y) - 0.5 * wide.log_det_sigma()
        bayes = log_normal + wide.subordinator.log_prob(y) - conditional.log_prob(X[i])
        if wide is not LIMITS["normal"]:
            assert law.log_prob(y) == pytest.approx(bayes, abs=1e-11)
        one = wide.posterior(X[i])
        for name in ("mean", "var", "mean_inverse", "mean_log"):
            value, values = getattr(one, name)(), getattr(posterior, name)()
            assert isinstance(value, float)
            np.testing.assert_allclose(value, values[i], rtol=1e-13, atol=1e-14)
    assert len(posterior[1:3]) == 2
    with pytest.raises(TypeError, match="one point has no length"):
        len(wide.posterior(X[0]))


def test_the_e_step_sums_the_posterior(wide):
    X = wide.rvs(200, seed=2)
    posterior, eta = wide.posterior(X), wide.e_step(X)
    np.testing.assert_allclose(posterior.mean_inverse().mean(), eta.E_inv_Y, rtol=1e-12)
    np.testing.assert_allclose(posterior.mean().mean(), eta.E_Y, rtol=1e-12)
    np.testing.assert_allclose(posterior.mean_log().mean(), eta.E_log_Y, rtol=1e-11, atol=1e-13)


def test_many_posteriors_come_from_a_table(wide):
    X = wide.rvs(3000, seed=2)
    posterior = wide.posterior(X)
    some = posterior[::100]
    for i in (0, 11, 29):
        log_y, inv_y, y = some[i].gig_expectations
        np.testing.assert_allclose(some.mean_log()[i], log_y, rtol=2e-13, atol=2e-13)
        np.testing.assert_allclose(posterior.mean()[100 * i], y, rtol=2e-13)
        np.testing.assert_allclose(posterior.mean_inverse()[100 * i], inv_y, rtol=2e-13)
    assert len(posterior[posterior.b > np.median(posterior.b)]) == 1500
    np.testing.assert_allclose(posterior.var()[700], posterior[700].var(), rtol=1e-13)


def test_variates_with_their_mixing_variable(wide):
    X, y = wide.rvs(4000, 5, return_mixing=True)
    np.testing.assert_array_equal(X, wide.rvs(4000, 5))
    np.testing.assert_array_equal(y, wide.subordinator.rvs(4000, 5))
    z = np.linalg.solve(wide.L_sigma, (X - wide.mu - np.outer(y, wide.gamma)).T / np.sqrt(y))
    np.testing.assert_allclose(np.cov(z), np.eye(3), atol=0.12)


HOLES = np.array(
    [[0.5, np.nan, 1.0], [0.1, 0.2, 0.3], [np.nan, np.nan, -1.0], [np.nan] * 3, [0.5, np.nan, 2.0]]
)


def test_missing_values_are_integrated_out(wide):
    expected = [wide[[0, 2]].log_prob(HOLES[0, [0, 2]]), wide.log_prob(HOLES[1]),
                wide[2].log_prob(-1.0), 0.0, wide[[0, 2]].log_prob(HOLES[4, [0, 2]])]  # fmt: skip
    np.testing.assert_allclose(wide.log_prob(HOLES, missing="em"), expected, rtol=1e-13)
    np.testing.assert_allclose(wide.pdf(HOLES, missing="em"), np.exp(expected), rtol=1e-12)
    total = wide.marginal_log_likelihood(HOLES, missing="em")
    assert total == pytest.approx(np.mean(expected), rel=1e-13)
    assert wide.log_prob(HOLES[2], missing="em") == pytest.approx(expected[2], rel=1e-13)
    complete = wide.rvs(10, seed=0)
    np.testing.assert_array_equal(wide.log_prob(complete, missing="em"), wide.log_prob(complete))
    frame = pd.DataFrame(HOLES, columns=NAMES)
    np.testing.assert_array_equal(
        named(wide).log_prob(frame, missing="em"), wide.log_prob(HOLES, missing="em")
    )
    with pytest.raises(ValueError, match="X must be finite, got nan"):
        wide.marginal_log_likelihood(HOLES)
    posterior = wide.posterior(HOLES, missing="em")
    assert posterior[3] == GIG(*wide.subordinator.gig)
    one = wide[2].posterior(-1.0)
    np.testing.assert_allclose(posterior[2].gig, (one.p, one.a, one.b), rtol=1e-13)


def test_missing_values_agree_with_the_e_step(wide):
    X = wide.rvs(300, seed=6)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    backend = get_backend("cpu")
    eta = backend.e_step(backend.place(X, missing=True), wide.normal, wide.subordinator.gig)
    found = wide.marginal_log_likelihood(X, missing="em")
    np.testing.assert_allclose(found, eta.mean_log_likelihood, rtol=1e-12)
    posterior = wide.posterior(X, missing="em")
    np.testing.assert_allclose(posterior.mean_inverse().mean(), eta.E_inv_Y, rtol=1e-12)


def test_imputed_values_are_conditional_means(wide):
    filled = wide.impute(HOLES)
    present = ~np.isnan(HOLES)
    np.testing.assert_array_equal(filled[present], HOLES[present])
    tol = {"rtol": 1e-12, "atol": 1e-13}
    one = wide.conditional({0: 0.5, 2: 1.0})
    np.testing.assert_allclose(filled[0, 1], one.mean()[0], **tol)
    np.testing.assert_allclose(filled[2, :2], wide.conditional({2: -1.0}).mean(), **tol)
    np.testing.assert_allclose(filled[3], wide.mean(), **tol)
    frame = pd.DataFrame(HOLES, columns=NAMES, index=list("abcde"))
    result = named(wide).impute(frame)
    assert isinstance(result, pd.DataFrame)
    pd.testing.assert_frame_equal(result, pd.DataFrame(filled, columns=NAMES, index=frame.index))
    assert np.isnan(frame.to_numpy()).any()


def test_one_column_is_imputed_in_its_shape():
    model = make(NormalInverseGaussian, 1)
    np.testing.assert_allclose(model.impute([1.0, np.nan]), [1.0, model.mean()[0]])


@needs_jax
@pytest.mark.exhaustive
def test_maps_trace():
    model = make(GeneralizedHyperbolic, 3)
    X = model.rvs(4, seed=0)
    A = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 1.0]])
    with jax.enable_x64(True):

        @jax.jit
        def log_densities(model, A, x):
            moved, kept = model.linear(A, 0.5), model[[2, 0]]
            law = model.conditional({1: x[0, 1]})
            return (
                moved.log_prob(x[:, :2]), kept.log_prob(x[:, :2]), law.log_prob(x[:, :2]),
                model.posterior(x).mean(), model.posterior(x).var(), model.std(), model.corr(),
            )  # fmt: skip

        found = log_densities(model, A, X)
        first = jax.jit(lambda m, x: m.posterior(x)[0].mean())(model, X)
        np.testing.assert_allclose(first, model.posterior(X)[0].mean(), rtol=1e-10)
        law = model.conditional({1: X[0, 1]})
        expected = (
            model.linear(A, 0.5).log_prob(X[:, :2]), model[[2, 0]].log_prob(X[:, :2]),
            law.log_prob(X[:, :2]), model.posterior(X).mean(), model.posterior(X).var(),
            model.std(), model.corr(),
        )  # fmt: skip
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10)

        def risk(w):
            return model.linear(w).log_prob(jnp.array([[0.3]]))[0]

        w = np.array([0.2, 0.3, 0.5])
        slope, h = jax.grad(risk)(jnp.array(w)), 1e-5
        steps = [(risk(jnp.array(w + h * e)) - risk(jnp.array(w - h * e))) / (2.0 * h)
                 for e in np.eye(3)]  # fmt: skip
        np.testing.assert_allclose(slope, steps, rtol=1e-6, atol=1e-8)


@needs_jax
@pytest.mark.exhaustive
def test_horizons_trace():
    model = make(NormalInverseGaussian, 2)
    with jax.enable_x64(True):
        mean, cov = jax.jit(lambda m, t: (m.horizon(t).mean(), m.horizon(t).cov()))(model, 3.0)
        slope = jax.grad(lambda t: model.horizon(t).cov()[0, 0])(2.0)
    np.testing.assert_allclose(mean, 3.0 * model.mean(), rtol=1e-12)
    np.testing.assert_allclose(cov, 3.0 * model.cov(), rtol=1e-12)
    np.testing.assert_allclose(slope, model.cov()[0, 0], rtol=1e-12)
    hyperbolic = Hyperbolic.from_classical(mu=[0.0], gamma=[0.1], sigma=[[1.0]], a=2.0, b=0.0)
    assert jax.jit(lambda t: hyperbolic.horizon(t).subordinator.p)(2.0) == 2.0


@needs_jax
def test_a_traced_model_keeps_its_class():
    kinds = {}

    @jax.jit
    def note(model):
        kinds.update(
            map=type(model.marginal(0)), order=type(model[[1, 0]]),
            conditional=type(model.conditional({0: 0.0})),
        )  # fmt: skip
        return model.mu

    note(make(Hyperbolic))
    assert list(kinds.values()) == [GeneralizedHyperbolic, Hyperbolic, Hyperbolic]
    note(LIMITS["t"])
    assert list(kinds.values()) == [NormalInverseGamma] * 2 + [GeneralizedHyperbolic]


@needs_jax
def test_what_does_not_trace_says_so():
    model, x = make(NormalInverseGaussian), np.zeros((1, 2))
    for name, call in {
        "skewness": lambda m: m.skewness(), "raw_moment": lambda m: m.raw_moment(2),
        "mardia_kurtosis": lambda m: m.mardia_kurtosis(), "impute": lambda m: m.impute(x),
        "missing='em'": lambda m: m.log_prob(x, missing="em"),
    }.items():  # fmt: skip
        with pytest.raises(TypeError, match=name):
            jax.jit(call)(model)
