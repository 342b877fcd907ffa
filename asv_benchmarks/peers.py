"""Time nvmix beside its peers and print a Markdown table; see README.md."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
import time
import warnings
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import benchmarks  # noqa: F401 - before NumPy, because it holds BLAS to one thread
import numpy as np
from benchmarks.datasets import normal_block, simulated
from benchmarks.e_step import LAWS
from scipy import stats
from scipy.special import kve

import nvmix
from nvmix.diagnostics import goodness_of_fit
from nvmix.special import kv_ratio, log_kv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nvmix.foundation.typing import FloatArray

# A row is repeated no more after this many seconds, once it has run so often.
PATIENCE, LEAST = 60.0, 3
# The time of an iteration is the slope between fits of so many and of ten times as many. A fit by
# nvmix is short beside its own jitter.
OUR_FEW, THEIR_FEW = 100, 10
# Quartiles further apart than this share of the median leave no figure.
NOISE = 0.5
# Families that are fitted, by ghyp's functions for them.
GHYP = {"NormalInverseGaussian": "fit.NIGmv", "GeneralizedHyperbolic": "fit.ghypmv"}
# Exit status of FIT_IN_R where R has no ghyp.
NO_GHYP = 3
FIT_IN_R = """
arguments <- commandArgs(trailingOnly = TRUE)
if (!requireNamespace("ghyp", quietly = TRUE)) quit(status = 3)
suppressPackageStartupMessages(library(ghyp))
X <- as.matrix(read.csv(arguments[1], header = FALSE))
fit <- get(arguments[3])
cap <- as.integer(arguments[4])
warm <- fit(X, silent = TRUE, nit = 2)
seconds <- system.time(
    model <- if (cap > 0) fit(X, silent = TRUE, nit = cap, reltol = 0, abstol = 0)
             else fit(X, silent = TRUE)
)[["elapsed"]]
info <- ghyp.fit.info(model)
if (is.na(info$logLikelihood)) stop(info$error.message)
numbers <- c(seconds, info$logLikelihood / nrow(X), info$n.iter, info$converged)
writeLines(sprintf("%.17g", numbers), arguments[2])
"""
VERSIONS_IN_R = """
cat("R", format(getRversion()))
if (requireNamespace("ghyp", quietly = TRUE)) cat(", ghyp", format(packageVersion("ghyp")))
"""


class AbsentError(Exception):
    """The peer is not installed."""


class Run(NamedTuple):
    """Seconds that a run took and, of a fit, where it ended and after how many iterations."""

    seconds: float
    end: str = ""
    iterations: int = 0


class Row(NamedTuple):
    """A task that nvmix and a peer do in turn."""

    task: str
    peer: str
    ours: Callable[[], Run]
    theirs: Callable[[], Run]


def clocked(call: Callable[[], Any], end: Callable[[Any], str] = lambda _: "") -> Run:
    """Run a call on the clock; `end` describes what it returns, off the clock."""
    begin = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - begin
    return Run(seconds, end(result))


def one_more(fit: Callable[[int], Run], few: int) -> Run:
    """Time of one iteration, free of what a fit does once.

    The two fits run one after the other, so that what slows the machine for long slows both.
    """
    short, long = fit(few), fit(10 * few)
    more = long.iterations - short.iterations
    if more <= 0:
        msg = f"no iteration after the first {short.iterations}"
        raise RuntimeError(msg)
    return Run((long.seconds - short.seconds) / more)


# Functions and univariate laws, against scipy; normix has the one solve that scipy has not.


def against_scipy(task: str, name: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> Row:
    """Row of two plain calls."""
    return Row(task, f"scipy `{name}`", partial(clocked, ours), partial(clocked, theirs))


def bessel_rows(scale: int) -> Iterator[Row]:
    """Bessel functions: an order for each argument, and one for all."""
    rng = np.random.default_rng(0)
    v = rng.uniform(-20.0, 20.0, 100_000 // scale)
    z = 10.0 ** rng.uniform(-3.0, 3.0, 1_000_000 // scale)
    some = z[: len(v)]
    pairs = f"{len(v):,} orders and arguments"
    yield against_scipy(f"log K, {pairs}", "kve", partial(log_kv, v, some), partial(kve, v, some))
    yield against_scipy(
        f"K ratio, {pairs}",
        "kve / kve",
        partial(kv_ratio, v, some),
        lambda: kve(v + 1.0, some) / kve(v, some),
    )
    for order in (0.7, 2.5):
        task = f"log K of order {order}, {len(z):,} arguments"
        yield against_scipy(task, "kve", partial(log_kv, order, z), partial(kve, order, z))


def gig_rows(scale: int) -> Iterator[Row]:
    """Variates of one GIG law, and laws from their expectations."""
    p, a, b = 0.7, 1.2, 1.3
    law, n = nvmix.GIG(p, a, b), 1_000_000 // scale
    peer = stats.geninvgauss(p, np.sqrt(a * b), scale=np.sqrt(b / a))
    yield against_scipy(
        f"{n:,} GIG variates",
        "geninvgauss.rvs",
        partial(law.rvs, n, seed=0),
        partial(peer.rvs, n, random_state=np.random.default_rng(0)),
    )
    orders = np.linspace(-2.0, 2.0, 100 // scale)
    etas = [nvmix.GIG(order, a, b).expectation_params() for order in orders]
    yield Row(
        f"{len(etas)} GIG laws from expectations",
        "normix, jax",
        partial(clocked, lambda: [nvmix.GIG.from_expectation(eta).p for eta in etas]),
        # JAX is the faster of its backends here.
        lambda: clocked(
            lambda: [float(normix().GIG.from_expectation(eta, backend="jax").p) for eta in etas]
        ),
    )


def scipy_parameters(model: nvmix.NormalMixture) -> dict[str, float]:
    """Parameters a, b, loc and scale of a univariate model, as scipy defines them."""
    _, psi, chi = model.subordinator.gig
    sigma, gamma = model.L_sigma.item(), model.gamma.item()
    return {
        "a": np.sqrt(chi * (psi + (gamma / sigma) ** 2)),
        "b": np.sqrt(chi) * gamma / sigma,
        "loc": model.mu.item(),
        "scale": np.sqrt(chi) * sigma,
    }


def density_rows(scale: int) -> Iterator[Row]:
    """Log-densities and distribution functions of univariate laws."""
    X = simulated(100_000 // scale, 1)
    for family, law in LAWS.items():
        model = getattr(nvmix, family).from_classical(**normal_block(1), **law)
        parameters = scipy_parameters(model)
        if family == "GeneralizedHyperbolic":
            peer = stats.genhyperbolic(law["p"], **parameters)
        else:
            peer = stats.norminvgauss(**parameters)
        yield against_scipy(
            f"{family} log-density, {len(X):,} points",
            f"{peer.dist.name}.logpdf",
            partial(model.log_prob, X),
            partial(peer.logpdf, X[:, 0]),
        )
        # scipy integrates the density, for milliseconds a point.
        some = X[:100, 0]
        yield against_scipy(
            f"{family} distribution function, {len(some)} points",
            f"{peer.dist.name}.cdf",
            partial(model.cdf, some),
            partial(peer.cdf, some),
        )


def diagnostic_rows(scale: int) -> Iterator[Row]:
    """Tests of goodness of fit: scipy has one statistic at a time, nvmix three."""
    x, refits = simulated(1_000, 1)[:, 0], 10 // min(scale, 5)
    law = nvmix.NormalInverseGaussian.from_classical(
        **normal_block(1), **LAWS["NormalInverseGaussian"]
    )
    yield against_scipy(
        f"Kolmogorov-Smirnov test of a known law, {len(x):,} x 1",
        "kstest",
        partial(stats.kstest, x, law.cdf),
        partial(stats.kstest, x, stats.norminvgauss(**scipy_parameters(law)).cdf),
    )
    yield against_scipy(
        f"NormalInverseGaussian goodness of fit by {refits} refits, {len(x):,} x 1",
        "goodness_of_fit",
        lambda: goodness_of_fit(nvmix.fit(x, "nig"), n_simulations=refits),
        lambda: stats.goodness_of_fit(
            stats.norminvgauss, x, statistic="ks", n_mc_samples=refits,
            rng=np.random.default_rng(0),
        ),
    )  # fmt: skip


# Fits. One to convergence includes its start and ends by its package's own rule.


def fit_end(log_likelihood: float, iterations: int, *, converged: bool) -> str:
    """Where a fit ended, for the table."""
    return f"{log_likelihood:.6f} ({iterations}{'' if converged else ', not converged'})"


@cache
def normix() -> Any:
    """Load normix, whose interface is nvmix's."""
    if importlib.util.find_spec("normix") is None:
        raise AbsentError
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003
    return importlib.import_module("normix")


