"""What long fits say of themselves."""

import math

import numpy as np
import pytest
from conftest import make

from nvmix import IncrementalEMFitter, NormalInverseGaussian
from nvmix.fitting.report import progress as module
from nvmix.fitting.report.progress import Forecast, duration


@pytest.fixture(scope="module")
def X():
    return make(NormalInverseGaussian).rvs(4000, seed=1)


class TestForecast:
    def test_geometric_changes_foretell_their_end(self):
        forecast = Forecast(1000, 1e-8)
        assert math.isnan(forecast.left(1, -3.0, 1e-1))
        assert forecast.left(2, -3.0, 1e-2) == 6
        assert forecast.left(3, -3.0, 1e-3) == 5
        assert forecast.left(4, -3.0, 1e-9) == 0

    def test_gains_foretell_it_under_the_likelihood_criterion(self):
        forecast = Forecast(1000, 1e-8, by_likelihood=True)
        values = -1.0 - 0.1 ** np.arange(1.0, 6.0)
        lefts = [forecast.left(i + 1, value, 1.0) for i, value in enumerate(values)]
        assert math.isnan(lefts[0])
        assert lefts[3:] == [5, 4]

    def test_it_is_no_longer_than_the_most(self):
        assert math.isnan(Forecast(10, 1e-8).left(4, -1.0, 0.1))
        assert Forecast(10).left(4, -1.0, 0.1) == 6
        growing = Forecast(10, 1e-8)
        growing.left(1, -1.0, 0.1)
        assert growing.left(2, -1.0, 0.2) == 8


def test_each_iteration_has_a_rate_and_the_time_left(X, capsys):
    start = NormalInverseGaussian.default_init(X)
    start.fit(lambda: np.array_split(X, 3), verbose=2, tol=1e-7)
    head, titles, *rows, end = capsys.readouterr().out.splitlines()
    assert "the chunks of <lambda>" in head
    assert titles.split()[-2:] == ["rows/s", "left"]
    assert all(float(row.split()[3]) > 1e3 for row in rows)
    assert rows[-1].split()[-1] in ("s", "min")
    assert "converged" in end


def test_a_long_fit_says_where_it_is(X, capsys, monkeypatch):
    monkeypatch.setattr(module, "_INTERVAL", 0.0)
    start = NormalInverseGaussian.default_init(X)
    start.fit(lambda: np.array_split(X, 2), verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert any("2000 rows of a pass" in line for line in lines)
    assert any("2000 of 4000 rows of a pass" in line and "left of it" in line for line in lines)
    assert any("iteration 3, mean log-likelihood" in line and "rows/s, about" in line
               for line in lines)  # fmt: skip


def test_rows_are_counted_and_not_their_weights(X, capsys, monkeypatch):
    monkeypatch.setattr(module, "_INTERVAL", 0.0)
    start = NormalInverseGaussian.default_init(X)
    start.fit(lambda: np.array_split(X, 2), weights=np.full(len(X), 1e-3), verbose=1)
    assert "2000 of 4000 rows of a pass" in capsys.readouterr().out


def test_a_clock_that_stands_still_is_no_error(X, capsys, monkeypatch):
    monkeypatch.setattr(module.time, "monotonic", lambda: 1.0)
    make(NormalInverseGaussian).fit(lambda: np.array_split(X, 2), verbose=2)
    assert "converged" in capsys.readouterr().out


def test_a_quiet_fit_is_quiet(X, capsys, monkeypatch):
    monkeypatch.setattr(module, "_INTERVAL", 0.0)
    NormalInverseGaussian.default_init(X).fit(lambda: np.array_split(X, 2))
    IncrementalEMFitter(max_steps=3).fit(make(NormalInverseGaussian), X, key=0)
    assert capsys.readouterr().out == ""


def test_durations_are_read_at_a_glance():
    seconds = (0.0, 0.015, 12.0, 89.0, 91.0, 3600.0, 7200.0, math.inf)
    assert [duration(t) for t in seconds] == [
        "0 s", "0.015 s", "12 s", "89 s", "1.52 min", "60 min", "2 h", "-",
    ]  # fmt: skip
