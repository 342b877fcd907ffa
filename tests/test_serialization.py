"""`save`, `load`, `to_dict` and `from_dict`: the same bits again, and nothing else is read."""

import copy
import json
import math
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, make, needs_jax, normal_block

import nvmix
from nvmix import (
    GIG,
    EMResult,
    GeneralizedHyperbolic,
    IncrementalEMFitter,
    MultivariateNormal,
    NormalInverseGaussian,
    PointMass,
    StudentT,
    VarianceGamma,
)
from nvmix.foundation.files import json_text

SAVED = Path(__file__).parent / "saved"
FRAME = pd.DataFrame(make(NormalInverseGaussian).rvs(300, seed=0), columns=["a\x1b", 'b"[{é'])
LIMITS = ({"p": 4.0, "a": 3.0, "b": 0.0}, {"p": -4.0, "a": 0.0, "b": 3.0})
MODELS = [
    *(make(family, d) for family in FAMILIES for d in (1, 3)),
    *(GeneralizedHyperbolic.from_classical(**normal_block(2), **law) for law in LIMITS),
    StudentT.from_classical(mu=[0.1, 1e-300], sigma=[[2.0, 1.0], [1.0, 3e5]], df=math.pi),
    MultivariateNormal.from_classical(mu=-0.0, sigma=1.0 / 3.0),
    NormalInverseGaussian.default_init(FRAME),
    make(NormalInverseGaussian, 3).conditional({0: 1.0}),
]


def same(left, right):
    """Whether two objects are of one class and have the same fields to the last bit."""
    return type(left) is type(right) and left.to_dict() == right.to_dict()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{type(model).__name__}{model.d}")
def test_models_and_laws_come_back_to_the_last_bit(model, tmp_path):
    for saved in (model, model.subordinator):
        saved.save(tmp_path / "saved.json")
        for again in (nvmix.load(tmp_path / "saved.json"), nvmix.from_dict(saved.to_dict())):
            assert same(again, saved)
    again = nvmix.load(str(tmp_path / "saved.json"))
    assert again == model.subordinator
    again = nvmix.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.columns == model.columns
    for x, y in zip(again.normal, model.normal, strict=True):
        assert x.tobytes() == y.tobytes()
        assert not x.flags.writeable


@pytest.mark.parametrize("family", ["nig", "t", "normal", "gh"])
def test_fits_come_back(family, tmp_path):
    held = {} if family == "normal" else {"seed": np.random.default_rng(0), "n_init": 2}
    result = nvmix.fit(FRAME, family, fixed={"mu": [0.1, 0.2]}, max_iter=500, **held)
    result.save(tmp_path / "fit.json")
    again = nvmix.load(tmp_path / "fit.json")
    assert same(again, result)
    for name in ("status", "message", "aic", "held", "symmetric", "rows", "settings", "converged"):
        assert getattr(again, name) == getattr(result, name)
    np.testing.assert_array_equal(again.log_likelihoods, result.log_likelihoods)
    assert dict(again.settings)["fixed"] == "{'mu': [0.1, 0.2]}"
    assert again.summary(FRAME).to_frame().equals(result.summary().to_frame())
    assert "date" in json.loads((tmp_path / "fit.json").read_text())


def test_fits_without_likelihood_come_back(tmp_path):
    result = IncrementalEMFitter(max_steps=2).fit(MODELS[-2], FRAME)
    result.save(tmp_path / "fit.json")
    again = nvmix.load(tmp_path / "fit.json")
    assert again.converged is None
    assert dict(again.settings)["max_steps"] == 2
    assert math.isnan(again.log_likelihood)
    assert same(again, result)


def test_files_of_this_schema_stay_loadable():
    fit, model, law = (
        nvmix.load(SAVED / f"schema1_{kind}.json") for kind in ("fit", "model", "law")
    )
    assert isinstance(fit, EMResult)
    assert (type(fit.model), fit.model.columns) == (NormalInverseGaussian, ("brent", "wti"))
    assert fit.log_likelihood == -2333.4808916808342
    assert fit.model.lam == 1.46408634089681
    assert fit.status.name == "CONVERGED"
    assert dict(fit.settings)["tol"] == 1e-4
    assert (type(model), model.subordinator.gig) == (GeneralizedHyperbolic, (4.0, 3.0, 0.0))
    assert model.L_sigma[1, 0] == 0.1 + 0.2
    assert law == GIG(p=-0.5, a=5e-324, b=1.7976931348623157e308)


