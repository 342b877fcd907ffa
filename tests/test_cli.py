"""The command line, as a user types it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import make

import nvmix
from nvmix import NormalInverseGaussian
from nvmix.cli import FAMILIES, main


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "data.csv"
    X = make(NormalInverseGaussian).rvs(400, seed=0)
    np.savetxt(path, X, delimiter=",", header="left,right", comments="")
    return path


def test_the_shipped_data_from_any_directory(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "nvmix", "fit"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "391 rows, 2 columns" in run.stdout
    assert "brent" in run.stdout
    assert "Converged" in run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family(csv_file, family, capsys):
    assert main(["fit", str(csv_file), "--family", family]) == 0
    out = capsys.readouterr().out
    for word in ("left", "right", "gamma", "log-likelihood", "AIC", "BIC", "iterations", " s\n"):
        assert word in out


def test_all_families_are_ranked_by_bic(csv_file, capsys):
    assert main(["fit", str(csv_file), "--family", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("family"))
    rows = [line.split() for line in lines[header + 1 : header + 6]]
    bic = [float(row[3]) for row in rows]
    assert {row[0] for row in rows} == {family.__name__ for family in FAMILIES.values()}
    assert bic == sorted(bic)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_written_model_is_the_model(csv_file, tmp_path, family, capsys):
    out = tmp_path / "model.json"
    assert main(["fit", str(csv_file), "--family", family, "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    model = getattr(nvmix, record["family"]).from_classical(**record["parameters"])
    X = np.loadtxt(csv_file, delimiter=",", skiprows=1)
    assert len(X) * model.marginal_log_likelihood(X) == pytest.approx(record["log_likelihood"])
    assert record["columns"] == ["left", "right"]
    assert record["converged"]


def test_plot(csv_file, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    target = tmp_path / "convergence.png"
    assert main(["fit", str(csv_file), "--plot", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def test_columns_can_be_chosen(csv_file, capsys):
    assert main(["fit", str(csv_file), "--columns", "right"]) == 0
    out = capsys.readouterr().out
    assert "400 rows, 1 column\n" in out
    assert "left" not in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,x\n", "row 3, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n3,nan\n", "row 3, column 'b': nan is not finite"),
        ("a,b\n1,2\n3,\n", "row 3, column 'b': the field is empty"),
        ("a,b\n1,2\n3\n", "row 3 has 1 fields, the header 2 (at column 'b')"),
        ("a,b\n1,2,3\n", "row 2 has 3 fields, the header 2 (after column 'b')"),
        ("a,b\n", "no rows below the header"),
        ("", "empty, a header and rows of numbers are needed"),
        ("1,2\n3,4\n", "row 1 must name the columns"),
        ("a,b\n1,2\n2,3\n", "more rows than columns"),
        ("a,b\n1,2\n2,2\n4,2\n5,2\n", "constant column, got column b"),
    ],
)
def test_bad_files_get_one_line(tmp_path, capsys, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert main(["fit", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert str(path) in error


def test_other_bad_input(tmp_path, csv_file, capsys):
    for arguments, message in [
        (["fit", str(tmp_path / "none.csv")], "No such file"),
        (["fit", str(tmp_path)], "cannot be read"),
        (["fit", str(csv_file), "--columns", "middle"], "no column 'middle'"),
        (["fit", str(csv_file), "--max-iter", "0"], "max_iter must be at least 1"),
        (["fit", str(csv_file), "--tol", "nan"], "tol must be finite"),
        (["fit", str(csv_file), "--out", str(tmp_path / "no" / "where.json")], "where.json"),
    ]:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--family", "cauchy"])
    assert stop.value.code == 2
