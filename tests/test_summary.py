"""`result.summary()`, and short reprs of results, models and standard errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import make

import nvmix
from nvmix import IncrementalEMFitter, MultivariateNormal, NormalInverseGaussian, StudentT
from nvmix.foundation.tables import text_table

NAMES = ("<b>spx</b>", "ndx\x1b[2J")


@pytest.fixture(scope="module")
def frame():
    X = make(NormalInverseGaussian).rvs(400, seed=0)
    return pd.DataFrame(X, columns=list(NAMES))


@pytest.fixture(scope="module")
def result(frame):
    return nvmix.fit(frame, "nig")


def test_the_table_has_what_standard_errors_have(result):
    summary, errors = result.summary(level=0.9), result.standard_errors()
    table = summary.to_frame()
    assert table.equals(errors.to_frame(level=0.9))
    assert list(table.index) == list(errors.labels)
    assert table.index[0] == f"mu[{NAMES[0]}]"
    assert table.index[5] == f"sigma[{NAMES[1]},{NAMES[0]}]"
    low, high = errors.confidence_intervals(0.9)["gamma"][1]
    assert (table.lower.iloc[3], table.upper.iloc[3]) == (low, high)
    assert table.z.iloc[3] == table.estimate.iloc[3] / table.std_error.iloc[3]


def test_text_and_html_show_names_harmlessly(result):
    text, html = str(result.summary()), result.summary()._repr_html_()
    for shown in (f"{result.log_likelihood:.4f}", f"{result.bic:.4f}", result.message, "CONVERGED"):
        assert shown in text
        assert shown in html
    assert "<b>spx" not in html + result._repr_html_()
    assert result._repr_html_().endswith(result.model._repr_html_())
    assert "&lt;b&gt;spx" in html
    assert "\x1b" not in text + html + str(result.model) + result.model._repr_html_()
    assert len(text_table(["a", "b"], [["x\ny", "\0"]]).splitlines()) == 2


def test_what_is_held_has_no_interval(frame):
    result = nvmix.fit(frame, "gh", symmetric=True, fixed={"p": 1.0})
    table = result.summary().to_frame()
    held = table.index.str.startswith("gamma") | (table.index == "p")
    assert table[held].drop(columns="estimate").isna().all(axis=None)
    assert (table.std_error[~held] > 0.0).all()
    assert result.standard_errors()["p"] == 0.0
    assert str(result.summary()).count("held  ") == 3
    assert "symmetric GeneralizedHyperbolic" in str(result.summary())


@pytest.mark.parametrize(
    ("gauge", "d", "held"),
    [
        ("unit_mean", 2, "mu_ig"),
        ("a_eq_b", 2, "mu_ig"),
        ("none", 1, "sigma[0,0]"),
    ],
)
def test_what_the_gauge_holds_is_held_exactly(frame, gauge, d, held):
    result = nvmix.fit(frame.to_numpy()[:, :d], "nig", regularization=gauge)
    errors, summary = result.standard_errors(), result.summary()
    assert dict(zip(errors.names, errors.errors == 0.0, strict=True))[held]
    assert (errors.errors == 0.0).sum() == 1
    line = next(x for x in str(summary).splitlines() if x.startswith(held))
    assert line.split()[2:] == ["held", "-", "-", "-"]
    assert f"with {errors.constant} held: the scale that Sigma and Y share" in summary.note


def test_z_tests_mu_and_gamma_alone(result):
    summary = result.summary()
    table = summary.to_frame()
    tested = table.index.str.startswith(("mu[", "gamma["))
    assert table.z[tested].notna().all()
    assert table.z[~tested].isna().all()
    assert table[["std_error", "lower", "upper"]].notna().all(axis=None)
    assert next(x for x in str(summary).splitlines() if x.startswith("lam")).split()[3] == "-"


def test_degrees_of_freedom_of_student_t(frame):
    result = nvmix.fit(frame, "t", weights=np.full(400, 0.5))
    row = result.summary().to_frame().loc["df"]
    assert row.estimate == result.model.df
    assert row.std_error == pytest.approx(2.0 * result.standard_errors()["alpha"], rel=1e-12)
    assert f"df={result.model.df:.6g}" in repr(result.model)
    assert str(result.model).endswith(f"\ndf = {result.model.df:.6g}")


def test_a_word_why_there_are_no_errors(frame, result):
    start = NormalInverseGaussian.default_init(frame)
    steps = IncrementalEMFitter(max_steps=3).fit(start, frame)
    again = pickle.loads(pickle.dumps(result))
    for ended, why in (
        (steps, "did not converge"),
        (
            NormalInverseGaussian(*start.normal, start.subordinator).fit(lambda: [frame]),
            "has no data",
        ),
        (again, "has no data"),
    ):
        summary = ended.summary()
        assert "No standard errors: " in str(summary)
        assert why in summary.note
        assert summary.to_frame().std_error.isna().all()
    assert again.summary(frame).to_frame().equals(result.summary().to_frame())
    assert "log-likelihood   not computed" in str(steps.summary())
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        steps.summary(level=95.0)
    with pytest.raises(ValueError, match="X must have"):
        result.summary(np.ones((3, 3)))
    for errors in (result.summary, result.standard_errors):
        with pytest.raises(ValueError, match="X has 10 rows and the fit had 400: give the rows"):
            errors(frame[:10])
    with pytest.raises(ValueError, match="weights sum to 200 and the fit had 400: "):
        result.summary(frame, weights=np.full(400, 0.5))


def test_errors_of_many_elements_are_computed_if_asked_for(monkeypatch, result):
    monkeypatch.setattr("nvmix.fitting.outcome.result._FEW_ELEMENTS", 8)
    expected = "No standard errors: summary(errors=True) computes those of 9 elements."
    assert result.summary().note == result.summary(errors=False).note == expected
    assert (result.summary(errors=True).errors == result.standard_errors().errors).all()


def test_gaussian_limit_and_missing_values():
    X = np.random.default_rng(1).uniform(size=(300, 2))
    ended = nvmix.fit(X, "nig", symmetric=True)
    assert ended.status.name == "GAUSSIAN_LIMIT"
    assert "GAUSSIAN_LIMIT" in str(ended.summary())
    X = make(NormalInverseGaussian).rvs(400, seed=0)
    X[::7, 0] = np.nan
    table = nvmix.fit(X, "nig", missing="em").summary().to_frame()
    assert (table.std_error > 0.0).all()


def test_errors_of_a_normal_fit_are_those_of_refits():
    true = MultivariateNormal.from_classical(mu=[1.0, -2.0], sigma=[[2.0, 0.6], [0.6, 1.0]])
    fits = [nvmix.fit(true.rvs(200, seed=i), "normal").model for i in range(400)]
    refits = np.std([np.r_[m.mu, m.gamma, m.sigma()[np.tril_indices(2)]] for m in fits], axis=0)
    errors = nvmix.fit(true.rvs(200, seed=0), "normal").standard_errors().errors
    np.testing.assert_allclose(errors, refits, rtol=0.25)
    held = nvmix.fit(true.rvs(200, seed=0), "normal", fixed={"mu": [1.0, -2.0]})
    assert (held.standard_errors()["mu"] == 0.0).all()


def test_reprs_are_a_line(result, frame):
    wide = NormalInverseGaussian.from_classical(
        mu=np.zeros(50), gamma=np.zeros(50), sigma=np.eye(50), mu_ig=1.0, lam=2.0
    )
    for short in (result, result.model, result.standard_errors(), result.summary(), wide):
        assert len(repr(short).splitlines()) == 1
        assert len(repr(short)) < 250
    assert repr(wide) == str(wide) == "NormalInverseGaussian(d=50, mu_ig=1, lam=2)"
    assert "d=2, CONVERGED" in repr(result)
    assert repr(StudentT.from_classical(mu=0.5, sigma=4.0, df=3.0)) == (
        "StudentT(d=1, df=3, mu=[0.5], gamma=[0.], sigma=[[4.]])"
    )