def test_pickles_name_the_package_and_not_its_modules():
    for saved in (*MODELS, *(model.subordinator for model in MODELS), nvmix.fit(FRAME, "vg")):
        content = pickle.dumps(saved)
        assert b"nvmix." not in content
        for again in (pickle.loads(content), copy.copy(saved), copy.deepcopy(saved)):
            assert same(again, saved)


def test_pickles_of_what_a_fit_leads_to_name_the_package():
    model, fits = MODELS[-2], nvmix.fit_many(FRAME)
    eta, errors = model.e_step(FRAME), nvmix.fit(FRAME).standard_errors()
    for saved in (eta, errors, fits, nvmix.compare(FRAME, "nig")):
        content = pickle.dumps(saved)
        assert b"nvmix." not in content
        assert repr(pickle.loads(content)) == repr(saved)


class Mine(VarianceGamma):
    pass


def test_classes_of_your_own_are_pickled_but_not_saved():
    mine = Mine.from_classical(**normal_block(2), **FAMILIES[VarianceGamma])
    assert type(pickle.loads(pickle.dumps(mine))) is Mine
    with pytest.raises(TypeError, match="Mine cannot be saved: it is of a class that nvmix does"):
        mine.to_dict()


def edited(change, kind="fit"):
    """A saved record with other fields: a dotted path to a value, or to nothing."""
    record = json.loads((SAVED / f"schema1_{kind}.json").read_text())
    for path, value in change.items():
        *parents, last = path.split(".")
        part = record
        for parent in parents:
            part = part[parent]
        if value is Ellipsis:
            del part[last]
        else:
            part[last] = value
    return record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "pandas"}, "field 'format' must be one of 'nvmix', got 'pandas'"),
        ({"format": ...}, "field 'format' is missing"),
        ({"schema": 2, "version": "9.1"}, "schema 2, of nvmix 9.1; nvmix .* reads schemas up to 1"),
        ({"schema": True}, "field 'schema' must be an integer from 1 on, got True"),
        ({"kind": "pickle"}, "field 'kind' must be one of"),
        ({"date": 3}, "field 'date' must be a text"),
        ({"model": [1]}, r"field 'model' must be an object, got \[1\]"),
        ({"model.mu": ...}, r"field 'model.mu' is missing"),
        ({"model.gama": 1}, "field 'model.gama' is unknown"),
        ({"model.mu": [0.0, True]}, r"field 'model.mu\[1\]' must be a number"),
        ({"model.mu": [0.0, "1.0"]}, r"field 'model.mu\[1\]' must be a number"),
        ({"model.mu": [0.0]}, "field 'model.mu' must be a list of 2 numbers"),
        ({"model.mu": [0.0, "nan"]}, "field 'model' has no such Norm.*: mu must be finite"),
        ({"model.mu": [0.0, 10**400]}, r"field 'model.mu\[1\]' must be a number"),
        ({"model.d": 10**9}, "field 'model.columns' must be 1000000000 names"),
        ({"model.d": 2.0}, "field 'model.d' must be an integer"),
        ({"model.columns": ["a", 1]}, "field 'model.columns' must be a list of texts"),
        ({"model.columns": ["a", "a"]}, "field 'model.columns' must be names, each once"),
        ({"model.columns": "ab"}, "field 'model.columns' must be a list of texts"),
        ({"model.L_sigma": [[1.0, 0.0]]}, "field 'model.L_sigma' must be 2 lists of 2 numbers"),
        ({"model.L_sigma": [[1.0], [0.0, 1.0]]}, r"field 'model.L_sigma\[0\]' must be a list of 2"),
        ({"model.L_sigma": [[1.0, 0.0], [0.0, 0.0]]}, "'model.L_sigma' must be lower triangular"),
        ({"model.L_sigma": [[1.0, 0.5], [0.0, 1.0]]}, "'model.L_sigma' must be lower triangular"),
        ({"model.family": "os.system"}, "field 'model.family' must be one of"),
        ({"model.law.family": "Gamma"}, "field 'model.law.parameters.alpha' is missing"),
        ({"model.law.parameters.lam": -1.0}, "field 'model.law' has no such Inv.*: lam must be"),
        ({"model.law.parameters.mu": 1.0}, "field 'model.law.parameters.mu' is unknown"),
        ({"model.family": "VarianceGamma"}, "subordinator must be a Gamma, got InverseGaussian"),
        ({"status": "FINE"}, "field 'status' must be one of"),
        ({"converged": False}, "field 'converged' must be as of CONVERGED, got False"),
        ({"converged": 1}, "field 'converged' must be true, false or null, got 1"),
        ({"n_observations": -5}, "field 'n_observations' must be finite and positive, got -5"),
        ({"n_observations": "inf"}, "field 'n_observations' must be finite and positive, got inf"),
        ({"log_likelihood": "nan"}, "field 'log_likelihood' must be finite in a fit that converg"),
        ({"n_iter": -1}, "field 'n_iter' must be an integer from 0 on, got -1"),
        ({"rows": [1, 2.5]}, "field 'rows' must be a list of nonnegative integers"),
        ({"settings": {"tol": [1]}}, "field 'settings' must be an object of numbers"),
        ({"regularization": "ridge"}, "field 'regularization' must be one of"),
        ({"log_likelihoods": {}}, "field 'log_likelihoods' must be a list of numbers"),
    ],
)  # fmt: skip
def test_edited_files_are_refused_by_the_field(change, message, tmp_path):
    record = edited(change)
    with pytest.raises(ValueError, match=message):
        nvmix.from_dict(record)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"edited.json' is no saved model.*{message}"):
        nvmix.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not complete JSON"),
        (b"\x80\x04\x95", "not UTF-8 text"),
        (b"a,b\n1,2\n", "not complete JSON"),
        (b"[1, 2]", "the record must be an object"),
        (b'{"format": "nvmix", "format": "nvmix"}', "it has field 'format' twice"),
        (b'{"format": NaN}', "it has NaN, which is no JSON number"),
        (b'{"format": 1e999}', "it has 1e999, which is beyond the range"),
        (b'{"format": ' + b"1" * 5000 + b"}", "Exceeds the limit|one of 'nvmix'"),
        (b"[" * 100_000, "nested too deeply|not complete JSON"),
        (b"[" * 200_000, "more than 131072 lists and objects"),
    ],
)  # fmt: skip
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        nvmix.load(path)


