"""Errors of the CPU kernels against kv.csv, and worst.csv, a report of the worst by processor.

Tests hold the kernels to PROMISED on any processor. Run python tests/reference/errors.py NAME ...
to write the report for processors that LLVM has names for, of which this machine must have all
instructions: host is the machine's own, generic any of its kind. Without names the errors on the
processor at hand are printed.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from llvmlite.binding import get_host_cpu_name

from nvmix import special

TABLE = Path(__file__).with_name("kv.csv")
REPORT = Path(__file__).with_name("worst.csv")
DERIVATIVES = ("log_kv_dv2", "log_kv_dvdz", "log_kv_dz2")
FUNCTIONS = ("log_kv", "kv_ratio", "log_kv_dv", "log_kv_dz", *DERIVATIVES)
# Largest errors, on the scales that the docstrings state; those of the GIG kernels are in test_gig.
PROMISED = {
    "log_kv": 3e-15,
    "kv_ratio": 3e-15,
    "log_kv_dv": 5e-15,
    "log_kv_dz": 3e-15,
    "log_kv_dv2": 3e-15,
    "log_kv_dvdz": 4e-15,
    "log_kv_dz2": 1e-14,
}
# Derivatives by z that leave this range are not held to it.
NORMAL = (1e-290, 1e290)


def read_table(path=TABLE):
    """Columns by name: texts of the first, doubles of the others."""
    with path.open() as file:
        names, *rows = csv.reader(file)
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return {
        name: np.array(column, float if name != "region" else str)
        for name, column in columns.items()
    }


def error(name, table, sign=1.0, backend="cpu"):
    """Relative errors of a function at (sign v, z), with the scale that its docstring states."""
    v, z = sign * table["v"], table["z"]
    exact = table["v"] / z - table["kv_ratio"] if name == "log_kv_dz" else table[name]
    if name in {"log_kv_dv", "log_kv_dvdz"}:
        exact = sign * exact
    scale = np.abs(exact)
    if name in {"log_kv", "log_kv_dv"}:
        scale = np.maximum(1.0, scale)
    if name == "log_kv_dvdz":
        scale = np.sqrt(table["log_kv_dv2"]) * np.sqrt(table["log_kv_dz2"])
    held = np.ones(v.size, bool)
    if name in {"log_kv_dvdz", "log_kv_dz2"}:
        least, most = NORMAL
        held = (table["log_kv_dz2"] > least) & (table["log_kv_dz2"] < most)
    result = np.zeros(v.size)
    value = getattr(special, name)(v, z, backend=backend)
    result[held] = np.abs(value[held] - exact[held]) / scale[held]
    return result


def worst(table):
    """Worst error by region and function, over both signs of the order."""
    errors = {name: error(name, table) for name in FUNCTIONS}
    for name in FUNCTIONS:
        # Ratios of negative orders are those of others.
        if name != "kv_ratio":
            errors[name] = np.maximum(errors[name], error(name, table, sign=-1.0))
    return {
        region: [errors[name][table["region"] == region].max() for name in FUNCTIONS]
        for region in dict.fromkeys(table["region"])
    }


def environment(processor):
    """Environment in which numba compiles for a processor."""
    if processor == "host":
        return dict(os.environ)
    # Features of the machine would be added to those that the name stands for.
    return os.environ | {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}


def report(processors):
    """Write the report, and print the worst of all regions as a table of Markdown."""
    lines = [",".join(["processor", "region", *FUNCTIONS])]
    for processor in processors:
        run = subprocess.run(
            [sys.executable, __file__], env=environment(processor), stdout=subprocess.PIPE,
            text=True, check=True,
        )  # fmt: skip
        rows = [row.split(",") for row in run.stdout.splitlines()]
        name = get_host_cpu_name() if processor == "host" else processor
        lines += [",".join([name, *row]) for row in rows]
        columns = list(zip(*rows, strict=True))[1:]
        worst_of_all = [max(column, key=float) for column in columns]
        sys.stdout.write(f"| {name} | {' | '.join(worst_of_all)} |\n")
    REPORT.write_text("\n".join([*lines, ""]))


def main():
    """Report on processors, or print the errors on this one."""
    if len(sys.argv) > 1:
        report(sys.argv[1:])
        return
    for region, errors in worst(read_table()).items():
        sys.stdout.write(",".join([region, *(f"{x:.1e}" for x in errors)]) + "\n")


if __name__ == "__main__":
    main()
