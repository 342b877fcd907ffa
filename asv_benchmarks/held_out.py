"""Default fits of fresh samples beside long plain EM, SQUAREM and 8 other starts, without Newton.

Each fit is a line of a JSON file as soon as it is done, so that a run goes on where it stopped. The
references know nothing of the starts, the cores, Newton's method and the searches of a default fit.
"""

import json
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from everyday_data import KINDS, Rows
from likelihood_climb import Point
from likelihood_search import Problem, starts, whitened

import nvmix
from nvmix.backends import get_backend
from nvmix.backends.status import Status
from nvmix.backends.types import Constraints, EMOptions, Fixed

# Rows of the samples, in turn, and what differs from the seeds of `everyday_data`.
SIZES = (20, 30, 40, 60, 100, 150)
FRESH = 2026
# Steps of plain EM, of SQUAREM from the default start and from each of the others.
PLAIN, SQUAREM, BRIEF, N_STARTS = 20_000, 3_000, 1_000, 8
# Steps after which a fit is given up if all that are left, each gaining as much as these did on
# average, would not reach the default fit.
STAGE = 500
# Gain of mean log-likelihood below which a step is rounding.
LEAST = 1e-15
# Cusps are searched at all rows of up to as many.
MOST_ROWS = 60
# How near to mu a row is at it, and the largest b of a pole there.
AT_ROW, POLE = 1e-5, 1e-5


def held_out_samples(kinds: Iterable[str], count: int, base: int) -> Iterator[tuple[str, Rows]]:
    """`count` samples of each kind with seeds that no other script has, by name; kinds in turn."""
    numbers = [(number, name) for number, name in enumerate(KINDS) if name in kinds]
    for seed in range(count):
        for number, name in numbers:
            rng = np.random.default_rng([FRESH + base, number, seed])
            X = KINDS[name](rng, SIZES[seed % len(SIZES)])
            if np.linalg.matrix_rank(X - X.mean(axis=0)) == X.shape[1]:
                yield f"{name}/{base}.{seed:03d}", X


# Statuses without a likelihood to compare, and those that promise a maximum or a limit.
UNBOUNDED = ("UNBOUNDED", "NON_FINITE")
SETTLED = ("CONVERGED", "VARIANCE_GAMMA_LIMIT", "SKEW_T_LIMIT", "GAUSSIAN_LIMIT", "CUSP")


@dataclass(frozen=True)
class LongEM:
    """EM by the compiled loop alone, as far as it may exceed a mean log-likelihood."""

    problem: Problem
    to_exceed: float
    constraints: Constraints

    def __call__(self, point: Point, steps: int, method: str) -> tuple[float, Point]:
        """Mean log-likelihood and point of the end; nan where it is infinite.

        The last steps before a pole are no reference: they may be as high as one likes.
        """
        backend, value = get_backend(), -np.inf
        options = EMOptions(self.constraints, "newton", None, method, "likelihood", STAGE, LEAST)
        placed = backend.place(self.problem.W)
        model = self.problem.model(point)
        normal, theta = model.normal, model.subordinator.gig
        for left in range(steps - STAGE, -1, -STAGE):
            trace = backend.fit(placed, normal, theta, options)
            gain, value = float(trace.log_likelihood) - value, float(trace.log_likelihood)
            normal, theta = trace.normal, trace.gig
            if trace.status == Status.UNBOUNDED:
                return np.nan, point
            if trace.status != Status.MAX_ITER or not value + gain * left / STAGE > self.to_exceed:
                break
        return value, Point(*normal, theta)


def is_pole(problem: Problem, point: Point) -> bool:
    """Whether the likelihood is infinite, or tends to be, as Sigma or b vanishes at rows at mu.

    With k of n rows there, that of a law with tails of order -p grows as Sigma^(|p| (n - k) - k d /
    2) where that is negative; that of a law with p > 0 where p <= d / 2. In one column whose first
    value is mu the law of gamma Y, which is left as Sigma vanishes, has a pole there for p < 1.
    """
    p, _, b = point.law
    R = np.linalg.solve(point.L, (problem.W - point.mu).T)
    q = np.square(R).sum(axis=0)
    size, n, d = float(np.median(q)), len(q), problem.d
    k = int((q < AT_ROW * size).sum())
    if p > 0.0:
        is_first = d == 1 and (q[np.sign(R[0]) != np.sign(point.gamma[0])] < AT_ROW * size).all()
        return k > 0 and b < POLE * size and (p <= 0.5 * d + 1e-6 or (is_first and p < 1.0))
    return 2.0 * -p * (n - k) <= 1.2 * k * d


def at_rest(problem: Problem, em: LongEM, value: float, point: Point) -> tuple[float, Point]:
    """An end of EM or, where that has met a row with a cusp or pole, of EM with mu held there.

    For at such a row EM stops anywhere on the way to a pole, if there is one.
    """
    (p, a, b), d = point.law, problem.d
    q = np.square(np.linalg.solve(point.L, (problem.W - point.mu).T)).sum(axis=0)
    size = float(np.median(q))
    if not (0.0 < p <= 0.5 * (d + 1) and b < POLE * size and q.min() < AT_ROW * size):
        return value, point
    row, fixed = problem.W[q.argmin()], em.constraints.fixed._replace(b=0.0)
    held = LongEM(problem, em.to_exceed, em.constraints._replace(fixed=fixed, mu=row))
    return held(point._replace(mu=row, law=(p, a, 0.0)), STAGE, "squarem")


