"""`Lanes`: a vector of eight doubles as one value of compiled code, for sums of a fixed order.

Where the compiler may reorder a sum, it makes as many partial sums as suit the processor, so that
last digits differ between processors. Sums of lanes have eight partial sums on every processor: one
register of AVX-512, two of AVX2 or four of SSE2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

from nvmix.foundation.typing import FloatArray

if TYPE_CHECKING:

    class Lanes:
        """Eight doubles; operations are elementwise, and a float counts as eight equal ones."""

        def __add__(self, other: Lanes | float) -> Lanes: ...
        def __radd__(self, other: float) -> Lanes: ...
        def __sub__(self, other: Lanes | float) -> Lanes: ...
        def __rsub__(self, other: float) -> Lanes: ...
        def __mul__(self, other: Lanes | float) -> Lanes: ...
        def __rmul__(self, other: float) -> Lanes: ...
        def __truediv__(self, other: Lanes | float) -> Lanes: ...
        def __rtruediv__(self, other: float) -> Lanes: ...

else:
    Lanes = Any


# Kernels with arguments of this type take one number or eight.
Number = TypeVar("Number", float, "Lanes")

LANES: Final = 8
_DOUBLE: Final = ir.DoubleType()
_INT64: Final = ir.IntType(64)
_VECTOR: Final = ir.VectorType(_DOUBLE, LANES)


class _Lanes(types.Type):  # type: ignore[misc]
    """The numba type of `Lanes`."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES: Final = _Lanes()


@register_model(_Lanes)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    """Its data model: one LLVM vector."""

    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _broadcast(builder: Any, value: Any) -> Any:
    """Eight copies of a double; lanes as they are."""
    if value.type == _VECTOR:
        return value
    empty = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, empty, places)


def _define(operation: Any, instruction: str) -> None:
    """Define a Python operator on lanes by an instruction of LLVM."""
    pairs = [(_LANES, _LANES), (_LANES, types.float64), (types.float64, _LANES)]

    class _Template(ConcreteTemplate):  # type: ignore[misc]
        cases = [signature(_LANES, *pair) for pair in pairs]  # noqa: RUF012

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*(_broadcast(builder, x) for x in arguments))

    infer_global(operation)(_Template)
    for pair in pairs:
        lower_builtin(operation, *pair)(codegen)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")


@intrinsic  # type: ignore[untyped-decorator]
def _from_double(_typing_context: Any, _x: Any) -> Any:
    """Eight copies of a double."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _broadcast(builder, arguments[0])

    return _LANES(types.float64), codegen


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


@intrinsic  # type: ignore[untyped-decorator]
def _at_least(_typing_context: Any, _x: Any, _bound: Any) -> Any:
    """The larger of each lane and a bound; nan stays nan."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, bound = arguments[0], _broadcast(builder, arguments[1])
        return builder.select(builder.fcmp_ordered("<", x, bound), bound, x)

    return _LANES(_LANES, types.float64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _total(_typing_context: Any, _x: Any) -> Any:
    """Sum of the lanes: halves are added to halves until one number is left."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, half = arguments[0], LANES // 2
        while half:
            low, high = (
                builder.shuffle_vector(
                    x, x, ir.Constant(ir.VectorType(ir.IntType(32), half), list(places))
                )
                for places in (range(half), range(half, 2 * half))
            )
            x, half = builder.fadd(low, high), half // 2
        return builder.extract_element(x, ir.Constant(ir.IntType(32), 0))

    return types.float64(_LANES), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _power_in_last_bits(_typing_context: Any, x: Any) -> Any:
    """2^n for the integer n, -1022 <= n <= 1023, in the last bits of a double or of each lane."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        value = arguments[0]
        if value.type == _VECTOR:
            integers = ir.VectorType(_INT64, LANES)
            shift, one = (ir.Constant(integers, [n] * LANES) for n in (52, 1023 << 52))
        else:
            integers = _INT64
            shift, one = ir.Constant(_INT64, 52), ir.Constant(_INT64, 1023 << 52)
        exponent = builder.shl(builder.bitcast(value, integers), shift)
        return builder.bitcast(builder.add(exponent, one), value.type)

    return x(x), codegen


broadcast = cast("Callable[[float], Lanes]", _from_double)
lanes_at = cast("Callable[[FloatArray, int, int], Lanes]", _lanes_at)
at_least = cast("Callable[[Lanes, float], Lanes]", _at_least)
total = cast("Callable[[Lanes], float]", _total)
power_in_last_bits = cast("Callable[[Number], Number]", _power_in_last_bits)
