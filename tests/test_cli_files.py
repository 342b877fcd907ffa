"""Files and standard input that the command line reads."""

import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import make

import nvmix
from nvmix import NormalInverseGaussian
from nvmix.cli import main
from nvmix.sources.tables.table import read_table

X = make(NormalInverseGaussian).rvs(60, seed=0)
DATES = [f"2020-{i // 28 + 1:02}-{i % 28 + 1:02}" for i in range(60)]


def fitted(path, tmp_path, *arguments):
    """Columns and log-likelihood of a fit by the command line."""
    out = tmp_path / "fit.json"
    assert main(["fit", str(path), "--out", str(out), *arguments]) == 0
    result = nvmix.load(out)
    return result.model.columns, result.log_likelihood


def text(separator=",", header=("left", "right"), rows=X, comma=False, labels=None):
    """The rows as separated text, with every digit."""
    lines = [[str(float(x)) for x in row] for row in rows]
    if comma:
        lines = [[x.replace(".", ",") for x in line] for line in lines]
    if labels is not None:
        lines = [[label, *line] for label, line in zip(labels, lines, strict=True)]
    return "\n".join(separator.join(line) for line in [header, *lines]) + "\n"


@pytest.fixture(scope="module")
def expected():
    return nvmix.fit(X).log_likelihood


def indexed(name, labels):
    """The rows with an index in the first column."""
    return text(header=(name, "left", "right"), labels=labels).encode()


NUMBERS = list(map(str, range(60)))
R_HEADER = ('""', '"left"', '"right"')
LAST = [f"{line},{date}" for line, date in zip(text().splitlines(), ["when", *DATES], strict=True)]
CONTENTS = {
    "semicolon": text(";").encode(),
    "tab": text("\t").encode(),
    "bar": text("|").encode(),
    "decimal comma": text(";", comma=True).encode(),
    "decimal comma, tab": text("\t", comma=True).encode(),
    "write.csv2": text(";", R_HEADER, comma=True, labels=DATES).encode(),
    "BOM": text().encode("utf-8-sig"),
    "UTF-16": text("\t").encode("utf-16"),
    "carriage returns": text().replace("\n", "\r\n").encode(),
    "gz": gzip.compress(text(";", comma=True).encode()),
    "sep=": b"sep=;\r\n" + text(";", comma=True).encode(),
    "quoted": text(header=('"left"', '"right"')).encode(),
    "separator in a name": text(header=("left", '"right; or wrong"')).encode(),
    "bar in a name": text(header=("left|up", "right|down")).encode(),
    "dates, last": "\n".join(LAST).encode(),
    "trailing": text().replace("\n", ",\n").encode(),
    "index": indexed("index", NUMBERS),
    "Unnamed": indexed("Unnamed: 0", NUMBERS),
    "any name": indexed("tick", [str(i + 1) for i in range(60)]),
    "gaps": indexed("ID", [str(7 * i + 2) for i in range(60)]),
    "days": indexed("Date", [date.replace("-", "") for date in DATES]),
    "months": indexed("m", [date[:7] for date in DATES]),
    "words": indexed("m", ["31-Jan-2020"] * 60),
}
ASIDE = (
    "write.csv2", "dates, last", "trailing", "index", "Unnamed", "any name", "gaps", "days",
    "months", "words",
)  # fmt: skip
COMMAS = ("decimal comma", "decimal comma, tab", "gz", "sep=", "write.csv2")


@pytest.mark.parametrize("kind", CONTENTS)
def test_kinds_of_csv(kind, expected, tmp_path, capsys):
    path = tmp_path / "data"
    path.write_bytes(CONTENTS[kind])
    columns, value = fitted(path, tmp_path)
    assert columns[0].startswith("left")
    assert value == expected
    notes = capsys.readouterr().err
    assert ("set aside" in notes) is (kind in ASIDE)
    assert ("decimal commas" in notes) is (kind in COMMAS)


