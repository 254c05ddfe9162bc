"""Vector types and operations for Numba kernels: sixteen 32-bit lanes.

Numba has no vector type and leaves it to LLVM to find vectors in loops over arrays, which keeps accumulators in
memory. These types are LLVM vectors, so that accumulators stay in registers: ``F`` is sixteen float32, ``I`` sixteen
32-bit words (each a pair of bfloat16, or an integer), ``M`` sixteen truth values. The functions are all that kernels
do with them. Sixteen lanes are one AVX-512 register; on processors with narrower ones LLVM splits each operation.

There is no fast-math: every operation rounds as IEEE 754 says, so the bits of a vector's result follow from the order
that the source gives, on any processor with fused multiply-add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

LANES = 16  # one AVX-512 register of 32-bit words


def _registers() -> int:
    """Vectors of sixteen lanes that registers hold: 32 with AVX-512, else 8 (16 x 8 lanes of AVX, 32 x 4 of NEON)."""
    features = cpu_target.target_context.codegen().magic_tuple()[2]
    return 32 if "+avx512f" in features.split(",") else 8


REGISTERS = _registers()
# Accumulators that a kernel keeps: the rest is for operands and for addresses that LLVM keeps in vectors. More of them
# would amortise each load over more products, and spill. The number changes no bit: each accumulator's sum stays as it
# is.
ACCUMULATORS = REGISTERS * 3 // 4


class _BFloat(ir.Type):  # llvmlite has no bfloat16
    null = "0.0"
    intrinsic_name = "bf16"

    def _to_string(self) -> str:
        return "bfloat"

    def __str__(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash("bfloat")


_INT = ir.IntType(32)
_FS = ir.VectorType(ir.FloatType(), LANES)
_IS = ir.VectorType(_INT, LANES)
_MS = ir.VectorType(ir.IntType(1), LANES)
_HALVES = ir.VectorType(ir.IntType(16), LANES)
_BFS = ir.VectorType(_BFloat(), LANES)
_BFS_TWICE = ir.VectorType(_BFloat(), 2 * LANES)


def _vector_type(name: str, shape: ir.VectorType) -> types.Type:
    vector = type(name, (types.Type,), {"__init__": lambda self: types.Type.__init__(self, f"lanes.{name}")})()

    @register_model(type(vector))
    class _Model(models.PrimitiveModel):  # type: ignore[misc]
        def __init__(self, manager: Any, described: types.Type) -> None:
            super().__init__(manager, described, shape)

    return vector


F = _vector_type("F", _FS)
I = _vector_type("I", _IS)  # noqa: E741
M = _vector_type("M", _MS)

Emit = Callable[[Any, Sequence[ir.Value]], ir.Value]


def operation(result: types.Type, *arguments: types.Type) -> Callable[[Emit], Any]:
    """An intrinsic on vectors and scalars of fixed types, from the function that emits its instructions."""
    names = ", ".join(f"a{index}" for index in range(len(arguments)))

    def decorate(emit: Emit) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
            return emit(builder, values)

        scope: dict[str, Any] = {"signature": result(*arguments), "build": build}
        exec(f"def {emit.__name__}(typing_context, {names}):\n    return signature, build", scope)
        return intrinsic(scope[emit.__name__])

    return decorate


def _constant(shape: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(shape, [value] * LANES)


def _broadcast(builder: Any, scalar: ir.Value, shape: ir.VectorType) -> ir.Value:
    first = builder.insert_element(ir.Constant(shape, ir.Undefined), scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, ir.Constant(shape, ir.Undefined), _constant(_IS, 0))


def _call(builder: Any, name: str, result: ir.Type, values: Sequence[ir.Value]) -> ir.Value:
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [value.type for value in values]), name
    )
    return builder.call(function, values)


# Indices are never negative here; Numba's own indexing would test for it at every access, and keep LLVM from
# vectorising.
def _place(context: Any, builder: Any, array_type: Any, array: ir.Value, index: ir.Value) -> ir.Value:
    """The address of an element of an array or behind a pointer: no wrap-around of negative indices, no bounds."""
    if isinstance(array_type, types.CPointer):
        return builder.gep(array, [index])
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _loader(vector: types.Type, shape: ir.VectorType, is_broadcast: bool) -> Any:
    def load(typing_context: Any, array: Any, index: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
            place = _place(context, builder, signature.args[0], *values)
            if is_broadcast:
                return _broadcast(builder, builder.load(builder.bitcast(place, shape.element.as_pointer())), shape)
            loaded = builder.load(builder.bitcast(place, shape.as_pointer()))
            loaded.align = 4  # NumPy aligns by 16 bytes at best, and unaligned loads within a cache line cost nothing
            return loaded

        return vector(array, types.intp), build

    return intrinsic(load)


def _storer(vector: types.Type, shape: ir.VectorType) -> Any:
    def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
            place = _place(context, builder, signature.args[0], values[0], values[1])
            builder.store(values[2], builder.bitcast(place, shape.as_pointer())).align = 4
            return context.get_dummy_value()

        return types.void(array, types.intp, vector), build

    return intrinsic(store)


load_f = _loader(F, _FS, is_broadcast=False)
load_i = _loader(I, _IS, is_broadcast=False)
broadcast_f = _loader(F, _FS, is_broadcast=True)  # one array element in every lane
broadcast_i = _loader(I, _IS, is_broadcast=True)
store_f = _storer(F, _FS)
store_i = _storer(I, _IS)


@intrinsic
def add_at(typing_context: Any, array: Any, index: Any, source: Any, place: Any) -> Any:
    """array[index] += source[place], without wrap-around or bounds: LLVM joins neighbours into vectors."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        target = _place(context, builder, signature.args[0], values[0], values[1])
        addend = builder.load(_place(context, builder, signature.args[2], values[2], values[3]))
        builder.store(builder.fadd(builder.load(target), addend), target)
        return context.get_dummy_value()

    return types.void(array, types.intp, source, types.intp), build