def test_every_truncation_of_a_file_is_refused(tmp_path):
    content, path = (SAVED / "schema1_model.json").read_bytes().rstrip(), tmp_path / "cut.json"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="not complete JSON"):
            nvmix.load(path)


def test_large_and_irregular_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_text, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        nvmix.load(SAVED / "schema1_fit.json")
    with pytest.raises(ValueError, match="no regular file"):
        nvmix.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        nvmix.load(tmp_path / "none.json")
    with pytest.raises(TypeError, match="path must be a path, got 3"):
        nvmix.load(3)
    with pytest.raises(TypeError, match="record must be a mapping, as of to_dict, got list"):
        nvmix.from_dict([])
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="no regular file"):
            nvmix.load(tmp_path / "pipe")


def test_files_are_written_completely_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.json"
    path.write_text("older")
    with pytest.raises(TypeError, match="path must be a path, got None"):
        MODELS[0].save(None)
    with pytest.raises(FileNotFoundError) as caught:
        MODELS[0].save(tmp_path / "none" / "model.json")
    assert caught.value.filename == str(tmp_path / "none" / "model.json")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        MODELS[0].save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.json"]
    assert path.read_text() == "older"
    monkeypatch.undo()
    MODELS[0].save(path)
    assert same(nvmix.load(path), MODELS[0])


@needs_jax
def test_models_on_jax_are_saved_as_numbers():
    import jax

    for model in MODELS[:1] + MODELS[-4:-2]:
        on_jax = jax.tree.map(jax.numpy.asarray, model)
        assert nvmix.from_dict(on_jax.to_dict()).d == model.d
    stack = jax.tree.map(lambda x: jax.numpy.stack([x, x]), MODELS[0])
    with pytest.raises(ValueError, match="stack of models"):
        stack.to_dict()
    with pytest.raises(TypeError, match="JAX traces has no numbers to save"):
        jax.jit(lambda model: model.to_dict())(MODELS[0])


def test_the_one_point_law_is_public():
    assert nvmix.from_dict(PointMass().to_dict()) == PointMass()
