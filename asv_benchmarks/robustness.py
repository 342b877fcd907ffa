"""How far default fits of everyday data end below the best likelihood known, and what they say.

python asv_benchmarks/robustness.py score                     # all families, by default settings
python asv_benchmarks/robustness.py score --families nig skewt --sets clusters real --worst 30
python asv_benchmarks/robustness.py reference --count 12      # goes on where it stopped
python asv_benchmarks/robustness.py held-out --kinds clusters ties --samples 200   # so does this

`score` fits with the nvmix that Python imports. A fit is short if it ends more than 1e-6 nats a row
or 1e-3 in total below the reference. `reference` searches by what `likelihood_search.py` does, adds
what is absent from `robustness_reference.json`, and saves after each data set. `held-out` fits
fresh samples beside long plain EM, SQUAREM and other starts, by `held_out.py`.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from everyday_data import KINDS, Rows, all_sets

FILE = Path(__file__).with_name("robustness_reference.json")
FAMILIES = ("nig", "nig_sym", "skewt", "skewt_sym", "vg", "hyperbolic", "gh")
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "likelihood": {"criterion": "likelihood"},
    "jax": {"e_step_backend": "jax", "m_step_backend": "jax"},
}
# Nats by which a fit is short: a row, and in total; and by which it is above the reference.
A_ROW, IN_TOTAL, ABOVE = 1e-6, 1e-3, 1e-3
# Statuses that promise a maximum or a limit, with that of a reference; and that deny there is one.
ARRIVED = {
    "CONVERGED": "",
    "VARIANCE_GAMMA_LIMIT": "vg",
    "SKEW_T_LIMIT": "skewt",
    "GAUSSIAN_LIMIT": "gaussian",
    "CUSP": "cusp",
}
DENIED = ("DEGENERATE", "NON_FINITE", "UNBOUNDED", "SINGULAR", "NO_SOLUTION", "NO_GAUGE")


class Fit(NamedTuple):
    """One fit: where it ended, how it says that it ended, and its gap to the reference."""

    key: str
    family: str
    status: str
    value: float
    gap: float
    n: int
    passes: int
    seconds: float
    reference: dict[str, Any]

    @property
    def short(self) -> bool:
        return not self.gap <= min(A_ROW * self.n, IN_TOTAL)

    @property
    def is_false(self) -> bool:
        """Whether the status promises what is not so, or denies a maximum that is known."""
        denied = self.status in DENIED and self.reference["status"] == "interior"
        return (self.status in ARRIVED and self.short) or denied


def load() -> dict[str, Any]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def save(references: dict[str, Any]) -> None:
    """Write all references, one line for each fit, in a way that an interrupt cannot damage."""
    sets = []
    for key, families in references.items():
        lines = [f'  "{name}": {json.dumps(entry)}' for name, entry in families.items()]
        sets.append(f'"{key}": {{\n' + ",\n".join(lines) + "\n}")
    part = FILE.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(sets) + "\n}\n")
    part.replace(FILE)


def fingerprint(X: Rows) -> list[float]:
    """Shape and two sums, by which a reference knows its data."""
    return [*X.shape, float(f"{X.sum():.9g}"), float(f"{np.square(X).sum():.9g}")]


def is_of(X: Rows, families: dict[str, Any]) -> bool:
    known = families.get("data", {}).get("fingerprint")
    return known is not None and np.allclose(known, fingerprint(X), rtol=1e-7)


def chosen(sets: dict[str, Rows], words: Iterable[str]) -> dict[str, Rows]:
    """Sets whose name contains one of the words; "real" stands for those of no kind and no case."""
    words = list(words)
    kinds = (*KINDS, "case")
    return {
        key: X
        for key, X in sets.items()
        if not words
        or any(word in key for word in words)
        or ("real" in words and key.split("/")[0] not in kinds)
    }


def entry_of(reference: Any) -> dict[str, Any]:
    """A reference as JSON."""
    entry = {
        "status": reference.status,
        "value": None if reference.value is None else round(float(reference.value), 7),
        "normal": round(float(reference.normal), 6),
        "plain": round(float(reference.plain), 6),
        "squarem": round(float(reference.squarem), 6),
    }
    if reference.point is not None:
        entry["stays"] = reference.stays
        entry["tight"] = float(f"{reference.tight:.2g}")
        entry["rivals"] = [float(rival) for rival in reference.rivals]
        entry["law"] = [float(f"{x:.6g}") for x in reference.point.law]
    return entry


def better(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """The likelier of two references, with the long fits of the old one; the new one at a tie."""
    if not old:
        return new
    values = [-np.inf if entry["value"] is None else entry["value"] for entry in (old, new)]
    if values[1] < values[0] - 1e-6:
        return old
    return new | {name: old[name] for name in ("plain", "squarem")}


def unless_exceeded(entry: dict[str, Any], family: str) -> dict[str, Any]:
    """The reference, or "unbounded" where plain EM, on its way to an infinite density, exceeds it.

    An interior maximum stands all the same.
    """
    is_exceeded = entry["value"] is not None and entry["plain"] > entry["value"] + IN_TOTAL
    if family in ("vg", "gh") and entry["status"] != "interior" and is_exceeded:
        return entry | {"status": "unbounded", "value": None}
    return entry


def make_references(
    sets: dict[str, Rows], families: Iterable[str], seed: int, *, again: bool
) -> None:
    """Search data sets that are absent, or all again, the fewest rows first."""
    from likelihood_search import ORDER, search

    references = load()
    for key, X in sorted(sets.items(), key=lambda item: item[1].size):
        old = references[key] if is_of(X, references.get(key, {})) else {}
        if old and not again:
            continue
        begin, known = time.perf_counter(), {}
        entries: dict[str, Any] = {"data": {"fingerprint": fingerprint(X)}} | old
        for family in (name for name in ORDER if name in families):
            new = entry_of(search(X, family, known, seed, long=not old))
            entries[family] = unless_exceeded(better(old.get(family), new), family)
        references = load() | {key: entries}
        save(references)
        kinds = " ".join(f"{f}:{entries[f]['status']}" for f in ORDER if f in entries)
        print(f"{key:26} {X.shape} {time.perf_counter() - begin:6.1f} s  {kinds}", flush=True)


def fitted(X: Rows, family: str, settings: dict[str, Any]) -> tuple[str, float, int, float]:
    """Status, log-likelihood, passes and seconds of a fit; the name of an error is its status."""
    import nvmix

    symmetric = {"symmetric": True} if family.endswith("_sym") else {}
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = nvmix.fit(X, family.removesuffix("_sym"), **symmetric, **settings)
    except (ValueError, ArithmeticError, RuntimeError) as error:
        return type(error).__name__, np.nan, 0, time.perf_counter() - begin
    seconds = time.perf_counter() - begin
    return result.status.name, float(result.log_likelihood), int(result.n_passes), seconds


def fits_of(sets: dict[str, Rows], families: Iterable[str], settings: dict[str, Any]) -> list[Fit]:
    """Fits of all sets that have a reference of the same data."""
    references, fits = load(), []
    for family in families:
        # Compiles what the times should not include.
        fitted(next(iter(sets.values())), family, settings)
    for key, X in sets.items():
        if not is_of(X, references.get(key, {})):
            continue
        for family in families:
            reference = references[key][family]
            status, value, passes, seconds = fitted(X, family, settings)
            best = np.nan if reference["value"] is None else reference["value"]
            gap = best - value
            fits.append(Fit(key, family, status, value, gap, len(X), passes, seconds, reference))
    return fits


def summary(family: str, fits: list[Fit]) -> str:
    """A row of the table."""
    with_value = [fit for fit in fits if fit.reference["value"] is not None]
    short = [fit for fit in with_value if fit.short]
    false = [fit for fit in with_value if fit.is_false]
    arrived = sum(fit.status in ARRIVED for fit in false)
    worst = max(short, key=lambda fit: np.inf if np.isnan(fit.gap) else fit.gap, default=None)
    told = f"{worst.gap:.3g} at {worst.key}" if worst else "none"
    tenths = sum(fit.gap > 0.1 or np.isnan(fit.gap) for fit in short)
    below_plain = sum(
        fit.reference["plain"] - fit.value > max(A_ROW * fit.n, IN_TOTAL) for fit in with_value
    )
    above = sum(fit.gap < -ABOVE for fit in with_value)
    unbounded = len(fits) - len(with_value)
    passes, seconds = (sum(fit[i] for fit in fits) for i in (6, 7))
    return (
        f"{family:11}{len(with_value):6}{len(short):7}{tenths:7}{below_plain:7}{arrived:10}"
        f"{len(false) - arrived:8}{above:7}{unbounded:10}{passes:9}{seconds:8.2f}  {told}"
    )


def print_fits(title: str, fits: list[Fit]) -> None:
    print(f"\n{title}")
    for fit in fits:
        best = fit.reference
        value = np.nan if best["value"] is None else best["value"]
        print(
            f"{fit.gap:12.5g}  {fit.key:26} {fit.family:11} n={fit.n:<5} {fit.status:20} "
            f"{fit.value:15.6f}  reference {value:15.6f} {best['status']}, "
            f"plain EM {best['plain']:.4f}"
        )


def update(fits: list[Fit]) -> None:
    """Raise references to fits that converged above them, or where no maximum was known."""
    references = load()
    for fit in fits:
        entry = references[fit.key][fit.family]
        if fit.status in ARRIVED and not fit.gap >= -ABOVE:
            status = ARRIVED.get(fit.status) or entry["status"].replace("unbounded", "interior")
            rivals = entry.setdefault("rivals", [])
            if entry["value"] is not None:
                rivals.append(entry["value"])
            entry |= {"value": round(fit.value, 7), "status": status, "from": "score"}
    save(references)


def score(sets: dict[str, Rows], arguments: argparse.Namespace) -> None:
    """Fit all, and print a row for each family."""
    settings = SETTINGS[arguments.settings]
    fits = fits_of(sets, arguments.families, settings)
    if arguments.only:
        fits = [fit for fit in fits if fit.reference["status"] in arguments.only]
    print(
        f"{arguments.settings}: {len({fit.key for fit in fits})} data sets\n"
        "family       fits  short   >0.1 <plain converged  denied  above unbounded   passes seconds"
        "  worst"
    )
    for family in arguments.families:
        print(summary(family, [fit for fit in fits if fit.family == family]))
    with_value = [fit for fit in fits if fit.reference["value"] is not None]
    ordered = sorted(with_value, key=lambda fit: -np.inf if np.isnan(fit.gap) else -fit.gap)
    if arguments.worst:
        print_fits("Worst:", [fit for fit in ordered if fit.short][: arguments.worst])
    if arguments.false:
        print_fits("False statuses:", [fit for fit in ordered if fit.is_false])
    above = [fit for fit in reversed(ordered) if fit.gap < -ABOVE]
    if above:
        print_fits("Above the reference:", above)
    unknown = [fit for fit in fits if fit.reference["value"] is None and fit.status in ARRIVED]
    if unknown:
        print_fits("Converged where no maximum is known:", unknown)
    if arguments.update:
        update(fits)


def run_held_out(arguments: argparse.Namespace) -> None:
    """Fit fresh samples, and print a row for each family."""
    from held_out import held_out, print_held_out

    families, count = arguments.families, arguments.samples
    fits = held_out(
        arguments.results,
        arguments.kinds,
        families,
        count,
        arguments.seed,
        again=arguments.again,
    )
    print_held_out(fits, families)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("mode", choices=("score", "reference", "held-out"))
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument(
        "--sets", nargs="+", default=(), help="parts of names of data sets, or real"
    )
    parser.add_argument("--count", type=int, default=12, help="samples of each kind")
    parser.add_argument("--most-rows", type=int, default=10_000)
    parser.add_argument("--settings", default="defaults", choices=SETTINGS)
    parser.add_argument("--only", nargs="+", default=(), help="statuses of references, or all")
    parser.add_argument("--worst", type=int, default=0, help="how many of the worst fits to list")
    parser.add_argument("--false", action="store_true", help="list fits with a false status")
    parser.add_argument("--update", action="store_true", help="raise references to better fits")
    parser.add_argument("--seed", type=int, default=0, help="of the starts of a search")
    parser.add_argument("--again", action="store_true", help="do what is done too")
    parser.add_argument("--kinds", nargs="+", default=tuple(KINDS), choices=tuple(KINDS))
    parser.add_argument("--samples", type=int, default=200, help="of each kind, held out")
    parser.add_argument(
        "--results", type=Path, default=FILE.with_name("held_out.jsonl"), help="of fits held out"
    )
    arguments = parser.parse_args()
    if arguments.mode == "held-out":
        run_held_out(arguments)
        return
    sets = chosen(all_sets(arguments.count), arguments.sets)
    sets = {key: X for key, X in sets.items() if len(X) <= arguments.most_rows}
    if arguments.mode == "reference":
        make_references(sets, arguments.families, arguments.seed, again=arguments.again)
    else:
        score(sets, arguments)


if __name__ == "__main__":
    main()
