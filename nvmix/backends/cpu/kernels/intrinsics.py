"""Machine operations that Python has no name for: bits of doubles, fused products, SIMD Horner."""

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import infer_global, make_concrete_template
from numba.extending import intrinsic, lower_builtin

from nvmix.foundation.typing import FloatArray

_DOUBLE: Final = ir.DoubleType()
_INT64: Final = ir.IntType(64)
_INT32: Final = ir.IntType(32)
_FOUR: Final = ir.VectorType(_DOUBLE, 4)
_LANES: Final = ir.VectorType(_INT32, 4)


def operation(build: Callable[..., Any], *signatures: Any, function: Any = None) -> Any:
    """Make a function of those signatures for compiled code, or give it one that Python has.

    build(builder, *arguments) adds the LLVM instructions of a call and returns their value.
    """

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return build(builder, *arguments)

    function = function or build
    template = make_concrete_template("Operation", function, signatures)
    infer_global(function, types.Function(template))
    for signature in signatures:
        lower_builtin(function, *signature.args)(codegen)
    return function


# The 64 bits of a double as an integer, and the double that 64 bits stand for.
to_bits: Callable[[float], int] = operation(
    lambda builder, x: builder.bitcast(x, _INT64), types.int64(types.float64)
)
from_bits: Callable[[int], float] = operation(
    lambda builder, bits: builder.bitcast(bits, _DOUBLE), types.float64(types.int64)
)
# x y + z, rounded once.
fma: Callable[[float, float, float], float] = operation(
    lambda builder, *xyz: builder.fma(*xyz), types.float64(*[types.float64] * 3)
)


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


horner4 = cast(
    "Callable[[FloatArray, int, int, int, float], tuple[float, float, float, float]]", _horner4
)
