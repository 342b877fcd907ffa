"""How users call fits: one call, signatures, and what wrong calls are told."""

import inspect
import sys
import typing

import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, make

import nvmix
from nvmix import (
    BatchEMFitter,
    ConvergenceWarning,
    GeneralizedHyperbolic,
    IncrementalEMFitter,
    NormalInverseGaussian,
    Status,
)
from nvmix.backends.cpu.kernels import entry_points
from nvmix.datasets import load_crude_oil
from nvmix.distributions.families import FAMILIES as NAMES
from nvmix.fitting.settings import FitSettings
from nvmix.sources import observations


@pytest.fixture(scope="module")
def X():
    return load_crude_oil()[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_call_is_a_start_and_a_fit(X, name):
    family = NAMES[name]
    expected = family.default_init(X).fit(X, tol=1e-3)
    for called in (nvmix.fit(X, name, tol=1e-3), nvmix.fit(X, family, tol=1e-3)):
        assert called.log_likelihood == expected.log_likelihood
        assert called.n_iter == expected.n_iter


def test_one_call_takes_what_a_fit_takes(X):
    frame = pd.DataFrame(X, columns=["brent", "wti"])
    assert nvmix.fit(frame).model.columns == ("brent", "wti")
    weights = np.linspace(0.5, 1.5, len(X))
    expected = NormalInverseGaussian.default_init(X).fit(X, weights=weights)
    assert nvmix.fit(X, weights=weights).log_likelihood == expected.log_likelihood
    holes = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)
    assert nvmix.fit(holes, missing="em").converged
    chunks = nvmix.fit(lambda: np.array_split(X, 3))
    assert chunks.log_likelihood == pytest.approx(nvmix.fit(X).log_likelihood, rel=1e-12)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        nvmix.fit(X, max_iter=1)
    with pytest.raises(ValueError, match="family must be one of 'nig'"):
        nvmix.fit(X, "cauchy")


@pytest.mark.parametrize(
    "function",
    [NormalInverseGaussian.fit, nvmix.fit, nvmix.fit_many, nvmix.compare],
    ids=lambda f: f.__qualname__,
)
def test_signatures_list_the_settings(function):
    shown = inspect.signature(function).parameters
    settings = inspect.signature(BatchEMFitter).parameters
    assert settings.keys() <= shown.keys()
    for name, parameter in settings.items():
        if name != "symmetric" or function is not nvmix.compare:
            assert shown[name].default == parameter.default
    assert not any(p.kind is p.VAR_KEYWORD for p in shown.values())
    first = next(p for name, p in shown.items() if name in ("X", "data"))
    assert first.default is first.empty


def test_editors_complete_the_settings():
    named = set(typing.get_type_hints(FitSettings))
    assert named == set(inspect.signature(BatchEMFitter).parameters)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (NormalInverseGaussian.fit, r"default_init\(X\)\.fit\(X\), or nvmix\.fit"),
        (lambda X: NormalInverseGaussian.default_init(X).fit(), r"model\.fit\(X\)"),
        (lambda X: BatchEMFitter().fit(X), "model must be a model to start from, such as Normal"),
        (lambda _: BatchEMFitter().fit(make(NormalInverseGaussian)), r"fit\(model, X\)"),
        (lambda X: BatchEMFitter().fit(X, make(NormalInverseGaussian)), "starting model first"),
        (lambda X: BatchEMFitter().fit(NormalInverseGaussian, X), "got the class NormalInverseGau"),
        (lambda X: IncrementalEMFitter().fit(X), "model must be a model to start from"),
        (lambda X: IncrementalEMFitter().fit(X, make(NormalInverseGaussian)), "starting model"),
        (lambda X: make(NormalInverseGaussian).fit(X, maxiter=3), "'maxiter': did you mean 'max_i"),
        (lambda X: make(NormalInverseGaussian).fit(X, zzz=3), "'zzz': settings are max_iter, tol"),
        (lambda X: nvmix.fit(X, family="nig", tolerance=1e-4), "fit got an unexpected keyword"),
        (lambda X: nvmix.fit("nig", X), "family must be a name .* got ndarray; data come first"),
        (lambda X: nvmix.fit(X, resume=True), r"'resume': give it as checkpoint=Checkpoint\(path"),
        (lambda X: nvmix.fit_many([X], max_itr=3), "fit_many got an unexpected keyword argument"),
        (lambda X: nvmix.compare(X, critereon=3), "compare got .* did you mean 'criterion'"),
        (lambda X: nvmix.compare(X, sort="bic"), "'sort': rank_by='bic' ranks by BIC"),
        (nvmix.eta0_from_model, "model must be a model to start from"),
        (
            lambda _: NormalInverseGaussian.from_classical(mu=0.0, gamma=0.0, sigma=1.0, alpha=1.0),
            "from_classical takes mu, gamma, sigma, mu_ig, lam; got alpha",
        ),
    ],
)
def test_wrong_calls_say_what_to_do(X, call, match):
    with pytest.raises(TypeError, match=match):
        call(X)


