"""Divergences between two models: Kullback-Leibler and squared Hellinger.

Of the law of (X, Y) both have a closed form. Of the law of X they are a sum over nodes for one
column, and else means over draws, whose variance control variates with known means reduce.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from nvmix.backends import get_backend
from nvmix.foundation.arrays import traced
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import boolean, generator, integer
from nvmix.mixture.em_maps import Mixture, check_mixture
from nvmix.mixture.parts.normal_maps import triangular
from nvmix.sources.frames import same_columns

# Nodes are at multiples of 2^-level within _REACH, where the map of a half-line passes 1e300.
_LEVELS: Final = range(5, 18)
_REACH: Final = 6.75
# Change from one level to the next, of a value and of the masses, that ends the halving.
_RELATIVE: Final = 1e-12
_MASS: Final = 1e-6


# A function of the log-densities of both laws at points.
Term: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


class Divergence(NamedTuple):
    """A divergence and its standard error: 0 of a closed form, the last change of a sum.

    Parameters
    ----------
    value : float
        The divergence.
    standard_error : float
        Its error.

    Examples
    --------
    >>> from nvmix import StudentT, kl_divergence
    >>> f, g = (StudentT.from_classical(mu=0.0, sigma=1.0, df=df) for df in (4.0, 10.0))
    >>> value, error = kl_divergence(f, g)
    >>> round(value, 6), error < 1e-9
    (0.032167, True)
    """

    value: float
    standard_error: float


def kl_divergence(
    f: Any, g: Any, *, joint: bool = False, n: int = 100_000, seed: Any = None
) -> Divergence:
    r"""Kullback-Leibler divergence of g from f, :math:`E_f[\ln f(X) - \ln g(X)]`, in nats.

    Parameters
    ----------
    f, g : NormalMixture
        Models of as many columns, of any families.
    joint : bool
        Whether of the laws of (X, Y), in closed form; it is at least that of X, and depends on the
        gauges.
    n : int
        Number of draws from f for more than one column, at least 2.
    seed : int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    Divergence
        Value and standard error. The value is inf where f has tails so heavy that the mean is.

    Raises
    ------
    TypeError, ValueError
        If f or g is no model, JAX traces it, they differ in their columns, or an argument is
        outside its domain.

    Notes
    -----
    For more than one column, ln f(X) - ln g(X) is regressed on conditional means given X: those of
    log Y, 1/Y, Y, and of the log-ratio of the joint densities. Their expectations under f are
    closed forms, so that only what the regression leaves has a sampling error.

    References
    ----------
    S. Kullback and R. A. Leibler, On information and sufficiency, Annals of Mathematical Statistics
    22 (1951), 79-86.

    Examples
    --------
    >>> import nvmix
    >>> from nvmix.datasets import load_crude_oil
    >>> X, _ = load_crude_oil()
    >>> nig, vg = nvmix.fit(X, "nig").model, nvmix.fit(X, "vg").model
    >>> value, error = nvmix.kl_divergence(nig, vg, seed=0)
    >>> bool(0.0 < value < 0.1), bool(error < 0.001)
    (True, True)
    """
    f, g = _pair(f, g, joint=joint)
    n, rng = integer("n", n, 2), generator(seed)
    if joint:
        return Divergence(_joint_kl(f, g), 0.0)
    if _is_infinite(f, g):
        return Divergence(math.inf, 0.0)
    if f.d == 1:
        return _sum_over_nodes(f, g, _kl_term)
    # In a gauge in which the laws of Y are of one size, c is close to the log-ratio.
    f_log, g_log = f.subordinator.gig_expectations[0], g.subordinator.gig_expectations[0]
    g = g.rescaled(math.exp(f_log - g_log))
    X = f.rvs(n, rng)
    return Divergence(*_controlled(f.log_prob(X) - g.log_prob(X), _controls(f, g, X)))


def squared_hellinger(
    f: Any, g: Any, *, joint: bool = False, n: int = 100_000, seed: Any = None
) -> Divergence:
    r"""Squared Hellinger distance, :math:`1 - \int \sqrt{f(x)\,g(x)}\,dx`, between 0 and 1.

    Parameters
    ----------
    f, g : NormalMixture
        Models of as many columns, of any families.
    joint : bool
        Whether of the laws of (X, Y), in closed form; it is at least that of X, and depends on the
        gauges.
    n : int
        Number of draws, half from f and half from g, for more than one column, at least 4.
    seed : int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    Divergence
        Value and standard error.

    Raises
    ------
    TypeError, ValueError
        As of `kl_divergence`.

    Notes
    -----
    With D = ln f(X) - ln g(X) it is the mean of 1 - sech(D / 2) under (f + g) / 2, a bounded
    function; tanh(D / 2) has mean 0, and is the control variate.

    References
    ----------
    E. Hellinger, Neue Begründung der Theorie quadratischer Formen von unendlichvielen
    Veränderlichen, Journal für die reine und angewandte Mathematik 136 (1909), 210-271.

    Examples
    --------
    >>> import nvmix
    >>> def student(df):
    ...     return nvmix.NormalInverseGamma.from_classical(
    ...         mu=[0.0], gamma=[0.0], sigma=[[1.0]], alpha=0.5 * df, beta=0.5 * df)
    >>> round(nvmix.squared_hellinger(student(1), student(2)).value, 6)
    0.019774
    """
    f, g = _pair(f, g, joint=joint)
    n, rng = integer("n", n, 4), generator(seed)
    if joint:
        return Divergence(_joint_hellinger(f, g), 0.0)
    if f.d == 1:
        return _sum_over_nodes(f, g, _hellinger_term)
    rows = [law.rvs(n // 2, rng) for law in (f, g)]
    halves = np.array([0.5 * (f.log_prob(X) - g.log_prob(X)) for X in rows])
    with np.errstate(over="ignore"):
        values = 1.0 - 1.0 / np.cosh(halves)
    # Draws are paired, one from either model: pairs are independent and alike.
    return Divergence(*_controlled(values.mean(axis=0), np.tanh(halves).mean(axis=0)[:, None]))


def _pair(f: Any, g: Any, *, joint: bool) -> tuple[Mixture, Mixture]:
    """Both models on the host; TypeError or ValueError if they cannot be compared."""
    for name, law in (("f", f), ("g", g)):
        check_mixture(name, law)
        if traced(*law.normal, *law.subordinator.gig):
            msg = f"{name} must not be traced by JAX: divergences are computed in NumPy"
            raise TypeError(msg)
        if boolean("joint", joint) and law.subordinator.is_constant:
            msg = f"joint must be False where {name} is normal: its Y has no density"
            raise ValueError(msg)
    if f.d != g.d:
        msg = f"g must have {f.d} columns, as f has, got {g.d}"
        raise ValueError(msg)
    same_columns("g", g.columns, f.columns)
    return f.on_host(), g.on_host()


def _controlled(values: FloatArray, controls: FloatArray) -> tuple[float, float]:
    """Mean of values (n,) and its standard error, by regression on controls (n, m) of mean 0."""
    size = controls.std(axis=0)
    controls = controls / np.where(size > 0.0, size, 1.0)
    centred = controls - controls.mean(axis=0)
    slopes = np.linalg.lstsq(centred, values - values.mean(), rcond=None)[0]
    rest = values - controls @ slopes
    return float(rest.mean()), float(rest.std(ddof=1) / math.sqrt(len(rest)))


def _product(coefficient: float, expectation: float) -> float:
    """Product with 0 inf = 0."""
    return coefficient * expectation if coefficient != 0.0 else 0.0


def _normal_terms(f: Mixture, g: Mixture, L: FloatArray) -> tuple[float, float, float]:
    """Quadratic forms of the differences of mu and gamma, and their product, under (L L')^-1."""
    inverse = inverse_lower(L)
    mu, gamma = inverse @ (f.mu - g.mu), inverse @ (f.gamma - g.gamma)
    return float(mu @ mu), float(mu @ gamma), float(gamma @ gamma)


def _joint_kl(f: Mixture, g: Mixture) -> float:
    """KL divergence of the laws of (X, Y): that of X given Y, in the mean, and that of Y."""
    log_y, inv_y, y = f.subordinator.gig_expectations
    by_mu, mixed, by_gamma = _normal_terms(f, g, g.L_sigma)
    scale = np.square(inverse_lower(g.L_sigma) @ f.L_sigma).sum() - f.d
    constant = float(scale) + g.log_det_sigma() - f.log_det_sigma()
    (p, a, b), (p_g, a_g, b_g) = f.subordinator.gig, g.subordinator.gig
    total = 0.5 * (constant + 2.0 * mixed)
    total += g.subordinator.log_partition() - f.subordinator.log_partition()
    total += (p - p_g) * log_y
    # E[1/Y] is infinite only where b = 0, and E[Y] where a = 0: both coefficients are then >= 0.
    total += 0.5 * (_product(by_mu + b_g - b, inv_y) + _product(by_gamma + a_g - a, y))
    return max(total, 0.0)


def _joint_hellinger(f: Mixture, g: Mixture) -> float:
    """Squared Hellinger distance of the laws of (X, Y): an lnZ between those of f and g."""
    L = _factor_of_mean(f, g)
    by_mu, mixed, by_gamma = _normal_terms(f, g, L)
    p, a, b = (0.5 * (x + y) for x, y in zip(f.subordinator.gig, g.subordinator.gig, strict=True))
    log_affinity = get_backend().gig_law((p, a + 0.25 * by_gamma, b + 0.25 * by_mu))[0]
    log_affinity -= 0.5 * (f.subordinator.log_partition() + g.subordinator.log_partition())
    log_affinity += 0.25 * (f.log_det_sigma() + g.log_det_sigma() - mixed)
    log_affinity -= float(np.log(L.diagonal()).sum())
    return max(-math.expm1(log_affinity), 0.0)


def _factor_of_mean(f: Mixture, g: Mixture) -> FloatArray:
    """Lower Cholesky factor of the mean of both scale matrices."""
    return triangular(np.hstack([f.L_sigma, g.L_sigma]) * math.sqrt(0.5))


def _controls(f: Mixture, g: Mixture, X: FloatArray) -> FloatArray:
    """Functions of rows X (n, d), (n, m), whose means under f are 0 by the tower rule.

    They are the conditional means given x of log Y, 1/Y and Y, where these have variances, and of
    ln f(x, Y) - ln g(x, Y), less their means; and the log-densities of normal distributions.
    """
    normals = [law for law in (f, g) if law.subordinator.is_constant]
    controls = [law.log_prob(X) - _mean_of_log(law, f) for law in normals]
    if f.subordinator.is_constant:
        return np.column_stack(controls)
    posterior, law = f.posterior(X), f.subordinator
    given = posterior.mean_log(), posterior.mean_inverse(), posterior.mean()
    exist = np.isfinite(np.diag(law.gig_covariance()))
    controls += [
        x - mean for x, mean, one in zip(given, law.gig_expectations, exist, strict=True) if one
    ]
    total = math.inf if normals else _joint_kl(f, g)
    if math.isfinite(total):
        controls.append(_log_joint(f, X, *given) - _log_joint(g, X, *given) - total)
    return np.column_stack(controls)


def _mean_of_log(normal: Mixture, f: Mixture) -> float:
    """Mean of the log-density of a normal distribution under f, whose covariance is finite."""
    trace = inverse_lower(normal.L_sigma) @ np.linalg.cholesky(f.cov())
    value: float = normal.log_prob(f.mean()) - 0.5 * np.square(trace).sum()
    return value


def _log_joint(
    law: Mixture, X: FloatArray, log_y: FloatArray, inv_y: FloatArray, y: FloatArray
) -> FloatArray:
    """Log-density of (x, Y) for rows X, up to a constant, with means in place of functions of Y."""
    p, a, b = law.subordinator.gig
    inverse = inverse_lower(law.L_sigma)
    w, skew = (X - law.mu) @ inverse.T, inverse @ law.gamma
    size = (np.square(w).sum(axis=1) + b) * inv_y + (skew @ skew + a) * y
    constant = 0.5 * law.log_det_sigma() + law.subordinator.log_partition()
    value: FloatArray = w @ skew - 0.5 * size + (p - 1.0 - 0.5 * law.d) * log_y - constant
    return value


def _is_infinite(f: Mixture, g: Mixture) -> bool:
    """Whether E|X| is infinite under f where ln g falls linearly, or E|X|^2 where g is normal.

    Tails of f fall as a power where a = 0: of exponent alpha on the side of gamma, or of 2 alpha on
    every side with gamma = 0. Those of g fall exponentially but where a = 0 and there.
    """
    p, a, _ = f.subordinator.gig
    if g.subordinator.is_constant and not np.isfinite(f.cov()).all():
        return True
    if a > 0.0 or -p > (1.0 if f.gamma.any() else 0.5):
        return False
    if g.subordinator.gig[1] > 0.0:
        return True
    inverse = inverse_lower(g.L_sigma)
    u, v = inverse @ f.gamma, inverse @ g.gamma
    return bool(np.linalg.norm(u) * np.linalg.norm(v) - u @ v > 1e-12 * (u @ u + v @ v)) or (
        bool(v.any()) and not u.any()
    )


def _kl_term(log_f: FloatArray, log_g: FloatArray) -> FloatArray:
    """f ln (f / g) - f + g, which is not negative: masses are equal."""
    f, g = np.exp(log_f), np.exp(log_g)
    terms: FloatArray = np.where(f > 0.0, f * (log_f - log_g), 0.0) - f + g
    return terms


def _hellinger_term(log_f: FloatArray, log_g: FloatArray) -> FloatArray:
    """Half the square of the difference of roots."""
    terms: FloatArray = 0.5 * np.square(np.exp(0.5 * log_f) - np.exp(0.5 * log_g))
    return terms


def _sum_over_nodes(f: Mixture, g: Mixture, term: Term) -> Divergence:
    """Integral over x of a term of the log-densities of two laws of one column.

    The line is cut at both mu, where densities may have cusps and poles, and each part is mapped so
    that the integrand falls doubly exponentially; the trapezoidal rule then converges fast (H.
    Takahasi and M. Mori, Publ. RIMS 9, 1974). Points are offsets from the nearer mu, so that poles
    keep their digits. The step is halved until the value is settled and both masses are 1.
    """
    f_0, g_0 = f.linear([1.0], -f.mu), g.linear([1.0], -g.mu)
    shift = float(f.mu[0] - g.mu[0])
    logs = sum(law.subordinator.gig_expectations[0] for law in (f, g))
    size = math.sqrt(f.L_sigma[0, 0] * g.L_sigma[0, 0]) * math.exp(0.25 * logs)

    def sums(t: FloatArray) -> FloatArray:
        below, above, step = (
            np.concatenate(x) for x in zip(*_parts(t, abs(shift), size), strict=True)
        )
        from_f, from_g = (below, above) if shift <= 0.0 else (above, below)
        log_f, log_g = f_0.log_prob(from_f), g_0.log_prob(from_g)
        values = np.array([term(log_f, log_g), np.exp(log_f), np.exp(log_g)])
        integrals: FloatArray = np.where(np.isfinite(values), values, 0.0) @ step
        return integrals

    with np.errstate(all="ignore"):
        total, change = np.zeros(3), math.inf
        for level in _LEVELS:
            h = 2.0**-level
            t = np.arange(-math.floor(_REACH / h), math.floor(_REACH / h) + 1.0)
            if level > _LEVELS.start:
                t = t[t % 2.0 == 1.0]
            new = 0.5 * total + h * sums(h * t)
            change, total = abs(float(new[0] - total[0])), new
            missed = float(np.abs(total[1:] - 1.0).max())
            if level > _LEVELS.start and missed < _MASS and change <= _RELATIVE * total[0] + 1e-17:
                return Divergence(max(float(total[0]), 0.0), change)
    return Divergence(max(float(total[0]), 0.0), max(change, missed))


def _parts(
    t: FloatArray, gap: float, size: float
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Offsets of nodes from the lower and from the upper mu, and the derivative by t, by part."""
    sinh, cosh = np.sinh(t), np.cosh(t)
    u = size * np.exp(0.5 * math.pi * sinh)
    step = 0.5 * math.pi * u * cosh
    yield u + gap, u, step
    yield -u, -(u + gap), step
    if gap > 0.0:
        left, right = (gap / (1.0 + np.exp(sign * math.pi * sinh)) for sign in (-1.0, 1.0))
        inside = (left > 0.0) & (right > 0.0)
        step = np.where(inside, math.pi * cosh * left * (right / gap), 0.0)
        yield left, -right, step
