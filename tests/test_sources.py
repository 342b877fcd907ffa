"""Rows on disk and in chunks: one answer, whatever they come from, and errors that say where."""

import numpy as np
import pytest
from conftest import ROWS, chunks_of, make, needs_jax

from nvmix import (
    ConvergenceWarning,
    GeneralizedHyperbolic,
    NormalInverseGamma,
    NormalInverseGaussian,
    ReadError,
    VarianceGamma,
    compare,
    fit,
)
from nvmix.backends.e_step import EStep
from nvmix.backends.status import Status
from nvmix.fitting.em import BatchEMFitter
from nvmix.sources.factory import source_of, starting_rows

COLUMNS = ("left", "middle", "right")


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian, 3).rvs(5000, seed=2)


def _memmap(X, path):
    np.save(path / "x.npy", X)
    return np.load(path / "x.npy", mmap_mode="r")


def _slice_of_a_memmap(X, path):
    return _memmap(np.concatenate([X[:100], X]), path)[100:]


def _strided_memmap(X, path):
    return _memmap(np.asfortranarray(X), path)


def _private_memmap(X, path):
    np.save(path / "x.npy", X)
    return np.load(path / "x.npy", mmap_mode="c")


def _npy(X, path):
    np.save(path / "x.npy", X)
    return path / "x.npy"


def _lists(X, path):
    class Lists:
        def __iter__(self):
            return iter(np.array_split(X, 7))

    return Lists()


def _frames(X, path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=COLUMNS)
    return lambda: (frame[i : i + 600] for i in range(0, len(X), 600))


def _table(X, path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return pyarrow.table(dict(zip(COLUMNS, X.T, strict=True)))


def _parquet(X, path):
    table = _table(X, path)
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table, path / "x.parquet", row_group_size=800)
    return str(path / "x.parquet")


def _parquet_file(X, path):
    return pytest.importorskip("pyarrow.parquet").ParquetFile(_parquet(X, path))


def _parquet_dataset(X, path):
    table = _table(X, path)
    parquet = pytest.importorskip("pyarrow.parquet")
    for i, first in enumerate(range(0, len(X), 1700)):
        parquet.write_table(table.slice(first, 1700), path / f"{i}.parquet")
    return pytest.importorskip("pyarrow.dataset").dataset(path)


def _feather(X, path):
    table = _table(X, path)
    pytest.importorskip("pyarrow.feather").write_feather(table, path / "x.feather")
    return path / "x.feather"


def _dask_array(X, path):
    return pytest.importorskip("dask.array").from_array(X, chunks=(900, 2))


def _dask_frame(X, path):
    pandas = pytest.importorskip("pandas")
    frames = pytest.importorskip("dask.dataframe")
    return frames.from_pandas(pandas.DataFrame(X, columns=COLUMNS), npartitions=4)


SOURCES = (
    _memmap, _slice_of_a_memmap, _strided_memmap, _private_memmap, _npy, _lists, _frames, _table,
    _parquet, _parquet_file, _parquet_dataset, _feather, _dask_array, _dask_frame,
)  # fmt: skip