@intrinsic
def store_at(typing_context: Any, array: Any, index: Any, source: Any, place: Any) -> Any:
    """array[index] = source[place], likewise."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        loaded = builder.load(_place(context, builder, signature.args[2], values[2], values[3]))
        builder.store(loaded, _place(context, builder, signature.args[0], values[0], values[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp, source, types.intp), build


@operation(F, types.float32)
def splat(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _broadcast(builder, values[0], _FS)


@operation(I, types.uint32)
def splat_i(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _broadcast(builder, values[0], _IS)


@operation(I, types.uint32, types.uint32)
def ramp(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """start, start + step, start + 2 step ...: the numbers of one element in sixteen images, modulo 2**32."""
    lanes = ir.Constant(_IS, list(range(LANES)))
    return builder.add(_broadcast(builder, values[0], _IS), builder.mul(_broadcast(builder, values[1], _IS), lanes))


@operation(F, F, F, F)
def fma(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _call(builder, "llvm.fma.v16f32", _FS, values)


@operation(F, F, I, I)
def dot(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """accumulator + both products of two pairs of bfloat16 (needs avx512_bf16).

    Products and sum are float32: eight bits of a bfloat16 times eight fit its 24, and a sum of hundreds of terms would
    lose what each adds if it were rounded to eight bits.
    """
    pairs = [builder.bitcast(value, _BFS_TWICE) for value in values[1:]]
    return _call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", _FS, [values[0], *pairs])


@operation(F, F, F)
def add(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fadd(*values)


@operation(F, F, F)
def sub(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fsub(*values)


@operation(F, F, F)
def mul(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fmul(*values)


@operation(F, F, F)
def maximum(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The larger of two; the second where either is NaN, as in the processor: ``maximum(0, x)`` keeps NaN."""
    return builder.select(builder.fcmp_ordered(">", *values), *values)


