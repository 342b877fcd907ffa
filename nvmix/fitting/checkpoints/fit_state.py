"""Where a fit stands, as numbers and arrays, and back: of batch EM, and of a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nvmix.backends.types import Ending
from nvmix.fitting.engine.acceleration import Extrapolation
from nvmix.fitting.incremental.batches import Place
from nvmix.fitting.incremental.likelihood_passes import Told
from nvmix.foundation.exceptions import CheckpointError
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.statistics import SufficientStatistics

if TYPE_CHECKING:
    from nvmix.distributions.normal_mixture import NormalMixture
    from nvmix.fitting.engine.loop import Track
    from nvmix.fitting.incremental.step import State
    from nvmix.foundation.typing import FloatArray

# Difference that machines and roundings may make between two starts, and of large numbers.
_SAME: Final = 1e-9
_ROUNDING: Final = 1e-12
_COUNTS: Final = ("value", "gain", "passes", "plain", "quiet")
_STATISTICS: Final = tuple(field.name for field in fields(SufficientStatistics))
# Of the state of a stream.
_STEPS: Final = ("n_steps", "n_rows")
_MEANS: Final = ("eta", "average")
_EXTRAPOLATION: Final = (
    "method", "origin", "scale", "s", "metric", "damping", "longest", "cautious", "extrapolated",
)  # fmt: skip


def state_of(track: Track) -> dict[str, Any]:
    """Numbers and arrays that say where a fit stands, none of which it will change.

    Parameters
    ----------
    track : Track
        After a complete iteration.

    Returns
    -------
    dict
        Numbers, texts and arrays by name.
    """
    extrapolation = track.extrapolation
    state = {
        **_parts("start", track.start),
        **_parts("model", track.model),
        "log_likelihoods": np.array(track.log_likelihoods),
        "changes": np.array(track.changes),
        "ending": None if track.ending is None else int(track.ending),
        **{name: getattr(track, name) for name in _COUNTS},
        **_flat("batch", track.batch),
        **{f"extrapolation.{name}": getattr(extrapolation, name) for name in _EXTRAPOLATION},
    }
    if track.eta is not None:
        state |= _flat("eta", track.eta)
    if extrapolation.used is not None:
        state["extrapolation.used"] = extrapolation.used
    if extrapolation.trail:
        state["extrapolation.trail"] = np.array(extrapolation.trail)
    return state


def restore(track: Track, state: dict[str, Any]) -> None:
    """Put a fit where another one stood.

    Parameters
    ----------
    track : Track
        A new one of the same family.
    state : dict
        As of `state_of`.

    Raises
    ------
    CheckpointError
        If that one began elsewhere, or something is missing.
    """
    try:
        _check_start(track.start, state)
        _restore(track, state)
    except KeyError as error:
        raise _lacking(error) from error


class Standing(NamedTuple):
    """Where an incremental fit stands.

    Attributes
    ----------
    state : State
        Of its stream.
    changes : list of float
        Parameter changes of its steps, and maybe of later ones.
    told : Told
        Likelihoods of all rows.
    place : Place
        Where its batches stand.
    """

    state: State
    changes: list[float]
    told: Told
    place: Place

    def parts(self) -> dict[str, Any]:
        """Numbers, texts and arrays by name, from which `of` makes the same."""
        state = self.state
        found = {
            **_parts("start", state.start),
            **_parts("model", state.model),
            **{name: getattr(state, name) for name in _STEPS},
            "changes": np.array(self.changes[: state.n_steps]),
            **{f"told.{name}": x for name, x in self.told._asdict().items()},
            **{f"place.{name}": x for name, x in self.place._asdict().items() if x is not None},
        }
        for name in _MEANS:
            eta = getattr(state, name)
            found |= {} if eta is None else _flat(name, eta)
        return found

    @classmethod
    def of(cls, start: State, found: dict[str, Any]) -> Standing:
        """Where another fit stood.

        Parameters
        ----------
        start : State
            Of a new stream from the same model.
        found : dict
            Its `parts`.

        Returns
        -------
        Standing
            From which that goes on.

        Raises
        ------
        CheckpointError
            If it began elsewhere, or something is missing.
        """
        try:
            _check_start(start.start, found)
            state = {name: found[name] for name in _STEPS}
            state |= {
                name: _statistics(name, found) if f"{name}.weight" in found else None
                for name in _MEANS
            }
            state["model"] = _model(start.model, found)
            told = Told._make(found[f"told.{name}"] for name in Told._fields)
            found = {"place.rest": None, **found}
            return cls(
                replace(start, **state),
                found["changes"].tolist(),
                told._replace(values=tuple(told.values)),
                Place._make(found[f"place.{name}"] for name in Place._fields),
            )
        except KeyError as error:
            raise _lacking(error) from error


def _lacking(error: KeyError) -> CheckpointError:
    """What to raise where a name is not found."""
    return CheckpointError(f"checkpoint has no {error}, which this version of nvmix needs")


def _check_start(start: NormalMixture, state: dict[str, Any]) -> None:
    """Raise CheckpointError where a fit began from another model, beyond rounding."""
    there = _model(start, state, "start")
    inverse = inverse_lower(start.L_sigma)
    distances = {
        "mu": _distance(inverse @ start.mu, inverse @ there.mu),
        "gamma": _distance(inverse @ start.gamma, inverse @ there.gamma),
        "L_sigma": _distance(np.eye(start.d), inverse @ there.L_sigma),
        "law": _distance(_law(start), _law(there)),
    }
    for name, distance in distances.items():
        if not distance <= _SAME:
            msg = (
                f"checkpoint is of a fit from another start: {name} differs by {distance:.3g}, in "
                "units of Sigma"
            )
            raise CheckpointError(msg)


def _distance(here: FloatArray, there: FloatArray) -> float:
    """Largest difference, but for what rounding makes of large numbers."""
    rounding = _ROUNDING * np.abs(here)
    return float((np.abs(here - there) - rounding).max(initial=0.0))


def _restore(track: Track, state: dict[str, Any]) -> None:
    """`restore`, of a complete state."""
    track.model = _model(track.model, state)
    track.batch = _statistics("batch", state)
    track.eta = _statistics("eta", state) if "eta.weight" in state else None
    for name in _COUNTS:
        setattr(track, name, state[name])
    track.log_likelihoods = state["log_likelihoods"].tolist()
    track.changes = state["changes"].tolist()
    track.ending = None if state["ending"] is None else Ending(state["ending"])
    trail = state.get("extrapolation.trail", ())
    track.extrapolation = Extrapolation(
        **{name: state[f"extrapolation.{name}"] for name in _EXTRAPOLATION},
        trail=[(residual, image) for residual, image in trail],
        used=state.get("extrapolation.used"),
    )


def _parts(prefix: str, model: NormalMixture) -> dict[str, FloatArray]:
    """What a model was made of, by name."""
    parts = {"mu": model.mu, "gamma": model.gamma, "L_sigma": model.L_sigma, "law": _law(model)}
    return {f"{prefix}.{name}": part for name, part in parts.items()}


def _law(model: NormalMixture) -> FloatArray:
    """Parameters of the law of Y."""
    return np.array(list(model.subordinator.parameters.values()))


def _flat(prefix: str, eta: SufficientStatistics) -> dict[str, Any]:
    """Statistics by name."""
    return {f"{prefix}.{name}": getattr(eta, name) for name in _STATISTICS}


def _statistics(prefix: str, state: dict[str, Any]) -> SufficientStatistics:
    """Statistics of those names."""
    return SufficientStatistics(**{name: state[f"{prefix}.{name}"] for name in _STATISTICS})


def _model(like: NormalMixture, state: dict[str, Any], prefix: str = "model") -> NormalMixture:
    """Model of the same family and columns, from the parameters it was made of."""
    law = type(like.subordinator)(*state[f"{prefix}.law"].tolist())
    parts = {name: state[f"{prefix}.{name}"] for name in ("mu", "gamma", "L_sigma")}
    return replace(like, **parts, subordinator=law)


def identity_of(value: Any) -> str:
    """A text that is the same for equal settings, in any process, and no other.

    Parameters
    ----------
    value : object
        A setting. Of what has no value of its own, such as a rule that is a function or of a class
        of yours, it is the name.

    Returns
    -------
    str
        Short, and readable where the value is.
    """
    if isinstance(value, partial):
        positional = {str(i): argument for i, argument in enumerate(value.args)}
        value = {"function": value.func, **positional, **value.keywords}
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {identity_of(value[k])}" for k in sorted(value)) + "}"
    if is_dataclass(value) and not isinstance(value, type):
        parts = (f"{f.name}={identity_of(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__qualname__}({', '.join(parts)})"
    if value is None or isinstance(value, str | bool):
        return repr(value)
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return str(getattr(value, "__qualname__", type(value).__qualname__))
    if numbers.ndim == 0:
        return repr(float(numbers)).removesuffix(".0")
    return f"array {numbers.shape} {digest(numbers.tobytes())}"


def digest(content: bytes) -> str:
    """A short text that tells contents apart.

    Parameters
    ----------
    content : bytes
        Any.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    return hashlib.sha256(content).hexdigest()[:16]
