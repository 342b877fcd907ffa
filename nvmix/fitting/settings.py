"""The settings of `BatchEMFitter` as keywords of other functions, such as ``model.fit``."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypedDict, TypeVar

import numpy as np

from nvmix.fitting.checkpoints.checkpoint import Checkpoint
from nvmix.fitting.checkpoints.contents import identity_of
from nvmix.fitting.rules.shrinkage import has_target
from nvmix.fitting.rules.updates import EtaUpdate
from nvmix.mixture.em_maps import Mixture

F = TypeVar("F", bound="Callable[..., Any]")

# Parts of a `Checkpoint`, which are no settings by themselves.
_OF_CHECKPOINT: Final = ("every", "minutes", "resume")


class FitSettings(TypedDict, total=False):
    """Settings of a batch EM fit; `nvmix.BatchEMFitter` says what each means."""

    max_iter: int
    tol: float | None
    verbose: int
    regularization: str
    e_step_backend: str
    m_step_backend: str
    m_step_method: str
    eta_update: EtaUpdate | None
    acceleration: str
    criterion: str
    algorithm: str
    fixed: Mapping[str, Any] | None
    symmetric: bool
    bounded: bool
    missing: str
    n_init: int
    seed: int | np.random.Generator | None
    device: Any
    checkpoint: Checkpoint | str | os.PathLike[str] | None


def with_signature_of(fitter: Callable[..., Any]) -> Callable[[F], F]:
    """Decorator: show a fitter's settings in the signature of a function that takes them as **."""

    def decorate(function: F) -> F:
        own = inspect.signature(function)
        named = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        # A default of X is there to name what is wrong where X is left out.
        named = [p.replace(default=p.empty) if p.name == "X" else p for p in named]
        settings = [
            p for p in inspect.signature(fitter).parameters.values() if p.name not in own.parameters
        ]
        function.__signature__ = own.replace(parameters=[*named, *settings])  # type: ignore[attr-defined]
        return function

    return decorate


def check_settings(caller: str, given: Iterable[str]) -> None:
    """Raise TypeError for a name that is no setting, with the closest one that is."""
    known = FitSettings.__annotations__
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"settings are {', '.join(known)}"
            if name.removeprefix("checkpoint_") in _OF_CHECKPOINT:
                hint = "give it as checkpoint=Checkpoint(path, every=, minutes=, resume=)"
            msg = f"{caller} got an unexpected keyword argument {name!r}: {hint}"
            raise TypeError(msg)


def check_together(fitter: Any, *, may_extrapolate: bool) -> None:
    """Raise ValueError for settings of a `BatchEMFitter` that exclude each other."""
    if fitter.device is not None and fitter.e_step_backend != "jax":
        msg = f"device needs e_step_backend='jax', got device {fitter.device!r}"
    elif fitter.missing == "em" and fitter.e_step_backend != "cpu":
        msg = f"missing='em' needs e_step_backend='cpu', got {fitter.e_step_backend!r}"
    elif fitter.acceleration not in ("auto", "none") and not may_extrapolate:
        msg = (
            f"acceleration must be 'auto' or 'none' with an eta_update or algorithm 'mcecm', "
            f"got {fitter.acceleration!r}"
        )
    elif fitter.criterion == "likelihood" and has_target(fitter.eta_update):
        msg = (
            "criterion must be 'parameters' with an eta_update that shrinks, by which the "
            f"likelihood may fall, got {fitter.criterion!r}"
        )
    elif fitter.checkpoint is not None and fitter.n_init > 1:
        msg = f"checkpoint needs n_init=1, got {fitter.n_init}"
    else:
        return
    raise ValueError(msg)


def settings_of(fitter: Any) -> tuple[tuple[str, Any], ...]:
    """Names and values of a fitter's settings, for the record of a fit."""
    given = ((name, value) for name, value in vars(fitter).items() if not name.startswith("_"))
    return tuple((name, _plain(value)) for name, value in given)


def _plain(value: Any) -> Any:
    """A number, text or flag; a text in the place of anything else."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Checkpoint):
        return str(value.path)
    if isinstance(value, Mapping):
        return str({name: np.asarray(x).tolist() for name, x in value.items()})
    return identity_of(value)


def check_model(model: Any) -> None:
    """Raise TypeError, which says what to do, where model is not a model."""
    if not isinstance(model, Mixture):
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        msg = (
            "model must be a model to start from, such as NormalInverseGaussian.default_init(X), "
            f"got {got}; nvmix.fit(X, 'nig') makes the start itself"
        )
        raise TypeError(msg)


def check_start(model: Any, X: Any) -> None:
    """Raise TypeError, which says what to do, where model is not a model or X is missing."""
    if isinstance(X, Mixture):
        msg = "fit takes the starting model first and the observations second: fit(model, X)"
        raise TypeError(msg)
    check_model(model)
    if X is None:
        msg = "X must hold real numbers, got None: fit(model, X) takes the observations second"
        raise TypeError(msg)