@operation(M, F, F)
def equal(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fcmp_ordered("==", *values)


@operation(M, F, F)
def greater(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fcmp_ordered(">", *values)


@operation(M, F)
def is_nan(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Where a value is NaN."""
    return builder.fcmp_unordered("uno", values[0], values[0])


@operation(M)
def no_lanes(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _constant(_MS, 0)


@operation(M, M, M)
def mask_or(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.or_(*values)


@operation(M, M, M)
def mask_and_not(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.and_(values[0], builder.not_(values[1]))


@operation(F, M, F, F)
def select(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.select(*values)


@operation(I, M, I, I)
def select_i(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.select(*values)


@operation(F, I, F, types.uint32)
def where_code(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Numbers where a code has the wanted value, zero elsewhere: a pooled gradient masked to a place of the window."""
    code, numbers, wanted = values
    hit = builder.icmp_unsigned("==", code, _broadcast(builder, wanted, _IS))
    return builder.select(hit, numbers, ir.Constant(_FS, [0.0] * LANES))


@operation(I, I, I, types.uint32)
def where_code_pairs(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The same for pairs of bfloat16 and pairs of codes."""
    shape = ir.VectorType(ir.IntType(16), 2 * LANES)
    code, numbers = (builder.bitcast(value, shape) for value in values[:2])
    # Seen as 32 halves: one comparison and one selection for both channels of every word.
    lanes = ir.Constant(ir.VectorType(_INT, 2 * LANES), [0] * (2 * LANES))
    undefined = ir.Constant(shape, ir.Undefined)
    first = builder.insert_element(undefined, builder.trunc(values[2], ir.IntType(16)), ir.Constant(_INT, 0))
    wanted = builder.shuffle_vector(first, undefined, lanes)
    hit = builder.icmp_unsigned("==", code, wanted)
    return builder.bitcast(builder.select(hit, numbers, ir.Constant(shape, [0] * (2 * LANES))), _IS)


@operation(F, I)
def low(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The first bfloat16 of each pair."""
    return builder.bitcast(builder.shl(values[0], _constant(_IS, 16)), _FS)


@operation(F, I)
def high(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The second bfloat16 of each pair."""
    return builder.bitcast(builder.and_(values[0], _constant(_IS, 0xFFFF0000)), _FS)


@operation(I, F, F)
def pair(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Pairs of bfloat16, rounded to nearest even."""
    # LLVM turns the conversion into the processor's own, or into integer arithmetic where there is none.
    halves = [builder.bitcast(builder.fptrunc(value, _BFS), _HALVES) for value in values]
    first, second = (builder.zext(half, _IS) for half in halves)
    return builder.or_(first, builder.shl(second, _constant(_IS, 16)))


@operation(I, I, I)
def interleave_low(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Pairs of (first of one, first of the other)."""
    first = builder.and_(values[0], _constant(_IS, 0xFFFF))
    return builder.or_(first, builder.shl(values[1], _constant(_IS, 16)))


@operation(I, I, I)
def interleave_high(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Pairs of (second of one, second of the other)."""
    second = builder.and_(values[1], _constant(_IS, 0xFFFF0000))
    return builder.or_(builder.lshr(values[0], _constant(_IS, 16)), second)


@operation(types.float32, F)
def sum_lanes(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The sum of all lanes, as a tree: always in the same order."""
    vector = values[0]
    for width in (8, 4, 2, 1):
        lanes = ir.Constant(_IS, [(lane + width) % LANES for lane in range(LANES)])
        vector = builder.fadd(vector, builder.shuffle_vector(vector, vector, lanes))
    return builder.extract_element(vector, ir.Constant(_INT, 0))


@operation(F, *([F] * LANES))
def sum_lanes_16(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The sums of all lanes of sixteen vectors: lane k holds that of vector k. Fifteen additions instead of sixty-four.

    Each addition halves the number of vectors: it adds one half of two vectors' lanes to the other, and keeps both
    results in one vector, until every lane belongs to another source. The order differs from that of ``sum_lanes``, and
    is fixed.
    """
    level, width = list(values), 1  # lane l of a vector belongs to its (l mod width)-th source
    while len(level) > 1:
        lower = [
            side + start + lane for start in range(0, LANES, 2 * width) for side in (0, LANES) for lane in range(width)
        ]
        upper = [lane + width for lane in lower]
        orders = [ir.Constant(_IS, order) for order in (lower, upper)]
        level = [
            builder.fadd(*(builder.shuffle_vector(one, other, order) for order in orders))
            for one, other in zip(level[0::2], level[1::2], strict=True)
        ]
        width *= 2
    return level[0]


@operation(I, I, types.uint32, types.uint32)
def dropout_hash(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """``nets.dropout.mix``, the hash behind dropout masks, of sixteen element numbers and the halves of a key."""
    index, low_half, high_half = values[0], _broadcast(builder, values[1], _IS), _broadcast(builder, values[2], _IS)

    def turn(x: ir.Value, shift: int) -> ir.Value:
        return builder.xor(x, builder.lshr(x, _constant(_IS, shift)))

    x = builder.mul(turn(builder.add(index, low_half), 17), _constant(_IS, 0xED5AD4BB))
    x = builder.mul(turn(builder.add(x, high_half), 11), _constant(_IS, 0xAC4C1B51))
    return turn(builder.mul(turn(x, 15), _constant(_IS, 0x31848BAB)), 14)


@operation(M, I, types.uint32)
def at_least(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.icmp_unsigned(">=", values[0], _broadcast(builder, values[1], _IS))
