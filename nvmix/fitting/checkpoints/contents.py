"""Models and statistics as numbers and arrays by name, which a checkpoint holds, and back.

What is read may have been edited. Readers raise KeyError, TypeError or ValueError where it cannot
be what a fit has written, and `CheckpointFile.restored` makes that a CheckpointError.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from nvmix.foundation.exceptions import CheckpointError
from nvmix.foundation.linalg import inverse_lower
from nvmix.foundation.statistics import SufficientStatistics
from nvmix.foundation.typing import FloatArray
from nvmix.foundation.validation import integer, lower_factor, positive
from nvmix.mixture.em_maps import Mixture

# Largest difference of two starts, in units of Sigma, that other machines may make, and of large
# numbers by rounding.
_SAME: Final = 1e-9
_ROUNDING: Final = 1e-12
_STATISTICS: Final = tuple(field.name for field in fields(SufficientStatistics))


def model_contents(prefix: str, model: Mixture) -> dict[str, FloatArray]:
    """Parameters of a model by name."""
    law = np.array(list(model.subordinator.parameters.values()))
    parts = {"mu": model.mu, "gamma": model.gamma, "L_sigma": model.L_sigma, "law": law}
    return {f"{prefix}.{name}": part for name, part in parts.items()}


def array_from(contents: dict[str, Any], name: str, *shape: int | None) -> FloatArray:
    """An array of doubles of a shape, in which None is any length."""
    found = contents[name]
    is_array = isinstance(found, np.ndarray) and found.dtype == np.float64
    lengths = found.shape if is_array else ()
    same = is_array and len(lengths) == len(shape)
    if not same or any(n not in (None, m) for n, m in zip(shape, lengths, strict=True)):
        msg = f"{name} must be doubles of shape {shape}, got {found!r}"
        raise ValueError(msg)
    return np.ascontiguousarray(found, np.float64)


def number_from(contents: dict[str, Any], name: str) -> float:
    """A number, which may be inf or nan."""
    found = contents[name]
    if type(found) not in (int, float):
        msg = f"{name} must be a number, got {found!r}"
        raise TypeError(msg)
    return float(found)


def count_from(contents: dict[str, Any], name: str, least: int = 0) -> int:
    """An integer from `least` on."""
    return integer(name, contents[name], least)


def model_from(like: Mixture, contents: dict[str, Any], prefix: str) -> Mixture:
    """Model of the same family and columns as another, from its `model_contents`."""
    d, n = like.d, len(like.subordinator.parameters)
    law = type(like.subordinator)(*array_from(contents, f"{prefix}.law", n).tolist())
    shapes = {"mu": (d,), "gamma": (d,), "L_sigma": (d, d)}
    parts: dict[str, Any] = {
        name: array_from(contents, f"{prefix}.{name}", *shape) for name, shape in shapes.items()
    }
    return replace(like, **parts, subordinator=law)


def statistics_contents(prefix: str, eta: SufficientStatistics | None) -> dict[str, Any]:
    """Statistics by name; nothing for None."""
    return {} if eta is None else {f"{prefix}.{name}": getattr(eta, name) for name in _STATISTICS}


def statistics_from(contents: dict[str, Any], prefix: str, d: int) -> SufficientStatistics | None:
    """Statistics of d columns from their `statistics_contents`, None where there are none."""
    if f"{prefix}.weight" not in contents:
        return None
    shapes = {"x": (d,), "x_inv_y": (d,), "xx_inv_y": (d, d), "origin": (d,), "scale": (d, d)}
    parts: dict[str, Any] = {
        name: array_from(contents, f"{prefix}.{name}", *shapes[name])
        if name in shapes
        else number_from(contents, f"{prefix}.{name}")
        for name in _STATISTICS
    }
    lower_factor(f"{prefix}.scale", parts["scale"], d)
    positive(f"{prefix}.weight", parts["weight"])
    return SufficientStatistics(**parts)


def check_start(start: Mixture, contents: dict[str, Any]) -> None:
    """Raise CheckpointError where a fit began from another model than start, beyond rounding."""
    inverse = inverse_lower(start.L_sigma)
    for name, part in model_contents("start", start).items():
        here, there = part, array_from(contents, name, *part.shape)
        if name != "start.law":
            here, there = inverse @ here, inverse @ there
        distance = float((np.abs(here - there) - _ROUNDING * np.abs(here)).max(initial=0.0))
        if not distance <= _SAME:
            msg = (
                "checkpoint is of a fit from another start, or of other rows: "
                f"{name.removeprefix('start.')} differs by {distance:.3g}, in units of Sigma"
            )
            raise CheckpointError(msg)


def identity_of(value: Any) -> str:
    """A text that is the same for equal settings, in any process, and for no others.

    Of what has no value of its own, such as a rule that is a function or of a user's class, it is
    the name.
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
    """16 hexadecimal digits that tell contents apart."""
    return hashlib.sha256(content).hexdigest()[:16]