def same_fit(found, expected, rtol=1e-10):
    assert found.status is expected.status
    assert found.n_iter == expected.n_iter
    assert found.n_observations == pytest.approx(expected.n_observations, rel=1e-12)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=rtol)
    for one, other in zip(found.model.normal, expected.model.normal, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(
        found.model.subordinator.gig, expected.model.subordinator.gig, rtol=rtol
    )


class TestOneAnswer:
    @pytest.mark.parametrize("source", SOURCES, ids=lambda f: f.__name__)
    def test_for_the_same_rows_from_anywhere(self, source, X, tmp_path):
        data = source(X, tmp_path)
        start = NormalInverseGaussian.default_init(X)
        other = NormalInverseGaussian.default_init(data)
        np.testing.assert_array_equal(other.mu, start.mu)
        result = other.fit(data)
        same_fit(result, start.fit(X))
        named = any(word in source.__name__ for word in ("frame", "table", "parquet", "feather"))
        assert result.model.columns == (COLUMNS if named else None)

    @pytest.mark.parametrize("size", [1, 13, 256, 5000])
    def test_for_any_chunking(self, size, X, family):
        # Rows in memory alone are compared with special cases of the generalized hyperbolic and, up
        # to 2,000 values, with fits at other rows.
        part = X[:700] if size == 1 else X
        start = make(family, 3)
        fixed = {"p": start.p} if family is GeneralizedHyperbolic else None
        fitter = BatchEMFitter(max_iter=5, fixed=fixed)
        expected = fitter.run(start, part)
        same_fit(fitter.run(start, chunks_of(part, size)), expected)

    def test_with_weights(self, X, tmp_path):
        omega = np.random.default_rng(0).uniform(0.0, 2.0, len(X))
        start = NormalInverseGaussian.default_init(X)
        expected = start.fit(X, weights=omega)
        pairs = zip(np.array_split(X, 9), np.array_split(omega, 9), strict=True)
        kept = list(pairs)
        same_fit(start.fit(_memmap(X, tmp_path), weights=omega), expected)
        same_fit(start.fit(lambda: iter(kept)), expected)
        same_fit(start.fit(chunks_of(X), weights=omega), expected)

    def test_with_missing_values(self, X):
        holes = X.copy()
        holes[np.random.default_rng(1).random(X.shape) < 0.05] = np.nan
        holes = holes[~np.isnan(holes).all(axis=1)]
        start = NormalInverseGaussian.default_init(holes, missing="em")
        expected = start.fit(holes, missing="em")
        same_fit(start.fit(chunks_of(holes, 1000), missing="em"), expected, rtol=1e-9)

    def test_with_what_a_fit_may_hold(self, X):
        start = NormalInverseGaussian.default_init(X)
        for keywords in ({"symmetric": True}, {"algorithm": "mcecm", "max_iter": 300}):
            same_fit(start.fit(chunks_of(X), **keywords), start.fit(X, **keywords))

    def test_for_integers_and_single_floats(self, X, tmp_path):
        start = NormalInverseGaussian.default_init(X)
        for dtype in ("f4", "i4"):
            values = (X * 100.0).astype(dtype)
            np.save(tmp_path / f"{dtype}.npy", values)
            same_fit(start.fit(tmp_path / f"{dtype}.npy"), start.fit(values))

    @needs_jax
    def test_of_an_e_step_on_jax(self, X):
        model, rows = make(NormalInverseGaussian, 2), X[:ROWS, :2]
        one, other = model.e_step(rows), model.e_step(lambda: [rows], "jax")
        np.testing.assert_allclose(other.xx_inv_y, one.xx_inv_y, rtol=1e-12)

    def test_of_a_function_that_returns_the_array(self, X):
        start = NormalInverseGaussian.default_init(lambda: X)
        same_fit(start.fit(lambda: X), start.fit(X))
        with pytest.raises(ValueError, match=r"chunk 0 of .* must have shape \(m, d\), got \(3,\)"):
            NormalInverseGaussian.default_init(lambda: iter(X))

    def test_of_a_reader_that_fills_one_buffer_again_and_again(self, X):
        def chunks():
            buffer = np.empty((500, 3))
            for part in np.array_split(X, 10):
                buffer[:] = part
                yield buffer

        def weighted():
            buffer, weights = np.empty((500, 3)), np.empty(500)
            for part, own in zip(np.array_split(X, 10), np.array_split(omega, 10), strict=True):
                buffer[:], weights[:] = part, own
                yield buffer, weights

        start = NormalInverseGaussian.default_init(X)
        same_fit(start.fit(chunks), start.fit(X))
        omega = np.random.default_rng(0).exponential(size=len(X))
        same_fit(start.fit(weighted), start.fit(X, weights=omega))

    def test_of_a_file_that_is_gone_or_another(self, X, tmp_path):
        data, start = _memmap(X, tmp_path), NormalInverseGaussian.default_init(X)
        expected = start.fit(X)
        np.save(tmp_path / "other.npy", X + 100.0)
        (tmp_path / "other.npy").replace(tmp_path / "x.npy")
        same_fit(start.fit(data), expected)
        (tmp_path / "x.npy").unlink()
        same_fit(start.fit(data), expected)

    def test_with_chunks_of_no_weight(self):
        rng = np.random.default_rng(0)
        X = np.concatenate([rng.standard_t(3, size=300), np.zeros(300)])[:, None]
        omega = np.concatenate([np.zeros(100), np.ones(500)])
        start, fitter = VarianceGamma.default_init(X), BatchEMFitter(max_iter=2000)
        found = fitter.run(start, chunks_of(X, 100), omega)
        assert found.status is Status.UNBOUNDED
        assert fitter.run(start, X, omega).rows == found.rows

    def test_of_a_record_batch_and_directories(self, X, tmp_path):
        batch = _table(X, tmp_path).to_batches()[0]
        start = NormalInverseGaussian.default_init(batch)
        expected = start.fit(X)
        same_fit(start.fit(batch), expected)
        same_fit(start.fit(lambda: [batch]), expected)
        for kind in ("parquet", "feather"):
            folder = tmp_path / f"{kind}.2024"
            folder.mkdir()
            writer = pytest.importorskip(f"pyarrow.{kind}")
            getattr(writer, f"write_{'table' if kind == 'parquet' else kind}")(
                _table(X, tmp_path), folder / f"x.{kind}"
            )
            same_fit(start.fit(folder), expected)

    def test_of_directories_with_hidden_files(self, X, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        for hidden in ("_unfinished", ".trash"):
            (tmp_path / hidden).mkdir()
            (tmp_path / hidden / "x.parquet").write_text("no Parquet")
        (tmp_path / "year").mkdir()
        parquet.write_table(_table(X, tmp_path), tmp_path / "year" / "x.parquet")
        start = NormalInverseGaussian.default_init(tmp_path)
        same_fit(start.fit(tmp_path), start.fit(X))

    def test_of_parquet_that_pandas_has_written_with_an_index(self, X, tmp_path):
        frame = _table(X, tmp_path).to_pandas()
        frame.sample(frac=1.0, random_state=0).to_parquet(tmp_path / "frame.parquet")
        start = NormalInverseGaussian.default_init(tmp_path / "frame.parquet")
        assert start.columns == COLUMNS
        found = start.fit(tmp_path / "frame.parquet")
        assert found.log_likelihood == pytest.approx(start.fit(X).log_likelihood, rel=1e-10)

    def test_of_a_filtered_dataset(self, X, tmp_path):
        dataset = pytest.importorskip("pyarrow.dataset")
        data = dataset.dataset(_parquet(X, tmp_path)).filter(dataset.field("left") > 0.0)
        start = NormalInverseGaussian.default_init(X)
        same_fit(start.fit(data), start.fit(X[X[:, 0] > 0.0]))

    def test_of_some_row_groups(self, X, tmp_path):
        dataset = pytest.importorskip("pyarrow.dataset")
        (fragment,) = dataset.dataset(_parquet(X, tmp_path)).get_fragments()
        part = dataset.FileSystemDataset(
            [fragment.subset(row_group_ids=[1, 3])],
            fragment.physical_schema,
            fragment.format,
            fragment.filesystem,
        )
        start = NormalInverseGaussian.default_init(X)
        same_fit(start.fit(part), start.fit(np.concatenate([X[800:1600], X[2400:3200]])))

    def test_of_batches_with_the_index_of_pandas(self, X, tmp_path):
        table = _table(X, tmp_path).to_pandas().sample(frac=1.0, random_state=0)
        batches = pytest.importorskip("pyarrow").Table.from_pandas(table).to_batches(900)
        assert NormalInverseGaussian.default_init(lambda: batches).columns == COLUMNS

    def test_of_nullable_columns(self, X, tmp_path):
        frame = _table(X, tmp_path).to_pandas().astype("Float64")
        holes = frame.mask(frame > 6.0)
        start = make(NormalInverseGaussian, 3)
        expected = start.fit(holes, missing="em")
        same_fit(start.fit(lambda: [holes[:2000], holes[2000:]], missing="em"), expected)
        frames = pytest.importorskip("dask.dataframe").from_pandas(holes, npartitions=3)
        same_fit(start.fit(frames, missing="em"), expected)

    def test_names_of_chunks_go_to_the_model(self, X, tmp_path):
        for chunks in (_frames(X, tmp_path), lambda: _table(X, tmp_path).to_batches()):
            assert NormalInverseGaussian.default_init(chunks).columns == COLUMNS
            assert make(NormalInverseGaussian, 3).fit(chunks, tol=1.0).model.columns == COLUMNS

    def test_where_mu_meets_rows(self):
        rng = np.random.default_rng(0)
        X = np.concatenate([np.zeros(300), rng.standard_t(3, size=300)])[:, None]
        rng.shuffle(X)
        start = VarianceGamma.default_init(X)
        fitter = BatchEMFitter(max_iter=2000)
        whole, parts = fitter.run(start, X), fitter.run(start, chunks_of(X, 100))
        assert whole.status is Status.UNBOUNDED
        assert parts.status is Status.UNBOUNDED
        assert parts.rows == whole.rows == tuple(np.flatnonzero(X[:, 0] == 0.0))

    def test_at_a_cusp(self):
        truth = VarianceGamma.from_classical(
            mu=[0.0], gamma=[0.1], sigma=[[1.0]], alpha=1.2, beta=1.2
        )
        X = truth.rvs(400, seed=5)
        start = VarianceGamma.default_init(X)
        whole, parts = start.fit(X, max_iter=500), start.fit(chunks_of(X, 90), max_iter=500)
        assert whole.status is Status.CUSP
        assert (parts.status, parts.rows) == (whole.status, whole.rows)
        assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-9)

    def test_at_the_gaussian_limit(self):
        X = np.random.default_rng(3).uniform(-1.0, 1.0, (500, 1))
        start = NormalInverseGaussian.default_init(X)
        fitter = BatchEMFitter(max_iter=2000, symmetric=True, criterion="likelihood")
        whole, parts = fitter.run(start, X), fitter.run(start, chunks_of(X, 90))
        assert whole.status is Status.GAUSSIAN_LIMIT
        assert parts.status is Status.GAUSSIAN_LIMIT
        np.testing.assert_allclose(parts.model.mean(), whole.model.mean(), atol=1e-12)
        assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)

    def test_for_a_start_from_more_rows_than_it_takes(self, tmp_path):
        X = np.random.default_rng(0).standard_t(5.0, (300_000, 1))
        start = NormalInverseGaussian.default_init(X)
        for data in (chunks_of(X, 1000), chunks_of(X, 299_999), _memmap(X, tmp_path)):
            other = NormalInverseGaussian.default_init(data)
            np.testing.assert_array_equal(other.mu, start.mu)
            assert other.subordinator == start.subordinator
        np.testing.assert_array_equal(NormalInverseGaussian.default_init(X[::4]).mu, start.mu)

    @pytest.mark.parametrize(("n", "d", "k"), [(262_145, 1, 4), (30_000, 300, 4)])
    def test_a_start_takes_evenly_spaced_rows(self, n, d, k):
        X = np.random.default_rng(0).standard_normal((n, d))
        rows = starting_rows(X).values
        np.testing.assert_array_equal(rows, X[::k])
        np.testing.assert_array_equal(starting_rows(chunks_of(X, 7001)).values, rows)

    def test_a_start_takes_all_rows_where_columns_vary_in_others_only(self):
        X = np.random.default_rng(0).standard_normal((150_000, 2))
        X[:, 1] = 0.0
        X[1::1000, 1] = 1.0
        assert len(starting_rows(X).values) == len(X)
        with pytest.raises(ValueError, match=r"constant column.*one in every 2 rows, of"):
            starting_rows(chunks_of(X, 7001))
        assert starting_rows(chunks_of(X[1:], 7001)).values.shape == (75_000, 2)


