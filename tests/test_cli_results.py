"""What the command line makes of saved fits, and how it writes."""

import importlib.util
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from conftest import ENVIRONMENT, make

import nvmix
from nvmix import NormalInverseGaussian, risk
from nvmix.backends.cpu.compiler import cache, shipped
from nvmix.cli import main
from nvmix.datasets import CRUDE_OIL, load_crude_oil


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """File of a fit to the oil returns."""
    path = tmp_path_factory.mktemp("fits") / "fit.json"
    assert main(["fit", "--out", str(path)]) == 0
    return str(path)


def printed_json(capsys, *arguments):
    """The JSON object that a command prints."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("weights", ["wti=0.25,brent=0.75", "0.75,0.25", " brent = 0.75, wti=.25"])
def test_risk(saved, capsys, weights):
    record = printed_json(capsys, "risk", saved, "--weights", weights, "--level", "0.95")
    model, w = nvmix.load(saved).model, [0.75, 0.25]
    assert record["value_at_risk"] == risk.value_at_risk(model, w, 0.95)
    assert record["expected_shortfall"] == risk.expected_shortfall(model, w, 0.95)
    assert record["losses"] == "positive"
    assert record["columns"] == ["brent", "wti"]
    for measure, name in (("var", "value_at_risk"), ("es", "expected_shortfall")):
        parts = risk.contributions(model, w, 0.95, measure).tolist()
        assert record["contributions"][name] == parts
    assert main(["risk", saved, "--weights", weights, "--level", "0.95"]) == 0
    out = capsys.readouterr().out
    assert "Losses are positive" in out
    assert f"{record['expected_shortfall']:.6g}" in out


def test_risk_from_data_in_one_command(saved, tmp_path, capsys):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, columns = load_crude_oil()
    index = pandas.date_range("1987-06-01", periods=len(X), freq="MS", name="month")
    path = tmp_path / "returns.csv"
    pandas.DataFrame(X, index, columns).to_csv(path)
    of_data, of_fit = (
        printed_json(capsys, "risk", str(file), "--weights", "brent=1") for file in (path, saved)
    )
    assert of_data == of_fit


def test_infinite_risks_are_told(tmp_path, capsys):
    path = tmp_path / "model.json"
    nvmix.StudentT.from_classical(mu=[0.0], sigma=[[1.0]], df=1.0).save(path)
    assert printed_json(capsys, "risk", str(path), "--weights", "1")["expected_shortfall"] == "inf"


def test_a_saved_fit_that_did_not_converge_exits_1(tmp_path, capsys):
    path, data = str(tmp_path / "fit.json"), str(CRUDE_OIL)
    assert main(["fit", "--max-iter", "1", "--out", path]) == 1
    commands = [["risk", path, "--weights", "1,1"], ["sample", path], ["score", path, data]]
    commands += [["info", path], ["info", path, "--json"]]
    if importlib.util.find_spec("matplotlib"):
        picture = ["--out", str(tmp_path / "a.png")]
        commands += [
            ["plot", path, "--kind", "convergence", *picture],
            ["plot", path, data, *picture],
        ]
    for arguments in commands:
        capsys.readouterr()
        assert main(arguments) == 1
        assert f"{path}: the fit did not converge: " in capsys.readouterr().err


def test_sample(saved, tmp_path, capsys):
    path = tmp_path / "draws.csv"
    assert main(["sample", saved, "-n", "7", "--seed", "3", "--out", str(path)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"7 rows written to {path}\n")
    expected = nvmix.load(saved).model.rvs(7, seed=3)
    np.testing.assert_array_equal(np.loadtxt(path, delimiter=",", skiprows=1), expected)
    assert main(["sample", saved, "-n", "7", "--seed", "3"]) == 0
    assert capsys.readouterr().out == path.read_text()
    record = printed_json(capsys, "sample", saved, "-n", "7", "--seed", "3")
    assert record == {"columns": ["brent", "wti"], "rows": expected.tolist()}


def test_score(saved, tmp_path, capsys):
    X, _ = load_crude_oil()
    expected = nvmix.load(saved).model.log_prob(X)
    # Columns go by their names, and others do not matter.
    path, out = tmp_path / "data.csv", tmp_path / "scores.csv"
    rows = [f"{w},x,{b}" for b, w in X.tolist()]
    path.write_text("\n".join(["wti,a,brent", *rows]))
    assert main(["score", saved, str(path), "--out", str(out)]) == 0
    np.testing.assert_array_equal(np.loadtxt(out, skiprows=1), expected)
    record = printed_json(capsys, "score", saved, str(CRUDE_OIL))
    assert record["rows"] == 391
    assert record["log_densities"] == expected.tolist()
    assert record["log_likelihood"] == pytest.approx(expected.sum(), rel=1e-14)
    assert main(["score", saved, str(CRUDE_OIL), "--total"]) == 0
    assert f"{record['mean']:.10g}" in capsys.readouterr().out


def test_score_of_missing_cells(saved, tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_text("brent,wti\n-3.5,NA\n,\n")
    assert main(["score", saved, str(path)]) == 2
    error = capsys.readouterr().err
    assert "--missing em takes it" in error
    assert "--columns" not in error
    record = printed_json(capsys, "score", saved, str(path), "--missing", "em")
    expected = nvmix.load(saved).model.marginal(0).log_prob(-3.5)
    assert record["log_densities"] == [pytest.approx(expected, rel=1e-13), "nan"]
    assert record["log_likelihood"] == record["mean"] == record["log_densities"][0]
    assert record["rows"] == 1
    assert main(["score", saved, str(path), "--missing", "em"]) == 0
    assert "1 of 2 rows have no value" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["histogram", "qq", "tails", "pairs", "Convergence"])
def test_plot(saved, tmp_path, capsys, kind):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / f"{kind}.PNG"
    assert main(["plot", saved, str(CRUDE_OIL), "--kind", kind, "--out", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["histogram", "qq", "tails", "pairs"])
def test_plots_leave_missing_values_out(saved, tmp_path, capsys, kind):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    data, arguments = tmp_path / "data.csv", ["--kind", kind, "--out", str(tmp_path / "a.png")]
    rows = [f"{b},{'NA' if i in (3, 7) else w}" for i, (b, w) in enumerate(load_crude_oil()[0])]
    data.write_text("\n".join(["brent,wti", *rows]))
    assert main(["plot", saved, str(data), *arguments]) == 0
    note = "2 of 391 rows have missing" if kind == "pairs" else "2 missing values of 'wti' are left"
    assert note in capsys.readouterr().err
    data.write_text("brent,wti\n1.5,NA\n")
    assert main(["plot", saved, str(data), *arguments]) == 2
    assert "no value" in capsys.readouterr().err or kind == "pairs"


def test_plot_of_chosen_columns(saved, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    arguments = ["plot", saved, str(CRUDE_OIL), "--out", str(tmp_path / "a.svg"), "--columns"]
    assert main([*arguments, "wti"]) == 0
    assert main([*arguments, "gas"]) == 2
    assert "--columns names 'gas'" in capsys.readouterr().err


def test_info(saved, capsys):
    assert main(["info", saved]) == 0
    assert capsys.readouterr().out == f"{nvmix.load(saved).summary()}\n"
    assert printed_json(capsys, "info", saved) == nvmix.load(saved).to_dict()
    facts = printed_json(capsys, "info")
    assert facts["numpy"] == np.__version__
    assert facts["threads"] == nvmix.get_num_threads()
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for name in facts:
        assert name in out


def test_info_names_what_speed_depends_on(capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr("nvmix.cli.info._PACKAGES", ("numpy", "no-such-package"))
    facts = printed_json(capsys, "info")
    assert facts["no-such-package"] is None
    assert facts["environment"]["OMP_NUM_THREADS"] == "3"
    assert all(" threads)" in library for library in facts["BLAS"])
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch("not installed +no-such-package", line) for line in lines)
    assert any(line.endswith(" OMP_NUM_THREADS=3") for line in lines)


def test_info_says_whether_compiled_kernels_are_used(monkeypatch, tmp_path, capsys):
    def said():
        return printed_json(capsys, "info")["kernels in the package"]

    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert said() == "none: compiled at first use"
    (tmp_path / shipped.HASHES).write_text("{}")
    monkeypatch.setattr(shipped, "has_level", lambda: False)
    assert said() == "not used: compiled for another processor"
    monkeypatch.setattr(shipped, "has_level", lambda: True)
    assert said() == "not used: compiled for another Python"
    # As numba names and begins the index of a kernel.
    index = tmp_path / f"kernel-1.py{sys.version_info.major}{sys.version_info.minor}.nbi"
    index.write_bytes(pickle.dumps(("0.1", cache.kernels_hash())))
    assert said() == "not used: compiled by numba 0.1"
    index.write_bytes(pickle.dumps((numba.__version__, "of an older version")))
    assert said() == "not used: compiled from other kernels"
    index.write_bytes(pickle.dumps((numba.__version__, cache.kernels_hash())))
    assert said().startswith("used: compiled for ")


def test_info_with_data_has_standard_errors(saved, tmp_path, capsys):
    X, fit = load_crude_oil()[0], nvmix.load(saved)
    assert main(["info", saved]) == 0
    assert f"nvmix info {saved} DATA" in capsys.readouterr().err
    assert main(["info", saved, str(CRUDE_OIL)]) == 0
    assert capsys.readouterr().out == f"{fit.summary(X)}\n"
    record = printed_json(capsys, "info", saved, str(CRUDE_OIL))
    assert record["standard_errors"]["mu[wti]"] == fit.standard_errors(X)["mu"][1]
    few, model = tmp_path / "few.csv", str(tmp_path / "model.json")
    few.write_text("".join(CRUDE_OIL.read_text().splitlines(keepends=True)[:20]))
    fit.model.save(model)
    for arguments, message in (
        ([saved, str(few)], "and the fit had"),
        ([model, str(CRUDE_OIL)], "it is of no fit"),
    ):
        assert main(["info", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_a_law_of_y_is_shown_and_no_more(tmp_path, capsys):
    path = tmp_path / "law.json"
    nvmix.Gamma(alpha=2.0, beta=0.5).save(path)
    assert main(["info", str(path)]) == 0
    assert main(["sample", str(path)]) == 2
    assert "no model of X" in capsys.readouterr().err


def test_bad_input(saved, tmp_path, capsys):
    model, png = tmp_path / "model.json", str(tmp_path / "a.png")
    nvmix.load(saved).model.save(model)
    for arguments, message in [
        (["risk", saved, "--weights", "gas=1"], "those of the fit are brent, wti"),
        (["risk", saved, "--weights", "brent=1,brent=2"], "each column once"),
        (["risk", saved, "--weights", "brent=1,2"], "each column once"),
        (["risk", saved, "--weights", "1"], "must be 2 numbers"),
        (["risk", saved, "--weights", "a"], "must be numbers"),
        (["risk", saved, "--weights", "1,1", "--family", "vg"], "--family is for data"),
        (["risk", saved, "--weights", "1,1", "--columns", "wti"], "--columns is for data"),
        (["risk", saved, "--weights", "1,1", "--missing", "raise"], "--missing is for data"),
        (["risk", saved, "--weights", "1,nan"], "weights must be finite"),
        (["risk", saved, "--weights", "1,1", "--level", "99"], "level must be between 0 and 1"),
        (["sample", saved, "-n", "-1"], "must be"),
        (["sample", saved, "--out", saved], "would be overwritten"),
        (["sample", saved, "--out", ""], "must have a name"),
        (["sample", saved, "-n", str(10**14)], f"-n {10**14}: memory does not take so many rows"),
        (["sample", saved, "-n", str(10**40)], "memory does not take so many rows"),
        (["sample", str(tmp_path / "none.json")], "No such file"),
        (["sample", ""], "FIT must be the name of a file"),
        (["info", "/dev/null"], "/dev/null: cannot be read: "),
        (["plot", saved, "--kind", "convergence", "--columns", "a", "--out", png], "--columns is"),
        (["score", saved, str(tmp_path / "none.csv")], "No such file"),
        (["score", saved, str(CRUDE_OIL), "--out", str(CRUDE_OIL)], "would be overwritten"),
        (["plot", saved, "--kind", "qq", "--out", png], "needs the data"),
        (["plot", saved, "--out", str(tmp_path / "plot.txt")], "must end in one of"),
        (["plot", saved, "--out", str(tmp_path / "plot")], "must end in one of"),
        (["plot", str(model), "--kind", "convergence", "--out", png], "it has no fit"),
    ]:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


def test_a_bad_picture_is_refused_before_the_fit(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setattr("nvmix.cli.fit.rows_to_fit", pytest.fail)
    for target, message in [("x.txt", "must end in"), ("x", "must end in"), (".", "no regular")]:
        assert main(["fit", "--plot", str(tmp_path / target)]) == 2
        assert message in capsys.readouterr().err
    same = str(tmp_path / "x.png")
    assert main(["fit", "--plot", same, "--out", same]) == 2
    assert "--out and --plot name the same file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "sample"])
def test_an_older_file_is_not_cut_short(saved, tmp_path, capsys, monkeypatch, command):
    def full(_):
        raise OSError(28, "No space left on device")

    target = tmp_path / "old.json"
    target.write_text("old")
    monkeypatch.setattr("os.fsync", full)
    file = {"fit": str(CRUDE_OIL), "sample": saved}[command]
    assert main([command, file, "--out", str(target)]) == 2
    error = capsys.readouterr().err
    assert error == f"nvmix: error: {target}: cannot be written: No space left on device\n"
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_to_the_data_is_the_data(saved, tmp_path, capsys):
    link = tmp_path / "link"
    link.symlink_to(saved)
    assert main(["sample", saved, "--out", str(link)]) == 2
    assert "would be overwritten" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="the system has no such files")
def test_devices_and_loops_are_no_targets(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("nvmix.cli.fit.rows_to_fit", pytest.fail)
    loop, link = tmp_path / "loop", tmp_path / "link"
    loop.symlink_to(loop)
    link.symlink_to("/dev/stdout")
    for target, message in [
        ("/dev/stdout", "no regular file"),
        (link, "no regular file"),
        ("/proc/self/fd/1", "no regular file"),
        (loop, "symbolic links"),
    ]:
        assert main(["fit", "--out", str(target)]) == 2
        assert message in capsys.readouterr().err


def test_a_lack_of_memory_is_told(capsys, monkeypatch):
    def full(_):
        raise MemoryError

    monkeypatch.setattr("nvmix.cli.fit.rows_to_fit", full)
    assert main(["fit"]) == 2
    assert capsys.readouterr().err == "nvmix: error: not enough memory\n"


def test_hostile_names_are_shown_harmlessly(tmp_path, capsys):
    X = make(NormalInverseGaussian).rvs(100, seed=0)
    names = ("a\x1b[31m", "b\nc\x00")
    data, out, draws = tmp_path / "data.csv", tmp_path / "fit.json", tmp_path / "draws.csv"
    rows = "\n".join(f"{a},{b}" for a, b in X.tolist())
    data.write_text(f'"{names[0]}","{names[1]}"\n{rows}\n')
    shown = [
        ["fit", str(data), "--out", str(out)],
        ["fit", str(data), "--family", "all"],
        ["info", str(out)],
        ["risk", str(out), "--weights", "1,1"],
        ["sample", str(out), "--out", str(draws)],
        ["score", str(out), str(draws), "--total"],
    ]
    for arguments in shown:
        assert main(arguments) == 0
        out_text, notes = capsys.readouterr()
        for control in ("\x1b", "\x00", "b\nc"):
            assert control not in out_text + notes
    assert nvmix.load(out).model.columns == names
    assert main(["fit", str(data), "--columns", "d"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_terminal_that_cannot_encode_loses_no_file(tmp_path):
    data, out = tmp_path / "data.csv", tmp_path / "fit.json"
    X = make(NormalInverseGaussian).rvs(100, seed=0)
    rows = "\n".join(f"{a},{b}" for a, b in X.tolist())
    data.write_text(f"Öl,€\n{rows}\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "nvmix", "fit", str(data), "--out", str(out)],
        capture_output=True,
        check=True,
        env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"},
    )
    assert b"\\xd6l" in run.stdout
    assert nvmix.load(out).model.columns == ("Öl", "€")


def test_a_broken_pipe_ends_quietly(saved):
    arguments = [sys.executable, "-m", "nvmix", "sample", saved, "-n", "20000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, env=ENVIRONMENT) as run:
        assert run.stdout.readline() == b"brent,wti\n"
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 141


def test_help_and_versions_load_no_kernels():
    code = (
        "import sys; from nvmix.cli import main; main(['info']); "
        "heavy = ('jax', 'matplotlib', 'pandas', 'scipy.optimize'); "
        "print([m for m in sys.modules if 'kernels' in m or m in heavy])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