def em_fit(package: Callable[[], Any], family: str, X: FloatArray, **settings: Any) -> Run:
    """Start and fit with nvmix or normix."""
    model = getattr(package(), family)

    def end(fit: Any) -> str:
        log_likelihood = float(fit.model.marginal_log_likelihood(X))
        return fit_end(log_likelihood, fit.n_iter, converged=fit.converged)

    return clocked(lambda: computed(model.default_init(X).fit(X, **settings)), end)


@cache
def em_start(package: Callable[[], Any], family: str, n: int) -> Any:
    """Starting model of fits of fixed length."""
    return getattr(package(), family).default_init(simulated(n, 3))


def em_iterations(package: Callable[[], Any], family: str, n: int, backend: str, cap: int) -> Run:
    """Do as many iterations as the cap says, with nvmix or normix."""
    start = em_start(package, family, n)
    X, settings = simulated(n, 3), {"e_step_backend": backend, "m_step_backend": backend}
    begin = time.perf_counter()
    fit = computed(start.fit(X, max_iter=cap, tol=0.0, **settings))
    return Run(time.perf_counter() - begin, iterations=int(fit.n_iter))


def computed(fit: Any) -> Any:
    """Return a fit once JAX, which works ahead, has its result."""
    np.asarray(fit.model.mu)
    return fit


