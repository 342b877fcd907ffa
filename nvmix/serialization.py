"""Saved models, fits and laws of Y, read again: `load` from a file, `from_dict` from its fields."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from nvmix.backends import GAUGES
from nvmix.backends.status import Status
from nvmix.distributions.families import ALL
from nvmix.distributions.members import StudentT
from nvmix.distributions.normal_mixture import NormalMixture
from nvmix.fitting.outcome.result import EMResult, read_only
from nvmix.foundation.files.fields import Fields
from nvmix.foundation.files.json_text import read_json
from nvmix.foundation.files.pickles import package
from nvmix.foundation.files.storable import FORMAT, SCHEMA
from nvmix.mixture.subordinator import Subordinator
from nvmix.mixture.subordinators import GIG, Gamma, InverseGamma, InverseGaussian, PointMass

_CLASSES: Final[list[type[NormalMixture]]] = [*ALL, StudentT]
_FAMILIES: Final = {family.__name__: family for family in _CLASSES}
_LAWS: Final[dict[str, type[Subordinator]]] = {
    law.__name__: law for law in (GIG, Gamma, InverseGamma, InverseGaussian, PointMass)
}


def load(path: Any) -> Any:
    """Read what ``save`` of a model, a fit's result or a subordinator has written.

    Nothing in the file is executed.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    NormalMixture, EMResult or Subordinator
        With the same parameters to the last bit; a result without the data that it was fitted to.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If path is no path; if the file is of something else, of a newer schema, damaged, or has a
        field that no model or fit has. The message says which.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import nvmix
    >>> model = nvmix.NIG.from_classical(mu=0.1, gamma=0.2, sigma=1.0, mu_ig=1.0, lam=2.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "nig.json")
    ...     again = nvmix.load(Path(folder) / "nig.json")
    >>> again.log_prob(0.5) == model.log_prob(0.5)
    True
    """
    if not isinstance(path, str | os.PathLike):
        msg = f"path must be a path, got {path!r}"
        raise TypeError(msg)
    try:
        return _from_record(read_json(Path(path)))
    except ValueError as error:
        msg = f"{os.fspath(path)!r} is no saved model, fit or law that can be read: {error}"
        raise ValueError(msg) from error


def from_dict(record: Any) -> Any:
    """Make the object whose ``to_dict`` gave a record.

    Parameters
    ----------
    record : mapping
        Of a model, a fit's result or a subordinator.

    Returns
    -------
    NormalMixture, EMResult or Subordinator
        With the same parameters to the last bit.

    Raises
    ------
    TypeError, ValueError
        If record is no mapping, or one of its fields is missing, unknown or outside its domain.

    Examples
    --------
    >>> import nvmix
    >>> model = nvmix.StudentT.from_classical(mu=[0.0, 1.0], sigma=[[2.0, 1.0], [1.0, 3.0]], df=4.5)
    >>> nvmix.from_dict(model.to_dict()).df
    4.5
    """
    if not isinstance(record, Mapping):
        msg = f"record must be a mapping, as of to_dict, got {type(record).__name__}"
        raise TypeError(msg)
    return _from_record(record)


def _from_record(record: Any) -> Any:
    """The object of a record; ValueError, which names the field, where there is none."""
    fields = Fields(record)
    fields.text("format", (FORMAT,))
    schema, version = fields.count("schema", 1), fields.text("version")
    if schema > SCHEMA:
        msg = (
            f"it has schema {schema}, of nvmix {version}; nvmix {package().__version__} reads "
            f"schemas up to {SCHEMA}: use a newer nvmix"
        )
        raise ValueError(msg)
    # When it was saved is for people.
    if fields.has("date"):
        fields.text("date")
    makers = {"model": _model, "fit": _result, "subordinator": _law}
    made = makers[fields.text("kind", makers)](fields)
    fields.close()
    return made


def _law(fields: Fields) -> Subordinator:
    """The law of Y from its fields."""
    cls = _LAWS[fields.text("family", _LAWS)]
    parameters = fields.section("parameters")
    values = {part.name: parameters.number(part.name) for part in dataclasses.fields(cls)}
    parameters.close()
    law: Subordinator = _made(fields, cls, **values)
    return law


def _model(fields: Fields) -> NormalMixture:
    """The model from its fields."""
    family, d = _FAMILIES[fields.text("family", _FAMILIES)], fields.count("d", 1)
    columns = None if fields.is_null("columns") else fields.texts("columns")
    if columns is not None and len(columns) != d:
        fields.refuse("columns", f"{d} names", columns)
    if columns is not None and len(set(columns)) < d:
        fields.refuse("columns", "names, each once", columns)
    mu, gamma, L = fields.numbers("mu", d), fields.numbers("gamma", d), fields.square("L_sigma", d)
    if np.triu(L, 1).any() or not (np.diag(L) > 0.0).all():
        fields.refuse("L_sigma", "lower triangular with a positive diagonal", L.tolist())
    part = fields.section("law")
    law = _law(part)
    part.close()
    model: NormalMixture = _made(fields, family, mu, gamma, L, law, columns)
    return model


def _result(fields: Fields) -> EMResult:
    """The result of a fit from its fields."""
    part = fields.section("model")
    model = _model(part)
    part.close()
    status = Status[fields.text("status", Status.__members__)]
    converged = fields.flag("converged")
    if converged is not (None if converged is None else status.converged):
        fields.refuse("converged", f"as of {status.name}", converged)
    n, likelihood = fields.number("n_observations"), fields.number("log_likelihood")
    if not 0.0 < n < np.inf:
        fields.refuse("n_observations", "finite and positive", n)
    if converged and not np.isfinite(likelihood):
        fields.refuse("log_likelihood", "finite in a fit that converged", likelihood)
    return EMResult(
        model=model,
        log_likelihoods=read_only(fields.numbers("log_likelihoods").tolist()),
        param_changes=read_only(fields.numbers("param_changes").tolist()),
        n_iter=fields.count("n_iter"),
        converged=converged,
        elapsed_time=fields.number("elapsed_time"),
        code=int(status),
        n_passes=fields.count("n_passes"),
        log_likelihood=likelihood,
        n_observations=n,
        n_parameters=fields.count("n_parameters"),
        held=fields.texts("held"),
        at_bound=fields.texts("at_bound"),
        regularization=fields.text("regularization", GAUGES),
        scores=tuple(fields.numbers("scores").tolist()),
        best_start=fields.count("best_start"),
        rows=fields.counts("rows"),
        notes=fields.texts("notes"),
        settings=fields.plain_pairs("settings"),
    )


def _made(fields: Fields, cls: Any, *values: Any, **named: Any) -> Any:
    """What the public constructor makes; ValueError with its reason where it refuses."""
    try:
        return cls(*values, **named)
    except (TypeError, ValueError) as error:
        msg = f"{fields.where} has no such {cls.__name__}: {error}"
        raise ValueError(msg) from None