class TestErrors:
    def fit(self, data, **keywords):
        return make(NormalInverseGaussian, 3).fit(data, max_iter=2, **keywords)

    def test_nan_names_the_row(self, X):
        bad = X.copy()
        bad[4321, 1] = np.nan
        with pytest.raises(ValueError, match=r"nan at row 4321, column 1 \(row 321 of chunk 4\)"):
            self.fit(chunks_of(bad, 1000))
        with pytest.raises(ValueError, match=r"nan at row 4321, column 1"):
            NormalInverseGaussian.default_init(chunks_of(bad, 1000))

    def test_a_value_whose_square_overflows_names_the_row(self, X):
        bad = X.copy()
        bad[4321, 1] = -1e200
        where = r"within 1e150, got -1e\+200 at row 4321, column 1 \(row 321 of chunk 4\)"
        with pytest.raises(ValueError, match=where):
            self.fit(chunks_of(bad, 1000))
        with pytest.raises(ValueError, match=where):
            NormalInverseGaussian.default_init(chunks_of(bad, 1000))

    def test_a_file_of_a_directory_that_is_cut_off_is_named(self, X, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        for i, part in enumerate(np.array_split(X, 3)):
            parquet.write_table(_table(part, tmp_path), tmp_path / f"{i}.parquet")
        content = (tmp_path / "1.parquet").read_bytes()
        (tmp_path / "1.parquet").write_bytes(content[: len(content) // 2])
        with pytest.raises(ReadError, match=r"1\.parquet"):
            self.fit(tmp_path)

    def test_directories_of_two_kinds_are_refused(self, X, tmp_path):
        _parquet(X, tmp_path)
        _feather(X, tmp_path)
        with pytest.raises(ValueError, match="files of one kind, got Parquet and Arrow in"):
            self.fit(tmp_path)

    def test_infinity_names_the_row_where_nan_is_missing(self, X):
        bad = X.copy()
        bad[11] = np.nan, np.inf, 0.0
        with pytest.raises(ValueError, match="finite or nan, got inf at row 11, column 1"):
            self.fit(chunks_of(bad, 1000), missing="em")

    def test_a_chunk_that_cannot_be_read_is_named(self, X):
        def disk():
            yield X[:1000]
            yield X[1000:2000]
            message = "no more disk"
            raise OSError(message)

        with pytest.raises(ReadError, match=r"chunk 2 of the chunks of disk .*no more disk"):
            self.fit(disk)

    def test_a_file_that_is_cut_off_is_named(self, X, tmp_path):
        data = _memmap(X, tmp_path)
        with (tmp_path / "x.npy").open("r+b") as file:
            file.truncate(60_000)
        with pytest.raises(ReadError, match=r"chunk 0 of 5000 rows in .*x\.npy"):
            self.fit(data)

    def test_rows_that_change_in_number_are_refused(self, X):
        sizes = iter([1000, 999, 999])
        with pytest.raises(ValueError, match="1000 rows in each pass, by their weights, got 999"):
            self.fit(lambda: [X[: next(sizes)]])

    def test_what_can_be_read_once_is_refused(self, X):
        with pytest.raises(TypeError, match="got a generator, which can be read once"):
            self.fit(x for x in np.array_split(X, 3))
        once = iter(np.array_split(X, 3))
        with pytest.raises(ValueError, match="no rows from the chunks of <lambda>"):
            self.fit(lambda: once)

    def test_no_rows_are_refused(self):
        with pytest.raises(ValueError, match="must not be empty"):
            self.fit(list)

    def test_too_few_rows_are_refused(self, X):
        with pytest.raises(ValueError, match=r"more rows than columns .* got shape \(3, 3\)"):
            self.fit(lambda: [X[:2], X[2:3]])

    def test_constant_and_collinear_columns_are_refused(self, X):
        constant, collinear = X.copy(), X.copy()
        constant[:, 1] = 7.0
        collinear[:, 2] = X[:, 0] - X[:, 1]
        with pytest.raises(ValueError, match="constant column, got column 1"):
            self.fit(chunks_of(constant))
        with pytest.raises(ValueError, match="collinear columns, got column 2"):
            self.fit(chunks_of(collinear))
        with pytest.raises(ValueError, match="collinear columns, got column 2"):
            NormalInverseGaussian.default_init(chunks_of(collinear))

    def test_columns_that_vary_little_are_not(self, X):
        narrow = X.copy()
        narrow[:, 1] = 1.0 + 1e-7 * X[:, 1]
        model = NormalInverseGaussian.default_init(narrow)
        assert EStep(source_of(chunks_of(narrow)))(
            make(NormalInverseGaussian, 3).normal, model.subordinator.gig
        ).weight == len(X)

    def test_other_columns_are_refused(self, X, tmp_path):
        with pytest.raises(ValueError, match=r"chunk 0 of .* must have shape \(m, 3\), got"):
            self.fit(chunks_of(X[:, :2]))
        with pytest.raises(ValueError, match="X must have 3 columns, as the model has, got 2"):
            self.fit(_memmap(X[:, :2], tmp_path))
        model = NormalInverseGaussian.default_init(_table(X, tmp_path))
        renamed = _table(X, tmp_path).rename_columns(["x", "y", "z"])
        with pytest.raises(ValueError, match="columns of the model"):
            model.fit(renamed)

    def test_columns_in_another_order_are_refused(self, X, tmp_path):
        one = _table(X[:2500], tmp_path)
        other = _table(X[2500:, ::-1], tmp_path).rename_columns(COLUMNS[::-1])
        with pytest.raises(ValueError, match=r"chunk 1 of .* must have the columns"):
            self.fit(lambda: [one, other])
        with pytest.raises(ValueError, match=r"chunk 1 of .* must have the columns"):
            self.fit(lambda: [one.to_pandas(), other.to_pandas()])

    def test_what_is_no_table_is_refused(self, X, tmp_path):
        table = _table(X, tmp_path)
        for bad in (table.column(0), table.to_reader()):
            with pytest.raises(TypeError, match="Arrow dataset, table or Parquet file, got"):
                self.fit(bad)

    def test_rows_and_columns_without_values_are_refused(self, X):
        no_row, no_column, constant = X.copy(), X.copy(), X.copy()
        no_row[77] = np.nan
        no_column[:, 1] = np.nan
        constant[:, 1] = 1.0
        constant[5, 1] = np.nan
        for bad, match in (
            (no_column, "columns of missing values only, got column 1"),
            (constant, "constant column, got column 1"),
        ):
            with pytest.raises(ValueError, match=match):
                self.fit(chunks_of(bad), missing="em")
            with pytest.raises(ValueError, match=match):
                self.fit(bad, missing="em")

    def test_rows_without_values_are_passed_over(self, X):
        holes, weights = X.copy(), np.linspace(0.5, 1.5, len(X))
        holes[::9, 1] = np.nan
        empty = [0, 77, 778, len(X) - 1]
        holes[empty] = np.nan
        rest = np.delete(holes, empty, axis=0)
        start = make(NormalInverseGaussian, 3)
        kept = np.delete(weights, empty)
        expected = start.fit(chunks_of(rest), missing="em", weights=kept)
        match = r"the chunks of .*: rows of missing values only, the first row 0, are passed over"
        with pytest.warns(UserWarning, match=match) as caught:
            result = start.fit(chunks_of(holes), missing="em", weights=weights)
        assert len(caught) == 1
        assert result.n_observations == pytest.approx(expected.n_observations, rel=1e-14)
        assert result.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-9)

    def test_rows_at_mu_count_with_rows_without_values(self, X):
        holes = np.vstack([X[:200], np.zeros((160, 3)), X[200:240]])
        holes[[3, 90, 250, 399]] = np.nan
        equal = tuple(row for row in range(200, 360) if row != 250)
        for source in (holes, chunks_of(holes, 100)):
            with pytest.warns(ConvergenceWarning), pytest.warns(UserWarning, match="passed over"):
                result = NormalInverseGamma.default_init(X).fit(source, missing="em")
            assert (result.status, result.rows) == (Status.UNBOUNDED, equal)

    def test_text_in_frames_is_refused(self, X, tmp_path):
        frame = _table(X, tmp_path).to_pandas().assign(right="x")
        with pytest.raises(TypeError, match=r"chunk 0 of .* column 'right' of text such as 'x'"):
            self.fit(lambda: [frame])

    def test_weights_that_are_all_0_are_refused(self, X):
        with pytest.raises(ValueError, match="weights must not all be 0"):
            self.fit(lambda: [(X, np.zeros(len(X)))])

    def test_weights_given_twice_are_refused(self, X):
        pairs = [(X, np.ones(len(X)))]
        with pytest.raises(ValueError, match="weights must be given once"):
            self.fit(lambda: pairs, weights=np.ones(len(X)))

    def test_text_is_refused(self, X, tmp_path):
        table = _table(X, tmp_path).append_column("day", [["monday"] * len(X)])
        with pytest.raises(TypeError, match="got column 'day' of type string"):
            NormalInverseGaussian.default_init(table)

    def test_weights_of_other_rows_are_refused(self, X, tmp_path):
        for data in (chunks_of(X), _memmap(X, tmp_path)):
            for n in (len(X) - 1, len(X) + 1):
                with pytest.raises(ValueError, match="one for each row of X"):
                    self.fit(data, weights=np.ones(n))
        with pytest.raises(ValueError, match="nonnegative"):
            self.fit(lambda: [(X, -np.ones(len(X)))])

    def test_what_has_no_rows_columns_or_numbers_is_refused(self, X):
        pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        with pytest.raises(ValueError, match="X must have columns, got an Arrow Table without"):
            self.fit(pyarrow.table({}))
        with pytest.raises(ValueError, match=r"one for each row of X, got \(0,\)"):
            self.fit(chunks_of(X), weights=[])
        delayed = pytest.importorskip("dask", reason="Dask is not installed").delayed
        with pytest.raises(TypeError, match="Dask array or DataFrame of rows, got Delayed"):
            self.fit(delayed(X))
        start = NormalInverseGaussian.default_init(lambda: [[], X, []])
        same_fit(start.fit(lambda: [[], X, []]), start.fit(X))

    def test_files_of_unknown_kinds_are_refused(self):
        with pytest.raises(
            ValueError, match=r"\.npy, .*file, or a directory of Parquet or of .*, got 'x\.xls'"
        ):
            self.fit("x.xls")
        with pytest.raises(FileNotFoundError):
            self.fit("nowhere.npy")

    def test_settings_that_need_memory_are_refused(self, X):
        with pytest.raises(ValueError, match="n_init needs X to be an array in memory"):
            self.fit(chunks_of(X), n_init=3)

    def test_standard_errors_ask_for_the_rows(self, X):
        result = NormalInverseGaussian.default_init(X).fit(chunks_of(X))
        with pytest.raises(ValueError, match="X must be given"):
            result.standard_errors()
        assert result.standard_errors(X)["mu"].shape == (3,)


def test_a_file_that_is_not_read_here_is_to_be_read_first(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"got '.*rows.csv': read it first"):
        fit(path)
    for rows in (path, str(path)):
        with pytest.raises(TypeError, match=r"real numbers, got '.*rows.csv'; read"):
            compare(rows)


NOT_ROWS = [
    (np.empty((0, 2)), ValueError, r"X must not be empty, got shape \(0, 2\) in .*rows.npy"),
    (np.empty((4, 0)), ValueError, r"X must not be empty, got shape \(4, 0\)"),
    (np.array([[1, "a"]] * 5, object), ValueError, r"X must be a .npy file .* objects in dtype"),
    (np.array([["a"]] * 5), TypeError, "X must hold real numbers, got dtype <U1"),
    (np.zeros((4, 2), "M8[s]"), TypeError, r"X must hold real numbers, got dtype datetime64\[s\]"),
    (np.zeros((2, 2, 2)), ValueError, r"X must have shape \(n, d\), got \(2, 2, 2\)"),
]


@pytest.mark.parametrize(("array", "error", "match"), NOT_ROWS)
def test_a_file_of_an_array_that_has_no_rows(array, error, match, tmp_path):
    np.save(tmp_path / "rows.npy", array, allow_pickle=True)
    with pytest.raises(error, match=match):
        fit(tmp_path / "rows.npy")


@pytest.mark.parametrize("content", [b"", b"thesis, chapter 1", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_a_file_of_no_array(content, tmp_path):
    (tmp_path / "rows.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"X must be a .npy file of .*, got '.*rows.npy'"):
        fit(tmp_path / "rows.npy")


@pytest.mark.parametrize("name", ["rows.npz", "rows.npy"])
def test_a_file_of_several_arrays(name, tmp_path):
    with (tmp_path / name).open("wb") as file:
        np.savez(file, returns=np.ones((5, 2)), dates=np.ones(5))
    for X in (tmp_path / name, np.load(tmp_path / name)):
        with pytest.raises(TypeError, match=r"got a .npz file with returns, dates: give one"):
            fit(X)