@pytest.mark.parametrize(
    ("name", "use"),
    [("SkewT", "SkewStudentT"), ("GeneralisedHyperbolic", "GeneralizedHyperbolic"),
     ("from_json", "load"), ("fit_meny", "fit_many")],
)  # fmt: skip
def test_misspelt_names_of_the_package(name, use):
    with pytest.raises(AttributeError, match=f"no attribute '{name}': did you mean '{use}'"):
        getattr(nvmix, name)
    assert hasattr(nvmix, use)
    with pytest.raises(AttributeError, match=r"no attribute 'zzzzz'$"):
        nvmix.zzzzz  # noqa: B018


def test_a_product_with_weights_is_the_linear_map():
    model, A = make(NormalInverseGaussian), np.array([[0.5, 0.5], [1.0, -1.0]])
    assert (A @ model).to_dict() == model.linear(A).to_dict()
    assert ([0.5, 0.5] @ model).d == 1


def test_every_family_is_exported_and_tested():
    families = set(NAMES.values())
    assert families == set(FAMILIES)
    for family in families:
        assert getattr(nvmix, family.__name__) is family
        assert family.__name__ in nvmix.distributions.__all__


def test_a_status_is_a_number_with_a_sentence(X):
    status = nvmix.fit(X).status
    assert status is Status.CONVERGED
    assert status == 0
    assert status.code == 0
    assert status.converged
    assert status.message.startswith("Converged")
    for member in Status:
        assert member.message.endswith(".")
        assert Status.of(np.array(int(member))) is member


def test_few_frames_lie_between_a_call_and_the_compiled_loop(X, monkeypatch):
    depths, loop = [], entry_points.advance_loop

    def counted(*arguments):
        frame, depth = sys._getframe(1), 1
        while frame.f_code.co_name != "test_few_frames_lie_between_a_call_and_the_compiled_loop":
            frame, depth = frame.f_back, depth + 1
        depths.append(depth)
        return loop(*arguments)

    start = NormalInverseGaussian.default_init(X)
    monkeypatch.setattr(entry_points, "advance_loop", counted)
    start.fit(X)
    # The compiled loop itself is the last.
    assert depths == [10]


def test_a_start_validates_its_rows_once(X, monkeypatch):
    counts = {"columns_vary": 0, "observations": 0}
    for name in counts:
        original = getattr(observations, name)

        def counting(*arguments, original=original, name=name, **keywords):
            counts[name] += 1
            return original(*arguments, **keywords)

        monkeypatch.setattr(observations, name, counting)
    GeneralizedHyperbolic.default_init(X)
    assert counts == {"columns_vary": 1, "observations": 1}


def test_every_family_has_a_name():
    assert set(NAMES.values()) == set(FAMILIES)
