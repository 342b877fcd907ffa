"""`nvmix fit` and `nvmix compare`, as a user types them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ENVIRONMENT, make

import nvmix
from nvmix import NormalInverseGaussian
from nvmix.cli import main
from nvmix.distributions.families import FAMILIES


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
        env=ENVIRONMENT,
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


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_all_families_are_ranked_as_compare_ranks_them(csv_file, capsys, criterion):
    assert main(["fit", str(csv_file), "--family", "all", "--rank-by", criterion.upper()]) == 0
    lines = capsys.readouterr().out.splitlines()
    X = np.loadtxt(csv_file, delimiter=",", skiprows=1)
    comparison = nvmix.compare(X, rank_by=criterion)
    header = next(i for i, line in enumerate(lines) if line.startswith("family"))
    rows = [line.split() for line in lines[header + 1 : header + 1 + len(comparison)]]
    values = [float(row[4 if criterion == "aic" else 5]) for row in rows]
    assert values == sorted(values)
    assert [row[0] for row in rows] == [type(result.model).__name__ for result in comparison]
    assert f"AIC {comparison.best.aic:.4f}" in "\n".join(lines)


@pytest.mark.parametrize("name", ["NIG", "NormalInverseGaussian", "normal", "StudentT"])
def test_printed_names_are_accepted(csv_file, tmp_path, name, capsys):
    out = tmp_path / "model.json"
    assert main(["fit", str(csv_file), "--family", name, "--out", str(out)]) == 0
    result = nvmix.load(out)
    X = np.loadtxt(csv_file, delimiter=",", skiprows=1)
    value = len(X) * result.model.marginal_log_likelihood(X)
    assert value == pytest.approx(result.log_likelihood)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_written_model_is_the_model(csv_file, tmp_path, family, capsys):
    out = tmp_path / "model.json"
    assert main(["fit", str(csv_file), "--family", family, "--out", str(out)]) == 0
    result = nvmix.load(out)
    X = np.loadtxt(csv_file, delimiter=",", skiprows=1)
    value = len(X) * result.model.marginal_log_likelihood(X)
    assert value == pytest.approx(result.log_likelihood)
    assert result.model.columns == ("left", "right")
    assert result.converged
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert capsys.readouterr().out == f"{result.summary()}\n"


def test_plot(csv_file, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    target = tmp_path / "convergence.png"
    assert main(["fit", str(csv_file), "--plot", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def test_columns_can_be_chosen(csv_file, capsys):
    assert main(["fit", str(csv_file), "--columns", "right"]) == 0
    out = capsys.readouterr().out
    assert "400 rows, 1 column\n" in out
    assert "left" not in out.split()


@pytest.mark.parametrize(
    ("name", "label", "note"),
    [
        ("", lambda i: i, "the first column, which has no name, from 0 to 399"),
        ("Date", lambda i: f"{i % 28 + 1}.{i % 12 + 1}.2024", "column 'Date', from 1.1.2024 to"),
        (
            "t",
            lambda i: f"2024-01-{i % 28 + 1:02} 12:{i % 60:02}:00",
            "column 't', from 2024-",
        ),
        ("day", lambda i: f"{i % 12 + 1}/{i % 28 + 1}/24", "column 'day', from 1/1/24 to"),
    ],
    ids=["number", "German", "ISO", "American"],
)
def test_an_index_is_set_aside_with_a_note(csv_file, tmp_path, capsys, name, label, note):
    lines = csv_file.read_text().splitlines()
    path = tmp_path / "indexed.csv"
    rows = zip((name, *(str(label(i)) for i in range(400))), lines, strict=True)
    path.write_text("\n".join(",".join(row) for row in rows))
    for columns in ([], ["--columns", "right,left"]):
        assert main(["fit", str(path), *columns]) == 0
        out, err = capsys.readouterr()
        assert note in err
        assert "set aside" in err
        assert "400 rows, 2 columns" in out


def test_names_of_columns_that_are_not_read_do_not_matter(csv_file, capsys):
    lines = csv_file.read_text().splitlines()
    twice = ["x,x,", *(["1,2,3"] * 400)]
    csv_file.write_text("\n".join(f"{a},{b}" for a, b in zip(twice, lines, strict=True)))
    assert main(["fit", str(csv_file), "--columns", "left"]) == 0
    assert main(["fit", str(csv_file), "--columns", "left,x"]) == 2
    assert "names column 'x' twice" in capsys.readouterr().err


def test_a_fit_that_does_not_converge_exits_1(csv_file, capsys):
    assert main(["fit", str(csv_file), "--max-iter", "1"]) == 1
    assert "raise max_iter" in capsys.readouterr().out


def test_one_bad_family_does_not_lose_the_table(tmp_path, capsys):
    path = tmp_path / "zeros.csv"
    x = np.concatenate([np.zeros(40), np.random.default_rng(0).standard_t(3, 20)])
    np.savetxt(path, x, header="x", comments="")
    assert main(["fit", str(path), "--family", "all"]) in {0, 1}
    out = capsys.readouterr().out
    for family in FAMILIES.values():
        assert f"{family.__name__} " in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,x\n", "row 3, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n3,nan\n", "row 3, column 'b': nan is not finite"),
        ("a,b\n1,2\n3,\n", "row 3, column 'b': the field is empty"),
        ("a,b\n1,2\n3\n", "row 3 has 1 fields, the header 2 (at column 'b')"),
        ("a,b\n1,2,3\n2,3\n", "row 2 has 3 fields, the header 2 (after column 'b')"),
        ("a,b\n1,2,\n2,3,\n", "row 2 has 3 fields, the header 2 (after column 'b')"),
        ("a,b\n1,2,3\n2,3,4\n", "write it with col.names=NA"),
        ("a,b\n", "no rows below the header"),
        ("", "empty, a header and rows of numbers are needed"),
        ("1,2\n3,4\n", "row 1 must name the columns"),
        ("a,b\n1,2\n3,1_0\n", "row 3, column 'b': '1_0' is not a number"),
        ("b,,a\n0,1.5,1\n1,2.5,2\n", "no name for column 2"),
        ("date,a\n2024-01-01,1\nTotal,2\n", "row 2, column 'date': '2024-01-01' is not a number"),
        ("2024-01-01\n2024-01-02\n", "'2024-01-02' is not a number"),
        ("a,a\n1,2\n3,4\n", "names column 'a' twice"),
        ("a;b\n1;2\n", "more rows than columns"),
        ("a;b\n1,5;2\n2.5;3,1\n", "row 3, column 'a': '2.5' is not a number with a decimal comma"),
        ("a;b\n1,5;2\n1.000,5;3,1\n", "'1.000,5' is not a number with a decimal comma"),
        ("a\n1,2,3\n", "row 2, column 'a': '1,2,3' is not a number"),
        ("2019,2019\n1,2\n", "row 1 must name the columns"),
        ("sep=;\na;b\n1;x\n", "row 3, column 'b': 'x' is not a number"),
        ("\na,b\n\n1,x\n", "row 4, column 'b'"),
        ("a,b\n1,NA\n", "'NA' is not a number (--missing em takes it"),
        ("a,b,c\n1,2,\n2,3,4\n", "row 2, column 'c': the field is empty"),
        ("date,day\n2024-01-01,2024-01-02\n", "'2024-01-01' is not a number"),
        ('"a\nb",c\n1,2\n3,x\n', "row 4, column 'c'"),
        ('a,b\n1,"2\n', "unexpected end of data"),
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
        (["fit", "--columns", "middle"], "no column 'middle'"),
        (["fit", str(csv_file), "--columns", ""], "--columns must name columns"),
        (["fit", str(csv_file), "--columns", "left,left"], "--columns must name columns"),
        (["fit", str(csv_file), "--plot", str(tmp_path / "no" / "x.png")], "folder does not exist"),
        (["fit", str(csv_file), "--max-iter", "0"], "max_iter must be at least 1"),
        (["fit", str(csv_file), "--tol", "nan"], "tol must be finite"),
        (["fit", str(csv_file), "--out", str(tmp_path / "no" / "where.json")], "where.json"),
        (["fit", str(csv_file), "--out", str(csv_file)], "would be overwritten"),
        (["fit", str(csv_file), "--plot", str(csv_file)], "would be overwritten"),
        (["fit", str(csv_file), "--out", str(tmp_path)], "no regular file"),
        (["fit", str(csv_file), "--half-life", "0"], "--half-life must be positive"),
        (["fit", str(csv_file), "--weights", "w"], "no column 'w'"),
        (["fit", "--columns", "wti,brent", "--weights", "wti"], "which has the weights"),
        (["fit", str(csv_file), "--fixed", "q=1"], "'q'"),
        (["fit", str(csv_file), "--columns", '"a\nb"'], "no column 'a"),
        (["fit", str(csv_file), "--columns", "a\rb"], "no column 'a'"),
        (["compare", str(csv_file), "--families", "nig,cauchy"], "cauchy"),
        (["compare", str(csv_file), "--families", ""], "--families must name"),
        (["fit", str(csv_file), "--weights", "left"], "weights must be nonnegative"),
        (["info", str(csv_file)], "no saved model, fit or law"),
        (["info", str(tmp_path / "none.json")], "No such file"),
    ]:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    for option, value in [
        ("--family", "cauchy"),
        ("--fixed", "p"),
        ("--fixed", "p=1,2"),
        ("--criterion", "aic"),
    ]:
        with pytest.raises(SystemExit) as stop:
            main(["fit", option, value])
        assert stop.value.code == 2


def test_settings_reach_the_fit(csv_file, tmp_path, capsys):
    X = np.loadtxt(csv_file, delimiter=",", skiprows=1)
    settings = {"criterion": "likelihood", "acceleration": "squarem", "max_iter": 300}
    out = tmp_path / "fit.json"
    arguments = ["--family", "GH", "--fixed", "p=-0.5", "--symmetric", "--criterion", "Likelihood"]
    arguments += ["--acceleration", "SQUAREM", "--max-iter", "300", "--out", str(out)]
    assert main(["fit", str(csv_file), *arguments]) == 0
    expected = nvmix.fit(X, "gh", fixed={"p": -0.5}, symmetric=True, **settings)
    found = nvmix.load(out)
    assert found.log_likelihood == expected.log_likelihood
    assert found.symmetric
    assert found.model.subordinator.p == -0.5
    assert dict(found.settings)["tol"] == 1e-9


def test_vectors_are_held_too(csv_file, tmp_path, capsys):
    out = tmp_path / "fit.json"
    assert main(["fit", str(csv_file), "--fixed", "mu=0.1,0.2", "--out", str(out)]) == 0
    assert nvmix.load(out).model.mu.tolist() == [0.1, 0.2]


def test_weights_of_a_column_and_by_age(csv_file, tmp_path, capsys):
    X = np.loadtxt(csv_file, delimiter=",", skiprows=1)
    w = 1.0 + np.arange(400) % 3
    path, out = tmp_path / "weighted.csv", tmp_path / "fit.json"
    np.savetxt(path, np.c_[w, X], delimiter=",", header="w,left,right", comments="")
    arguments = ["--weights", "w", "--half-life", "100", "--out", str(out)]
    assert main(["fit", str(path), *arguments]) == 0
    printed, notes = capsys.readouterr()
    assert "400 rows, 2 columns" in printed
    assert "weights halve every 100 rows back from the last row" in notes
    expected = nvmix.fit(X, weights=w * 0.5 ** ((399 - np.arange(400)) / 100))
    assert nvmix.load(out).log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("cell", ["NA", "", "NaN", "#N/A", "null"])
def test_missing_cells(csv_file, tmp_path, capsys, cell):
    lines = csv_file.read_text().splitlines()
    lines[5] = f"{cell},{lines[5].split(',')[1]}"
    lines[7] = f"{cell},{cell}"
    csv_file.write_text("\n".join(lines))
    out = tmp_path / "fit.json"
    assert main(["fit", str(csv_file)]) == 2
    assert "row 6, column 'left'" in (err := capsys.readouterr().err)
    assert "--missing em" in err
    assert main(["fit", str(csv_file), "--missing", "em", "--out", str(out)]) == 0
    assert "1 of 400 rows have no value" in capsys.readouterr().err
    assert nvmix.load(out).n_observations == 399.0


def test_json_of_a_fit_is_what_is_saved(csv_file, tmp_path, capsys):
    out = tmp_path / "fit.json"
    assert main(["fit", str(csv_file), "--json", "--out", str(out)]) == 0
    printed, notes = capsys.readouterr()
    assert nvmix.from_dict(json.loads(printed)).log_likelihood == nvmix.load(out).log_likelihood
    assert notes == f"fit written to {out}\n"


def test_compare(csv_file, tmp_path, capsys):
    out = tmp_path / "best.json"
    arguments = ["compare", str(csv_file), "--families", "nig, T", "--out", str(out)]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "400 rows, 2 columns" in table
    assert main([*arguments, "--symmetric", "--rank-by", "BIC", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["rank_by"] == "bic"
    assert [fit["symmetric"] for fit in record["fits"]] == [True, True]
    assert {fit["family"] for fit in record["fits"]} == {"NormalInverseGaussian", "StudentT"}
    assert record["fits"][0]["bic"] <= record["fits"][1]["bic"]
    assert nvmix.load(out).bic == record["fits"][0]["bic"]
    assert nvmix.load(out).model.columns == ("left", "right")
    assert main(["compare", str(csv_file), "--families", "nig", "--max-iter", "1"]) == 1


def test_an_interrupt_ends_without_a_trace(csv_file, capsys, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nvmix.cli.fit.rows_to_fit", interrupted)
    assert main(["fit", str(csv_file)]) == 130
    assert capsys.readouterr() == ("", "")