def ends(problem: Problem, to_exceed: float, seed: int) -> Iterator[tuple[float, str]]:
    """Mean log-likelihood of each end of EM, and how it was found."""
    first = problem.type.default_init(problem.W)
    own = Point(first.mu, first.gamma, first.L_sigma, first.subordinator.gig)
    em = LongEM(problem, to_exceed, Constraints(first.fixed, None, problem.symmetric))
    rng = np.random.default_rng(seed)
    others = list(starts(problem, rng))
    rng.shuffle(others)
    runs = [("plain", own, PLAIN, "none"), ("squarem", own, SQUAREM, "squarem")]
    runs += [("starts", point, BRIEF, "squarem") for point in islice(others, N_STARTS)]
    best, end = -np.inf, own
    for name, point, steps, method in runs:
        try:
            value, there = at_rest(problem, em, *em(point, steps, method))
        except (ValueError, FloatingPointError):
            continue
        if np.isfinite(value) and not is_pole(problem, there):
            yield value, name
            best, end = max((best, end), (value, there), key=lambda pair: pair[0])
    value, there = at_rest(problem, em, *em(end, PLAIN // 4, "none"))
    if np.isfinite(value) and not is_pole(problem, there):
        yield value, "plain from the best"
    if problem.name in ("vg", "hyperbolic") and len(problem.W) <= MOST_ROWS:
        yield from cusps(problem, end, to_exceed)


def cusps(problem: Problem, end: Point, to_exceed: float) -> Iterator[tuple[float, str]]:
    """Fits with mu held at each row, by EM from an end."""
    order = 0.5 * (problem.d + 1)
    fixed = Fixed(p=order if problem.name == "hyperbolic" else None, b=0.0)
    p, a, _ = end.law
    for row in np.unique(problem.W, axis=0):
        em = LongEM(problem, to_exceed, Constraints(fixed, row, problem.symmetric))
        value, point = em(Point(row, end.gamma, end.L, (max(p, order), a, 0.0)), STAGE, "squarem")
        if np.isfinite(value) and not is_pole(problem, point):
            yield value, "cusps"


def default_fit(X: Rows, family: str) -> dict[str, Any]:
    """A fit by default settings, as JSON."""
    symmetric = {"symmetric": True} if family.endswith("_sym") else {}
    entry: dict[str, Any] = {"n": len(X), "d": X.shape[1]}
    begin = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            result = nvmix.fit(X, family.removesuffix("_sym"), **symmetric)
        except (ValueError, ArithmeticError, RuntimeError) as error:
            return entry | {"status": type(error).__name__, "value": np.nan}
    entry |= {"status": result.status.name, "value": float(result.log_likelihood)}
    seconds = round(time.perf_counter() - begin, 3)
    return entry | {"seconds": seconds, "passes": int(result.n_passes)}


def reference_of(X: Rows, family: str, value: float) -> dict[str, Any]:
    """The likeliest end of EM, as far as it may exceed that log-likelihood, as JSON."""
    W, shift = whitened(X)
    problem, to_exceed = Problem(W, family), value / len(X) + shift
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        best, name = max(ends(problem, to_exceed, 0), default=(np.nan, "none"))
    return {"best": len(X) * (best - shift), "by": name}


def held_out(
    file: Path, kinds: Iterable[str], families: Iterable[str], count: int, base: int, *, again: bool
) -> list[dict[str, Any]]:
    """All fits of these kinds and families: those in the file, and others, which go there.

    Those in the file are fitted again, beside the reference in the file, if asked for.
    """
    lines = file.read_text().splitlines() if file.exists() else []
    done = {(entry["key"], entry["family"]): entry for entry in map(json.loads, lines)}
    fits = []
    for key, X in held_out_samples(kinds, count, base):
        for family in families:
            entry = done.get((key, family))
            if entry is None:
                fit = default_fit(X, family)
                fit |= reference_of(X, family, fit["value"])
                entry = {"key": key, "family": family} | fit
                with file.open("a") as out:
                    out.write(json.dumps(entry) + "\n")
            elif again:
                entry |= default_fit(X, family)
            fits.append(entry | {"gap": entry["best"] - entry["value"]})
    return fits


def print_held_out(fits: list[dict[str, Any]], families: Iterable[str]) -> None:
    """A row for each family, and all fits that are short.

    Fits that end at an infinite likelihood count apart, and so do those whose reference does.
    """
    print("family       fits  short   >0.1  settled  unbounded   passes  seconds  worst")
    listed = []
    for family in families:
        all_fits = [fit for fit in fits if fit["family"] == family]
        with_value = [
            fit for fit in all_fits if fit["status"] not in UNBOUNDED and np.isfinite(fit["best"])
        ]
        short = [fit for fit in with_value if not fit["gap"] <= min(1e-6 * fit["n"], 1e-3)]
        short.sort(key=lambda fit: -fit["gap"])
        tenths = sum(not fit["gap"] <= 0.1 for fit in short)
        settled = sum(fit["status"] in SETTLED for fit in short)
        passes = sum(fit.get("passes", 0) for fit in all_fits)
        seconds = sum(fit.get("seconds", 0.0) for fit in all_fits)
        worst = f"{short[0]['gap']:.3g} at {short[0]['key']}" if short else "none"
        print(
            f"{family:11}{len(with_value):6}{len(short):7}{tenths:7}{settled:9}"
            f"{len(all_fits) - len(with_value):11}{passes:9}{seconds:9.1f}  {worst}"
        )
        listed += short
    for fit in listed:
        print(
            f"{fit['gap']:12.5g}  {fit['key']:26} {fit['family']:11} n={fit['n']:<5} "
            f"{fit['status']:20} {fit['value']:15.6f}  reference {fit['best']:15.6f} by {fit['by']}"
        )
