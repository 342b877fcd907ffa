"""The best log-likelihood that many starts, long plain EM and exact climbs find for one family.

Rows are searched in whitened coordinates. `search` gives a `Reference`: a value with a status.

- interior: a smooth maximum, where plain EM stays
- cusp: mu at a row of the data, where the density of a variance gamma has a cusp
- vg, skewt: the boundary b = 0 or a = 0 of the generalized hyperbolic (or hyperbolic)
- limit: the supremum is approached as a, b or alpha tends to a limit outside the family
- singular: it is approached as Sigma becomes singular, as for one-sided data
- gaussian: the normal law is as likely
- unbounded: every climb ran towards an infinite likelihood; there is no value

Ends that run towards an infinite likelihood are left out, as of a variance gamma at alpha <= d / 2,
or of any family where a few rows repeat: the gradient by log-scale does not vanish there.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from likelihood_climb import (
    COLLAPSED,
    Array,
    Climbed,
    Form,
    Law,
    Point,
    climb,
    gauged,
    log_likelihood,
    tightness,
)
from scipy.cluster.vq import kmeans2

from nvmix import BatchEMFitter, NormalInverseGaussian
from nvmix.distributions.families import FAMILIES

# GH comes last, since it starts from the ends of the others.
ORDER = ("nig_sym", "skewt_sym", "nig", "skewt", "vg", "hyperbolic", "gh")
# Special cases, than which a maximum is at least as likely.
NESTED = {"nig": ("nig_sym",), "skewt": ("skewt_sym",), "gh": ("nig", "skewt")}
SHORT, LONG = 400, 8_000
# Rows times iterations of a long fit.
BUDGET = 600_000
# A stationary end has less slope per row.
FLAT = 1e-4
# Ends that differ by less are one; so many distinct ones are climbed from.
SAME, MOST_ENDS, ENOUGH = 1e-3, 14, 3
# How near a row is at mu, and a loss at a tenth of a parameter that says that it does not matter.
AT_ROW, INDIFFERENT = 1e-6, 1e-6
# Laws of Y with heavy and light tails, by family; p of `hyperbolic` depends on d.
HEAVY: dict[str, Law] = {
    "nig": (-0.5, 0.05, 1.0), "skewt": (-0.5, 0.0, 1.0), "vg": (0.0, 1.0, 0.0),
    "hyperbolic": (0.0, 0.2, 0.2), "gh": (-0.3, 0.03, 1.0),
}  # fmt: skip
LIGHT: dict[str, Law] = {
    "nig": (-0.5, 3.0, 3.0), "skewt": (-4.0, 0.0, 7.0), "vg": (4.0, 7.0, 0.0),
    "hyperbolic": (0.0, 4.0, 3.0), "gh": (0.5, 3.0, 3.0),
}  # fmt: skip


@dataclass
class Reference:
    """What is known of the maximum of one family on one data set."""

    status: str
    value: float | None
    normal: float
    plain: float
    squarem: float
    stays: bool = False
    tight: float = np.nan
    rivals: list[float] = field(default_factory=list)
    point: Point | None = None


@dataclass
class Problem:
    """Whitened rows of one data set, and the family that is searched."""

    W: Array
    family: str

    def __post_init__(self) -> None:
        self.name = self.family.removesuffix("_sym")
        self.symmetric = self.family.endswith("_sym")
        self.type: Any = FAMILIES[self.name]
        self.d = self.W.shape[1]

    def law(self, laws: dict[str, Law]) -> Law:
        p, a, b = laws[self.name]
        p += {"hyperbolic": 0.5 * (self.d + 1), "vg": 0.5 * self.d + 0.8}.get(self.name, 0.0)
        return p, a, b

    def model(self, point: Point) -> Any:
        law = self.type._subordinator_type.from_gig(*point.law)  # noqa: SLF001
        gamma = np.zeros(self.d) if self.symmetric else point.gamma
        return self.type(point.mu, gamma, point.L, law)

    def em(self, model: Any, max_iter: int, acceleration: str = "none") -> Any:
        fitter = BatchEMFitter(
            max_iter=max_iter,
            criterion="likelihood",
            tol=1e-13,
            acceleration=acceleration,
            symmetric=self.symmetric,
        )
        return fitter.run(model, self.W)

    def climb(self, point: Point) -> Climbed:
        return climb(self.W, point, self.family)


def whitened(X: Array) -> tuple[Array, float]:
    """Rows in units of a robust covariance, and the log-determinant of the map back."""
    center = np.median(X, axis=0)
    size = np.subtract(*np.percentile(X, (75, 25), axis=0)) / 1.35
    size = np.where(size > 1e-3 * X.std(axis=0), size, X.std(axis=0))
    Z = (X - center) / size
    C = np.cov(np.clip(Z, -10.0, 10.0), rowvar=False).reshape(X.shape[1], -1)
    # Clipped columns may be equal.
    L = np.linalg.cholesky(C + 1e-9 * np.eye(len(C)))
    return np.linalg.solve(L, Z.T).T, float(np.log(size).sum() + np.log(np.diag(L)).sum())


def normal_value(W: Array) -> float:
    n, d = W.shape
    C = np.cov(W, rowvar=False, bias=True).reshape(d, d)
    return -0.5 * n * (d * np.log(2.0 * np.pi) + np.linalg.slogdet(C)[1] + d)


def groups(W: Array, rng: np.random.Generator) -> Iterator[tuple[Array, bool]]:
    """Rows that a start is centred on, and whether the others are its tails."""
    n, d = W.shape
    some = W if n <= 800 else W[rng.choice(n, 800, replace=False)]
    distance = np.square(some[:, None] - some[None]).sum(axis=2)
    for share in (0.25, 0.5):
        k = max(d + 2, int(share * len(some)))
        yield some[np.argsort(distance[np.argmin(np.sort(distance, axis=1)[:, k - 1])])[:k]], True
    for k in (2, 3):
        labels = kmeans2(np.clip(W, -10.0, 10.0), k, seed=rng, minit="++", missing="warn")[1]
        for label in range(k):
            yield W[labels == label], True
    for _ in range(3):
        yield W[rng.choice(n, int(rng.integers(d + 2, max(d + 3, n // 3 + 1))))], False


def starts(problem: Problem, rng: np.random.Generator) -> Iterator[Point]:
    """Diverse points to climb from."""
    W, d = problem.W, problem.d
    heavy, light = problem.law(HEAVY), problem.law(LIGHT)
    first = NormalInverseGaussian.default_init(W)
    yield Point(first.mu, first.gamma, first.L_sigma, light)
    zero = np.zeros(d)
    mad = np.median(np.abs(W - np.median(W, axis=0)), axis=0) + 1e-3
    yield Point(np.median(W, axis=0), zero, np.diag(mad), heavy)
    mean = W.mean(axis=0)
    for rows, is_core in groups(W, rng):
        if len(rows) < d + 2:
            continue
        C = np.cov(rows, rowvar=False).reshape(d, d)
        L = np.linalg.cholesky(C + (1e-3 * np.trace(C) / d + 1e-8) * np.eye(d))
        center = rows.mean(axis=0)
        law = heavy if is_core else light
        yield Point(center, zero, L, law)
        if is_core and not problem.symmetric:
            yield Point(center, 0.5 * (mean - center), L, law)
    if not problem.symmetric:
        yield from one_sided(W, heavy, light)


def one_sided(W: Array, heavy: Law, light: Law) -> Iterator[Point]:
    """Points with mu at an edge of the data, and little noise along gamma, which points inwards."""
    n, d = W.shape
    clipped = np.clip(W, -10.0, 10.0)
    R = clipped - clipped.mean(axis=0)
    skewness = (np.square(R).sum(axis=1) @ R) / n
    axes = [sign * axis for axis in np.eye(d) for sign in (1.0, -1.0)]
    for direction in (skewness, *axes):
        u = direction / np.linalg.norm(direction)
        t = W @ u
        center = np.median(W, axis=0)
        inwards = np.median(t) - t.min() + 0.05
        L = np.linalg.cholesky(0.5 * (np.eye(d) - 0.98 * np.outer(u, u)))
        for law in (heavy, light):
            yield Point(center - inwards * u, inwards * u, L, law)


def crossed(problem: Problem, known: dict[str, Point]) -> Iterator[Point]:
    """The ends of other families, moved to this one."""
    for family, point in known.items():
        other = Problem(problem.W, family)
        p, a, b = gauged(point).law
        if problem.name == "gh":
            mu, gamma, L, _ = gauged(point)
            yield Point(mu, gamma, L, (p, max(a, 1e-5), max(b, 1e-5)))
        try:
            eta = other.model(point).e_step(problem.W)
            model = problem.type.from_expectation(eta)
        except ValueError:
            continue
        yield Point(model.mu, model.gamma, model.L_sigma, model.subordinator.gig)


def point_of(model: Any) -> Point:
    return Point(model.mu, model.gamma, model.L_sigma, model.subordinator.gig)


def em_ends(
    problem: Problem, known: dict[str, Point], rng: np.random.Generator
) -> list[tuple[float, Point]]:
    """Ends of short plain fits from all starts, the likeliest first, equal ones once."""
    ends = []
    for start in [*crossed(problem, known), *starts(problem, rng)]:
        try:
            result = problem.em(problem.model(start), SHORT)
        except (ValueError, FloatingPointError):
            continue
        if np.isfinite(result.log_likelihood):
            ends.append((float(result.log_likelihood), point_of(result.model)))
    ends.sort(key=lambda end: -end[0])
    return ends


def at_cusps(problem: Problem, end: Climbed, count: int = 3) -> list[Climbed]:
    """Climbs with mu held at each of the rows next to an end."""
    mu, _, L, _ = end.point
    R = np.linalg.solve(L, (problem.W - mu).T)
    rows = np.unique(problem.W[np.argsort(np.square(R).sum(axis=0))[:count]], axis=0)
    starts_there = [end.point._replace(mu=row) for row in rows]
    return [climb(problem.W, start, problem.family, 3, hold=True) for start in starts_there]


def best_cusps(problem: Problem, found: list[Any], normal: float) -> list[Any]:
    """The likeliest cusp of those around the likeliest one, again until none is likelier."""
    cusps = [item for item in found if item[1] == "cusp"]
    for _ in range(3 if cusps else 0):
        best = max(cusps, key=value_of)
        around = at_cusps(problem, best[2], 10)
        cusps += [(end.value, status_of(problem, end, normal), end) for end in around]
        cusps = [item for item in cusps if item[1] != "unbounded"]
        if max(cusps, key=value_of)[0] < best[0] + SAME:
            break
    return cusps


def is_spike(problem: Problem, point: Point) -> bool:
    """Whether mu is at a row where the density is infinite, or tends to be."""
    p, _, b = gauged(point).law
    R = np.linalg.solve(point.L, (problem.W - point.mu).T)
    near = float(np.square(R).sum(axis=0).min()) < 1e-6
    return near and b < 1e-5 and 0.0 < p < 0.5 * problem.d + 0.1


def status_of(problem: Problem, end: Climbed, normal: float) -> str:
    """Status of a stationary end, or "unbounded" for one that is not."""
    point = gauged(end.point)
    p, a, b = point.law
    R = np.linalg.solve(point.L, (problem.W - point.mu).T)
    at_row = float(np.sqrt(np.square(R).sum(axis=0).min())) < AT_ROW
    # The likelihood of a hyperbolic is bounded.
    if not np.isfinite(end.value) or (end.slope > FLAT and problem.name != "hyperbolic"):
        return "unbounded"
    if problem.name == "vg" and p < 0.5 * problem.d + 2e-3 and (at_row or problem.d < 3):
        return "unbounded"
    if end.value < normal + 1e-5:
        return "gaussian"
    if at_row and b < 1e-6:
        return "cusp" if p > 0.5 * problem.d else "unbounded"
    if name := limit_of(problem, point, end.value - INDIFFERENT):
        return name
    return "limit" if max(abs(p), a, b) > 1e5 else "interior"


def limit_of(problem: Problem, point: Point, least: float) -> str:
    """The limit that a stationary point is next to, where a tenth of a parameter is as likely."""
    (p, a, b), form = point.law, Form.of(problem.family)

    def is_as_likely(other: Point) -> bool:
        return log_likelihood(problem.W, other) > least

    R = np.linalg.solve(point.L, (problem.W - point.mu).T)
    skewness = np.abs(np.linalg.solve(point.L, point.gamma) @ R).max()
    if skewness > 0.03 * COLLAPSED:
        return "singular"
    if (tight := tightness(point)) < 0.02:
        U, size, _ = np.linalg.svd(point.L)
        size[-1] *= 0.1
        narrower = point._replace(L=np.linalg.cholesky((U * size**2) @ U.T))
        end = climb(problem.W, narrower, problem.family, 2)
        if end.value > least and tightness(end.point) < 0.3 * tight:
            return "singular"
    if form.has_b and is_as_likely(point._replace(law=(p, a, 0.1 * b))):
        return "vg" if problem.name in ("gh", "hyperbolic") else "limit"
    if form.has_a and is_as_likely(point._replace(law=(p, 0.1 * a, b))):
        return "skewt" if problem.name == "gh" else "limit"
    return ""


def settled(problem: Problem, end: Climbed) -> tuple[Climbed, bool]:
    """The end, or a better one that plain EM goes to from there; and whether EM stays there."""
    try:
        result = problem.em(problem.model(end.point), SHORT)
    except ValueError:
        return end, False
    gain = result.log_likelihood - end.value
    if np.isfinite(gain) and gain > 1e-7 * len(problem.W):
        better = problem.climb(point_of(result.model))
        return (better, False) if better.value > end.value else (end, False)
    return end, bool(np.isfinite(gain) and abs(gain) <= 1e-7 * len(problem.W))


def climbed_ends(problem: Problem, ends: list[tuple[float, Point]], normal: float) -> list[Any]:
    """(value, status, end) of climbs from distinct ends of EM."""
    found: list[Any] = []
    climbed: list[float] = []
    for value, point in ends:
        if any(abs(value - other) < SAME for other in climbed) or len(climbed) >= MOST_ENDS:
            continue
        if is_spike(problem, point):
            continue
        climbed.append(value)
        climbs = [problem.climb(point)]
        p, _, b = gauged(climbs[0].point).law
        if problem.name in ("vg", "hyperbolic") and b < 1e-6 and p < 0.5 * problem.d + 0.6:
            climbs += at_cusps(problem, climbs[0])
            # A climb by gradients stops at kinks elsewhere, where EM goes on.
            climbs += [Climbed(point, value, 0.0)] * (problem.name == "hyperbolic")
        found += [(end.value, status_of(problem, end, normal), end) for end in climbs]
        if sum(status != "unbounded" for _, status, _ in found) >= ENOUGH:
            break
    return found + best_cusps(problem, found, normal)


def long_fits(problem: Problem) -> list[Any]:
    """Plain and accelerated EM from the family's own start, until nothing is gained."""
    most = min(LONG, BUDGET // len(problem.W))
    if problem.name == "hyperbolic":
        # Iterations at a cusp are dear, and gain next to nothing.
        most = min(most, 1000)
    start = problem.type.default_init(problem.W)
    return [problem.em(start, most, name) for name in ("none", "squarem", "anderson")]


def boundary_ends(problem: Problem, known: dict[str, tuple[float, Point]]) -> list[Any]:
    """Ends of special cases on the boundary of the generalized hyperbolic that it cannot leave."""
    found = []
    for name in ("skewt", "vg"):
        if problem.family == "gh" and name in known:
            value, point = known[name]
            mu, gamma, L, (p, a, b) = gauged(point)
            inside = problem.climb(Point(mu, gamma, L, (p, max(a, 1e-7), max(b, 1e-7))))
            if not inside.value > value + SAME:
                found.append((value, name, Climbed(point, value, 0.0)))
    return found


def search(
    X: Array, family: str, known: dict[str, tuple[float, Point]], seed: int, *, long: bool = True
) -> Reference:
    """The best that is found; `known` has ends of other families, all in whitened coordinates.

    Without `long`, EM is not run for long from the family's own start.
    """
    W, shift = whitened(X)
    problem, normal = Problem(W, family), normal_value(W)
    back = -len(X) * shift
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        fits = long_fits(problem) if long else []
        points = {name: point for name, (_, point) in known.items()}
        ends = em_ends(problem, points, np.random.default_rng(seed))
        ends = [(float(fit.log_likelihood), point_of(fit.model)) for fit in fits] + ends
        found = climbed_ends(problem, ends, normal) + boundary_ends(problem, known)
        found = [end for end in found if end[1] != "unbounded"]
        plain, squarem = ([float(f.log_likelihood) + back for f in fits] + [np.nan] * 2)[:2]
        reference = Reference("unbounded", None, normal + back, plain, squarem)
        nested = [known[name][0] for name in NESTED.get(family, ()) if name in known]
        if not found or max(found, key=value_of)[0] < max(nested, default=-np.inf) - SAME:
            return reference
        value, status, end = max(found, key=value_of)
        better, reference.stays = settled(problem, end)
        if better.value > value and (again := status_of(problem, better, normal)) != "unbounded":
            value, status, end = better.value, again, better
            _, reference.stays = settled(problem, end)
    if normal > value:
        value, status = normal, "gaussian"
    known[family] = (value, end.point)
    reference.value, reference.status, reference.point = value + back, status, end.point
    reference.tight = tightness(end.point)
    rivals = {round(item[0] + back, 3) for item in found if item[0] < value - SAME}
    reference.rivals = sorted(rivals)[-3:]
    return reference


def value_of(end: Any) -> float:
    return float(end[0])
