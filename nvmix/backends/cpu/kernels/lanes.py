"""`Lanes`: a vector of eight doubles as one value of compiled code, for sums of a fixed order.

Where the compiler may reorder a sum, it makes as many partial sums as suit the processor, so that
last digits differ between processors. Sums of lanes have eight partial sums on every processor: one
register of AVX-512, two of AVX2 or four of SSE2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from nvmix.backends.cpu.kernels.intrinsics import operation
from nvmix.foundation.typing import FloatArray

if TYPE_CHECKING:

    class Lanes:
        """Eight doubles; operations are elementwise, and a float counts as eight equal ones."""

        def __add__(self, other: Lanes | float) -> Lanes: ...

        __sub__ = __mul__ = __truediv__ = __add__
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __add__

else:
    Lanes = Any


# Kernels with arguments of this type take one number or eight.
Number = TypeVar("Number", float, "Lanes")

LANES: Final = 8
_DOUBLE: Final = ir.DoubleType()
_INT64: Final = ir.IntType(64)
_VECTOR: Final = ir.VectorType(_DOUBLE, LANES)


class _Lanes(types.Type):  # type: ignore[misc]
    """The numba type of `Lanes`, one LLVM vector."""


_LANES: Final = _Lanes("Lanes")
register_model(_Lanes)(partial(models.PrimitiveModel, be_type=_VECTOR))


def _broadcast(builder: Any, value: Any) -> Any:
    """Eight copies of a double; lanes as they are."""
    if value.type == _VECTOR:
        return value
    empty = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, empty, places)


def _define(function: Any, instruction: str) -> None:
    """Define a Python operator on lanes by an instruction of LLVM."""
    pairs = [(_LANES, _LANES), (_LANES, types.float64), (types.float64, _LANES)]

    def build(builder: Any, x: Any, y: Any) -> Any:
        return getattr(builder, instruction)(_broadcast(builder, x), _broadcast(builder, y))

    operation(build, *(_LANES(*pair) for pair in pairs), function=function)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")


@intrinsic  # type: ignore[untyped-decorator]
def _lanes_at(_typing_context: Any, rows: Any, _row: Any, _first: Any) -> Any:
    """rows[row, first : first + 8]."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, *place = arguments
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, rows)
        start = cgutils.get_item_pointer(context, builder, array_type, array, place)
        return builder.load(builder.bitcast(start, _VECTOR.as_pointer()), align=8)

    return _LANES(rows, types.intp, types.intp), codegen


def _larger(builder: Any, x: Any, bound: Any) -> Any:
    """The larger of each lane and a bound; nan stays nan."""
    bound = _broadcast(builder, bound)
    return builder.select(builder.fcmp_ordered("<", x, bound), bound, x)


def _sum(builder: Any, x: Any) -> Any:
    """Sum of the lanes: halves are added to halves until one number is left."""
    half = LANES // 2
    while half:
        low, high = (
            builder.shuffle_vector(
                x, x, ir.Constant(ir.VectorType(ir.IntType(32), half), list(places))
            )
            for places in (range(half), range(half, 2 * half))
        )
        x, half = builder.fadd(low, high), half // 2
    return builder.extract_element(x, ir.Constant(ir.IntType(32), 0))


def _power(builder: Any, x: Any) -> Any:
    """2^n for the integer n, -1022 <= n <= 1023, in the last bits of a double or of each lane."""
    integers = ir.VectorType(_INT64, LANES) if x.type == _VECTOR else _INT64
    shift, one = (
        ir.Constant(integers, [n] * LANES if x.type == _VECTOR else n) for n in (52, 1023 << 52)
    )
    exponent = builder.shl(builder.bitcast(x, integers), shift)
    return builder.bitcast(builder.add(exponent, one), x.type)


# Eight copies of a double.
broadcast: Callable[[float], Lanes] = operation(_broadcast, _LANES(types.float64))
lanes_at = cast("Callable[[FloatArray, int, int], Lanes]", _lanes_at)
at_least: Callable[[Lanes, float], Lanes] = operation(_larger, _LANES(_LANES, types.float64))
total: Callable[[Lanes], float] = operation(_sum, types.float64(_LANES))
power_in_last_bits: Callable[[Number], Number] = operation(
    _power, _LANES(_LANES), types.float64(types.float64)
)