def test_a_single_column_of_decimal_commas(tmp_path, capsys):
    path = tmp_path / "one.csv"
    path.write_text(text(";", ("x",), X[:, :1], comma=True))
    columns, value = fitted(path, tmp_path)
    assert columns == ("x",)
    assert value == nvmix.fit(X[:, 0]).log_likelihood


@pytest.mark.parametrize("header", [("2019", "2020"), ("0", "1")])
def test_numbers_as_names(header, expected, tmp_path, capsys):
    path = tmp_path / "years.csv"
    path.write_text(text(header=header))
    assert fitted(path, tmp_path) == (header, expected)
    assert "row 1 is taken for names" in capsys.readouterr().err


def test_an_index_of_a_stock_market_is_no_index(tmp_path, capsys):
    path = tmp_path / "index.csv"
    path.write_text(text(header=("index", "right")))
    assert fitted(path, tmp_path)[0] == ("index", "right")


def test_row_numbers_can_be_chosen(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(indexed("left", NUMBERS).replace(b",left", b",other"))
    table = read_table(path)
    assert table.columns == ("other", "right")
    assert len(table.notes(table.columns)) == 1
    np.testing.assert_array_equal(table.numbers(["left"], "raise")[:, 0], np.arange(60.0))
    assert table.notes(["left"]) == []
    # Other integers are data.
    path.write_text(text(header=("x", "y"), rows=np.round(9.0 * X)).replace(".0", ""))
    assert read_table(path).columns == ("x", "y")


@pytest.mark.parametrize("kind", ["CSV", "gz", "Parquet"])
def test_standard_input(kind, expected, tmp_path, capsys, monkeypatch):
    if kind == "Parquet":
        content = parquet_of({"left": X[:, 0], "right": X[:, 1]})
    else:
        content = gzip.compress(text().encode()) if kind == "gz" else text().encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert fitted("-", tmp_path) == (("left", "right"), expected)
    assert capsys.readouterr().out.startswith("standard input: 60 rows, 2 columns\n")


def parquet_of(columns):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow", "data.arrows"])
def test_arrow_files_of_pandas(name, expected, tmp_path, capsys):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    index = pandas.DatetimeIndex(DATES, name="when")
    frame = pandas.DataFrame(X, index=index, columns=["left", "right"])
    frame["day"], path = pandas.DatetimeIndex(DATES), tmp_path / name
    table = pyarrow.Table.from_pandas(frame)
    if name == "data.parquet":
        path.write_bytes(parquet_of(table.to_pydict()))
    else:
        new = pyarrow.ipc.new_file if name == "data.arrow" else pyarrow.ipc.new_stream
        with new(str(path), table.schema) as writer:
            writer.write_table(table)
    assert fitted(path, tmp_path) == (("left", "right"), expected)
    notes = capsys.readouterr().err
    assert "column 'when' is set aside" in notes
    assert "column 'day' is set aside" in notes


def test_what_arrow_files_must_not_have(tmp_path, capsys):
    path = tmp_path / "bad.parquet"
    gap = [None, *X[1:, 0]]
    path.write_bytes(
        parquet_of({"a": gap, "b": X[:, 1], "name": ["x"] * 60, "n": (99.0 * X[:, 0]).astype(int)})
    )
    for arguments, message in [
        ([], "column 'name' is of type string and not of numbers (choose columns"),
        (["--columns", "b,a"], "row 1, column 'a': nan is not finite (--missing em"),
        (["--columns", "c"], "no column 'c', the columns are a, b, name, n"),
    ]:
        assert main(["fit", str(path), *arguments]) == 2
        assert message in capsys.readouterr().err
    assert main(["fit", str(path), "--columns", "b,a", "--missing", "em"]) == 0
    assert main(["fit", str(path), "--columns", "b,n"]) == 0
    path.write_bytes(path.read_bytes()[:200])
    assert main(["fit", str(path)]) == 2
    assert f"{path}: cannot be read" in capsys.readouterr().err


def test_numbers_of_arrow_files(tmp_path, capsys):
    big, flags = (2**60 * X[:, 0]).astype(int), X[:, 1] > 0.0
    path = tmp_path / "numbers.parquet"
    path.write_bytes(parquet_of({"big": big, "flag": flags, "single": X[:, 0].astype("f4")}))
    table = read_table(path)
    expected = np.column_stack([big, flags, X[:, 0].astype("f4")])
    np.testing.assert_array_equal(table.numbers(table.columns, "raise"), expected)


def test_a_missing_pyarrow_names_the_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1")
    assert main(["fit", str(path)]) == 2
    assert "nvmix[arrow]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n\xff\xfe\n", "it is not UTF-8 text"),
        (b"\xff\xfea", "it is not UTF-16 text"),
        (b"PK\x03\x04\xff\xfe", "save it as CSV"),
        (b"\x1f\x8b\x08", "damaged gzip data"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-3], "damaged gzip data"),
    ],
    ids=["utf8", "utf16", "zip", "gzip", "cut gzip"],
)
def test_damaged_files(content, message, tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    assert main(["fit", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_name_is_no_file(capsys):
    for command in (["fit", ""], ["compare", ""], ["risk", "", "--weights", "1"]):
        assert main(command) == 2
        assert "DATA must be the name of a file, got ''" in capsys.readouterr().err


def test_a_column_without_any_value_is_named(tmp_path, capsys):
    path = tmp_path / "gap.csv"
    path.write_text("a,gap\n1.5,\n2,NA\n4,\n")
    assert main(["fit", str(path), "--missing", "em"]) == 2
    assert f"{path}: column 'gap' has no value" in capsys.readouterr().err


def test_rows_without_any_value_are_passed_over_with_a_note(expected, tmp_path, capsys):
    path = tmp_path / "gaps.csv"
    path.write_text(text() + ",\n")
    _, value = fitted(path, tmp_path, "--missing", "em")
    assert value == pytest.approx(expected, rel=1e-9)
    assert capsys.readouterr().err == f"{path}: 1 of 61 rows have no value: passed over\n"


def test_many_names_are_not_all_listed(tmp_path, capsys):
    path = tmp_path / "wide.csv"
    names = [f"c{i}" for i in range(2000)]
    path.write_text(f"{','.join(names)}\n{','.join(['1.5'] * 2000)}\n")
    assert main(["fit", str(path), "--columns", "zz"]) == 2
    assert "c8, c9 and so on, 2000 in all" in capsys.readouterr().err
    assert read_table(path).numbers(names[::-1], "raise").shape == (1, 2000)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="the system has no such file")
def test_what_has_no_end_is_not_read(capsys, monkeypatch):
    assert main(["fit", "/dev/zero"]) == 2
    assert "it is a device" in capsys.readouterr().err
    with Path("/dev/zero").open() as zeros:
        monkeypatch.setattr(sys, "stdin", zeros)
        assert main(["fit", "-"]) == 2
    assert "it is a device" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["fit", "-"]) == 2
    assert "standard input: cannot be read: it is closed" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_arrow_names_that_are_not_unique(ending, tmp_path, capsys):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = tmp_path / f"data.{ending}"
    for names in (["a", "a"], ["n", "a", "a", "right"]):
        columns = [np.arange(60), X[:, 0], X[:, 0], X[:, 1]][-len(names) :]
        table = pyarrow.Table.from_arrays(list(map(pyarrow.array, columns)), names=names)
        if ending == "parquet":
            parquet.write_table(table, path)
        else:
            with pyarrow.ipc.new_file(str(path), table.schema) as writer:
                writer.write_table(table)
        assert main(["fit", str(path)]) == 2
        assert "2 columns have the name 'a', which must be unique" in capsys.readouterr().err
    table = read_table(path)
    assert table.columns == ("a", "a", "right")
    assert table.notes(["right"]) == ["column 'n' is set aside as row numbers"]
    np.testing.assert_array_equal(table.numbers(["right", "n"], "raise")[:, 0], X[:, 1])