def scipy_fit(x: FloatArray) -> Run:
    """Univariate NIG by scipy's optimiser."""
    nig = stats.norminvgauss
    return clocked(lambda: nig.fit(x), lambda theta: f"{nig.logpdf(x, *theta).mean():.6f}")


def ghyp_fit(function: str, X: FloatArray, cap: int = 0) -> Run:
    """Fit by R ghyp, to convergence or to the cap, on R's clock."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise AbsentError
    with tempfile.TemporaryDirectory() as folder:
        script, data, result = (Path(folder, name) for name in ("fit.R", "X.csv", "result.txt"))
        script.write_text(FIT_IN_R)
        np.savetxt(data, X, delimiter=",")
        command: list[str | Path] = [rscript, script, data, result, function, str(cap)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        if process.returncode == NO_GHYP:
            raise AbsentError
        if process.returncode:
            raise RuntimeError(process.stderr.strip())
        seconds, log_likelihood, iterations, converged = map(float, result.read_text().split())
    end = fit_end(log_likelihood, int(iterations), converged=bool(converged))
    return Run(seconds, end, int(iterations))


def fit_rows(scale: int) -> Iterator[Row]:
    """One iteration, and whole fits."""
    n = 5_000 // scale
    x, X = simulated(n, 1), simulated(n, 3)
    nig, ours = "NormalInverseGaussian", partial(em_fit, lambda: nvmix)
    yield Row(
        f"{nig} fit, {n:,} x 1",
        "scipy `norminvgauss.fit`",
        partial(ours, nig, x),
        partial(scipy_fit, x[:, 0]),
    )
    # As in normix's tutorial.
    theirs = partial(
        em_fit, normix, max_iter=150, tol=1e-4, e_step_backend="cpu", m_step_backend="cpu"
    )
    for family, function in GHYP.items():
        task, ghyp = f"{family} fit, {n:,} x 3", partial(ghyp_fit, function, X)
        yield Row(task, "normix, cpu", partial(ours, family, X), partial(theirs, family, X))
        yield Row(task, f"R ghyp `{function}`", partial(ours, family, X), ghyp)
        yield from iteration_rows(family, n, ghyp)


def iteration_rows(family: str, n: int, ghyp: Callable[..., Run]) -> Iterator[Row]:
    """One iteration, on each backend of normix."""
    ours = partial(em_iterations, lambda: nvmix, family, n, "cpu")
    peers: dict[str, Callable[[int], Run]] = {
        f"normix, {backend}": partial(em_iterations, normix, family, n, backend)
        for backend in ("cpu", "jax")
    }
    peers[f"R ghyp `{GHYP[family]}`"] = lambda cap: ghyp(cap=cap)
    for peer, fit in peers.items():
        task = f"{family} iteration, {n:,} x 3"
        yield Row(task, peer, partial(one_more, ours, OUR_FEW), partial(one_more, fit, THEIR_FEW))


# The table.


def attempt(peer: Callable[[], Run]) -> Run | str:
    """Run a peer, or say in a line why it did not."""
    try:
        return peer()
    except AbsentError:
        return "not installed"
    except Exception as error:  # noqa: BLE001 - whatever a peer raises belongs in the table
        lines = f"{type(error).__name__}: {error}".splitlines()
        return lines[0].replace("|", "\\|")


def measured(row: Row, repeats: int) -> tuple[list[Run], list[Run] | str]:
    """Runs of nvmix and of the peer in turn, after one of each that compiles and loads."""
    row.ours()
    theirs: list[Run] = []
    answer = attempt(row.theirs)
    ours: list[Run] = []
    begin = time.perf_counter()
    while len(ours) < min(repeats, LEAST) or (
        len(ours) < repeats and time.perf_counter() - begin < PATIENCE
    ):
        ours.append(row.ours())
        if isinstance(answer, Run):
            answer = attempt(row.theirs)
        if isinstance(answer, Run):
            theirs.append(answer)
    return ours, answer if isinstance(answer, str) else theirs


def figure(runs: list[Run]) -> float | None:
    """Median of the seconds, unless they are spread as widely as it is large."""
    low, middle, high = np.quantile([run.seconds for run in runs], (0.25, 0.5, 0.75))
    return float(middle) if high - low < NOISE * middle else None


def readable(seconds: float | None) -> str:
    """Three digits and a unit."""
    if seconds is None:
        return "in the noise"
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def line(row: Row, repeats: int) -> str:
    """Measure a row and write it."""
    ours, theirs = measured(row, repeats)
    here = figure(ours)
    cells = [row.task, row.peer, readable(here)]
    if isinstance(theirs, str):
        cells += [theirs, "", ours[-1].end]
    else:
        there = figure(theirs)
        ratio = f"{float(f'{there / here:.3g}'):,g}" if here and there else ""
        ends = "; ".join(filter(None, (ours[-1].end, theirs[-1].end)))
        cells += [readable(there), ratio, ends]
    return f"| {' | '.join(cells)} |"


def processor() -> str:
    """Model of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def versions() -> Iterator[str]:
    """Names and versions of what is compared, and of what it runs on."""
    yield f"Python {platform.python_version()}"
    for package in ("nvmix", "numpy", "scipy", "numba", "normix", "jax"):
        if importlib.util.find_spec(package):
            yield f"{package} {importlib.metadata.version(package)}"
    if rscript := shutil.which("Rscript"):
        command = [rscript, "-e", VERSIONS_IN_R]
        yield subprocess.check_output(command, text=True)


def one_core() -> str:
    """Hold this process, and R, to one core where the system can, and say so."""
    cores = f"{os.cpu_count()} cores"
    if not hasattr(os, "sched_setaffinity"):
        return f"{cores}, all in use"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return f"{cores}, one in use"


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="runs of each, at most (7)")
    parser.add_argument("--quick", action="store_true", help="three runs on a tenth of the data")
    arguments = parser.parse_args()
    scale, repeats = (10, LEAST) if arguments.quick else (1, arguments.repeats)
    # Capped fits do not converge, and scipy's optimiser leaves the domain.
    warnings.simplefilter("ignore")
    cores = one_core()
    print(f"{dt.date.today()}, {processor()}, {cores}; {', '.join(versions())}.\n")
    print("| Task | Peer | nvmix | Peer's time | Ratio | Mean log-likelihood (iterations) |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    for rows in (bessel_rows, gig_rows, density_rows, diagnostic_rows, fit_rows):
        for row in rows(scale):
            print(line(row, repeats), flush=True)


if __name__ == "__main__":
    main()
