"""Machine operations that Python has no name for: bits of doubles, fused products, SIMD Horner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nvmix.foundation.typing import FloatArray

_DOUBLE: Final = ir.DoubleType()
_INT64: Final = ir.IntType(64)
_INT32: Final = ir.IntType(32)
_FOUR: Final = ir.VectorType(_DOUBLE, 4)
_LANES: Final = ir.VectorType(_INT32, 4)


@intrinsic  # type: ignore[untyped-decorator]
def _to_bits(_typing_context: Any, _x: Any) -> Any:
    """The 64 bits of a double as an integer."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _INT64)

    return types.int64(types.float64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _from_bits(_typing_context: Any, _bits: Any) -> Any:
    """The double that 64 bits stand for."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _DOUBLE)

    return types.float64(types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _fma(_typing_context: Any, _x: Any, _y: Any, _z: Any) -> Any:
    """x y + z, rounded once."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), codegen


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _horner4(_context: Any, rows: Any, _row: Any, _first: Any, powers: Any, _t: Any) -> Any:
    """Four polynomials in t, in one register, by Horner's rule with fused products.

    Coefficients of t^j are rows[row, first + 4 j : first + 4 j + 4]; `powers`, the number of powers
    of t, is a literal in the calling code.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, row, first, _, t = arguments
        array_type, count = signature.args[0], signature.args[3].literal_value
        array = context.make_array(array_type)(context, builder, rows)
        start = cgutils.get_item_pointer(context, builder, array_type, array, [row, first])
        coefficients = builder.bitcast(start, _FOUR.as_pointer())
        lanes = [ir.Constant(_INT32, i) for i in range(4)]
        empty = ir.Constant(_FOUR, ir.Undefined)
        first_lane = builder.insert_element(empty, t, lanes[0])
        t4 = builder.shuffle_vector(first_lane, empty, ir.Constant(_LANES, [0] * 4))

        def load(j: int) -> Any:
            return builder.load(builder.gep(coefficients, [ir.Constant(_INT64, j)]), align=8)

        signature4 = ir.FunctionType(_FOUR, [_FOUR] * 3)
        fma4 = cgutils.get_or_insert_function(builder.module, signature4, "llvm.fma.v4f64")
        total = load(count - 1)
        for j in range(count - 2, -1, -1):
            total = builder.call(fma4, [total, t4, load(j)])
        values = [builder.extract_element(total, lane) for lane in lanes]
        return context.make_tuple(builder, signature.return_type, values)

    four = types.UniTuple(types.float64, 4)
    return four(rows, types.intp, types.intp, powers, types.float64), codegen


to_bits = cast("Callable[[float], int]", _to_bits)
from_bits = cast("Callable[[int], float]", _from_bits)
fma = cast("Callable[[float, float, float], float]", _fma)
horner4 = cast(
    "Callable[[FloatArray, int, int, int, float], tuple[float, float, float, float]]", _horner4
)
