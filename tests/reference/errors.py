"""Errors of the CPU kernels against kv.csv, and worst.csv, the worst by region that is on record.

Run python tests/reference/errors.py to lower the record where the kernels have become better.
"""

import csv
from pathlib import Path

import numpy as np

from nvmix import special

TABLE = Path(__file__).with_name("kv.csv")
RECORD = Path(__file__).with_name("worst.csv")
DERIVATIVES = ("log_kv_dv2", "log_kv_dvdz", "log_kv_dz2")
FUNCTIONS = ("log_kv", "kv_ratio", "log_kv_dv", *DERIVATIVES)
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
    v, z, exact = sign * table["v"], table["z"], table[name]
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
    """Worst error by region and function."""
    errors = {name: error(name, table) for name in FUNCTIONS}
    return {
        region: {name: errors[name][table["region"] == region].max() for name in FUNCTIONS}
        for region in dict.fromkeys(table["region"])
    }


def read_record():
    """Worst errors on record."""
    with RECORD.open() as file:
        return {row.pop("region"): {k: float(x) for k, x in row.items()}
                for row in csv.DictReader(file)}  # fmt: skip


def main():
    """Lower the record."""
    found = worst(read_table())
    known = read_record() if RECORD.exists() else {}
    with RECORD.open("w") as file:
        file.write(",".join(["region", *FUNCTIONS]) + "\n")
        for region, errors in found.items():
            lowest = [min(errors[k], known.get(region, errors)[k]) for k in FUNCTIONS]
            file.write(",".join([region, *(f"{x:.1e}" for x in lowest)]) + "\n")


if __name__ == "__main__":
    main()
