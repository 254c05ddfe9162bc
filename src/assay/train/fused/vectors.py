"""Vector types and operations of kernels: sixteen 32-bit lanes.

LLVM left to find vectors in loops over arrays keeps accumulators in memory. Here a value is a vector, so that
accumulators stay in registers: ``F`` is sixteen float32, ``I`` sixteen 32-bit words (each a pair of bfloat16, or an
integer), ``M`` sixteen truth values. ``OPERATIONS`` are all that kernels do with them. Sixteen lanes are one AVX-512
register; on processors with narrower ones LLVM splits each operation.

There is no fast-math: every operation rounds as IEEE 754 says, so the bits of a vector's result follow from the order
that the source gives, on any processor with fused multiply-add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from .instructions import FLOAT, LONG, WORD, Emit, Operation
from .target import target

LANES = 16  # one AVX-512 register of 32-bit words

# Vectors of sixteen lanes that registers hold: 32 with AVX-512, else 8 (16 x 8 lanes of AVX, 32 x 4 of NEON).
REGISTERS = 32 if target().has("avx512f") else 8
# Accumulators that a kernel keeps: the rest is for operands and for addresses that LLVM keeps in vectors. More of them
# would amortise each load over more products, and spill. The number changes no bit: each accumulator's sum stays as it
# is.
ACCUMULATORS = REGISTERS * 3 // 4

# Sums over images go through a vector's lanes in so many parts, one after another, each with as many accumulators as
# fill the registers. Whole vectors would spill, or amortise few loads.
PARTS = 1 if REGISTERS == 32 else 2
PART_LANES = LANES // PARTS


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


F = ir.VectorType(FLOAT, LANES)
I = ir.VectorType(WORD, LANES)  # noqa: E741
M = ir.VectorType(ir.IntType(1), LANES)
H = ir.VectorType(FLOAT, LANES // 2)
_HALVES = ir.VectorType(ir.IntType(16), LANES)
_BFS = ir.VectorType(_BFloat(), LANES)
_BFS_TWICE = ir.VectorType(_BFloat(), 2 * LANES)

OPERATIONS: dict[str, Operation] = {}


def _named(operation: Operation) -> Operation:
    OPERATIONS[operation.name] = operation
    return operation


def operation(*arguments: ir.Type | None) -> Callable[[Emit], Any]:
    """Make the function that emits instructions an operation, under its own name."""
    return lambda emit: _named(Operation(emit.__name__, arguments, emit))


def _constant(shape: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(shape, [value] * LANES)


def _broadcast(builder: Any, scalar: ir.Value, shape: ir.VectorType) -> ir.Value:
    first = builder.insert_element(ir.Constant(shape, ir.Undefined), scalar, ir.Constant(WORD, 0))
    return builder.shuffle_vector(first, ir.Constant(shape, ir.Undefined), _constant(I, 0))


def _call(builder: Any, name: str, result: ir.Type, values: Sequence[ir.Value]) -> ir.Value:
    module = builder.module
    declared = module.globals.get(name)
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(declared or ir.Function(module, kind, name), values)


def _load(name: str, shape: ir.VectorType) -> Operation:
    """An operation that loads sixteen neighbouring elements of an array."""

    def emit(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
        loaded = builder.load(builder.bitcast(builder.gep(values[0], [values[1]]), shape.as_pointer()))
        loaded.align = 4  # NumPy aligns by 16 bytes at best, and unaligned loads within a cache line cost nothing
        return loaded

    return _named(Operation(name, (None, LONG), emit))


def _broadcast_load(name: str, shape: ir.VectorType) -> Operation:
    """An operation that loads one element of an array to every lane."""

    def emit(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
        place = builder.bitcast(builder.gep(values[0], [values[1]]), shape.element.as_pointer())
        return _broadcast(builder, builder.load(place), shape)

    return _named(Operation(name, (None, LONG), emit))


def _store(name: str, shape: ir.VectorType) -> Operation:
    """An operation that stores a vector to sixteen neighbouring elements of an array."""

    def emit(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
        place = builder.bitcast(builder.gep(values[0], [values[1]]), shape.as_pointer())
        stored = builder.store(values[2], place)
        stored.align = 4
        return stored

    return _named(Operation(name, (None, LONG, shape), emit))


load_f, load_i, load_h = _load("load_f", F), _load("load_i", I), _load("load_h", H)
broadcast_f, broadcast_i = _broadcast_load("broadcast_f", F), _broadcast_load("broadcast_i", I)
store_f, store_i, store_h = _store("store_f", F), _store("store_i", I), _store("store_h", H)


@operation(FLOAT)
def splat(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _broadcast(builder, values[0], F)


@operation(WORD)
def splat_i(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _broadcast(builder, values[0], I)


@operation(WORD, WORD)
def ramp(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """start, start + step, start + 2 step ...: the numbers of one element in sixteen images, modulo 2**32."""
    lanes = ir.Constant(I, list(range(LANES)))
    return builder.add(_broadcast(builder, values[0], I), builder.mul(_broadcast(builder, values[1], I), lanes))


@operation(F, F, F)
def fma(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _call(builder, "llvm.fma.v16f32", F, values)


@operation(H, H, H)
def fma_h(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _call(builder, "llvm.fma.v8f32", H, values)


@operation()
def nothing_h(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return ir.Constant(H, [0.0] * H.count)


@operation(F)
def low_half(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The first eight lanes."""
    return builder.shuffle_vector(values[0], values[0], ir.Constant(ir.VectorType(WORD, H.count), list(range(8))))


@operation(F)
def high_half(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The last eight lanes."""
    return builder.shuffle_vector(values[0], values[0], ir.Constant(ir.VectorType(WORD, H.count), list(range(8, 16))))


@operation(F, I, I)
def dot(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """accumulator + both products of two pairs of bfloat16 (needs avx512_bf16).

    Products and sum are float32: eight bits of a bfloat16 times eight fit its 24, and a sum of hundreds of terms would
    lose what each adds if it were rounded to eight bits.
    """
    pairs = [builder.bitcast(value, _BFS_TWICE) for value in values[1:]]
    return _call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", F, [values[0], *pairs])


@operation(F, F)
def add(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fadd(*values)


@operation(F, F)
def sub(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fsub(*values)


@operation(F, F)
def mul(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fmul(*values)


@operation(F, F)
def maximum(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The larger of two; the second where either is NaN, as in the processor: ``maximum(0, x)`` keeps NaN."""
    return builder.select(builder.fcmp_ordered(">", *values), *values)


@operation(F, F)
def minimum(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The smaller of two; the second where either is NaN."""
    return builder.select(builder.fcmp_ordered("<", *values), *values)


@operation(F)
def floor(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The largest whole number that is not larger."""
    return _call(builder, "llvm.floor.v16f32", F, values)


@operation(F, F)
def equal(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fcmp_ordered("==", *values)


@operation(F, F)
def greater(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.fcmp_ordered(">", *values)


@operation(F)
def is_nan(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Where a value is NaN."""
    return builder.fcmp_unordered("uno", values[0], values[0])


@operation()
def no_lanes(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _constant(M, 0)


@operation(M, M)
def mask_or(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.or_(*values)


@operation(M, M)
def mask_and_not(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.and_(values[0], builder.not_(values[1]))


@operation(M, F, F)
def select(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.select(*values)


@operation(M, I, I)
def select_i(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.select(*values)


@operation(I, F, WORD)
def where_code(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Numbers where a code has the wanted value, zero elsewhere: a pooled gradient masked to a place of the window."""
    code, numbers, wanted = values
    hit = builder.icmp_unsigned("==", code, _broadcast(builder, wanted, I))
    return builder.select(hit, numbers, ir.Constant(F, [0.0] * LANES))


@operation(I, I, WORD)
def where_code_pairs(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The same for pairs of bfloat16 and pairs of codes."""
    shape = ir.VectorType(ir.IntType(16), 2 * LANES)
    code, numbers = (builder.bitcast(value, shape) for value in values[:2])
    # Seen as 32 halves: one comparison and one selection for both channels of every word.
    lanes = ir.Constant(ir.VectorType(WORD, 2 * LANES), [0] * (2 * LANES))
    undefined = ir.Constant(shape, ir.Undefined)
    first = builder.insert_element(undefined, builder.trunc(values[2], ir.IntType(16)), ir.Constant(WORD, 0))
    wanted = builder.shuffle_vector(first, undefined, lanes)
    hit = builder.icmp_unsigned("==", code, wanted)
    return builder.bitcast(builder.select(hit, numbers, ir.Constant(shape, [0] * (2 * LANES))), I)


@operation(I)
def low(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The first bfloat16 of each pair."""
    return builder.bitcast(builder.shl(values[0], _constant(I, 16)), F)


@operation(I)
def high(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The second bfloat16 of each pair."""
    return builder.bitcast(builder.and_(values[0], _constant(I, 0xFFFF0000)), F)


@operation(F, F)
def pair(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Pairs of bfloat16, rounded to nearest even."""
    # LLVM turns the conversion into the processor's own, or into integer arithmetic where there is none.
    halves = [builder.bitcast(builder.fptrunc(value, _BFS), _HALVES) for value in values]
    first, second = (builder.zext(half, I) for half in halves)
    return builder.or_(first, builder.shl(second, _constant(I, 16)))


@operation(I, I)
def interleave_low(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Pairs of (first of one, first of the other)."""
    first = builder.and_(values[0], _constant(I, 0xFFFF))
    return builder.or_(first, builder.shl(values[1], _constant(I, 16)))


@operation(I, I)
def interleave_high(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Pairs of (second of one, second of the other)."""
    second = builder.and_(values[1], _constant(I, 0xFFFF0000))
    return builder.or_(builder.lshr(values[0], _constant(I, 16)), second)


@operation(F)
def sum_lanes(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The sum of all lanes, as a tree: always in the same order."""
    vector = values[0]
    for width in (8, 4, 2, 1):
        lanes = ir.Constant(I, [(lane + width) % LANES for lane in range(LANES)])
        vector = builder.fadd(vector, builder.shuffle_vector(vector, vector, lanes))
    return builder.extract_element(vector, ir.Constant(WORD, 0))


@operation(*[F] * LANES)
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
        orders = [ir.Constant(I, order) for order in (lower, upper)]
        level = [
            builder.fadd(*(builder.shuffle_vector(one, other, order) for order in orders))
            for one, other in zip(level[0::2], level[1::2], strict=True)
        ]
        width *= 2
    return level[0]


@operation(*[I] * LANES)
def transpose_16(builder: Any, values: Sequence[ir.Value]) -> tuple[ir.Value, ...]:
    """Sixteen vectors as sixteen others: lane k of vector n becomes lane n of vector k."""

    def halves(one: ir.Value, other: ir.Value, run: int, take: Sequence[int]) -> ir.Value:
        """Runs of lanes, ``take``n by number from those of both vectors."""
        lanes = [run * number + lane for number in take for lane in range(run)]
        return builder.shuffle_vector(one, other, ir.Constant(I, lanes))

    # Within groups of four lanes, which is as far as the processor's cheapest shuffles reach: words, then pairs.
    low_words = [n + 4 * g for g in range(4) for n in (0, 16, 1, 17)]
    low_pairs = [n + 2 * g for g in range(4) for n in (0, 8)]
    vectors = list(values)
    for run, low_half, step in ((1, low_words, 2), (2, low_pairs, 1)):
        high_half = [number + step for number in low_half]
        firsts = vectors[0::2] if run == 1 else [v for n in range(0, 16, 4) for v in vectors[n : n + 2]]
        seconds = vectors[1::2] if run == 1 else [v for n in range(0, 16, 4) for v in vectors[n + 2 : n + 4]]
        pairs = zip(firsts, seconds, strict=True)
        vectors = [halves(one, other, run, take) for one, other in pairs for take in (low_half, high_half)]
    # vectors[4 g + k] holds lanes k, 4 + k, 8 + k and 12 + k of rows 4 g to 4 g + 3. Then whole groups of four lanes.
    even, odd = (0, 2, 4, 6), (1, 3, 5, 7)
    columns = []
    for k in range(4):
        one, other, third, fourth = vectors[k::4]
        ends = [(halves(one, other, 4, take), halves(third, fourth, 4, take)) for take in (even, odd)]
        columns.append([halves(*ends[half], 4, take) for take in (even, odd) for half in range(2)])
    return tuple(columns[lane % 4][lane // 4] for lane in range(LANES))


@operation(I, WORD, WORD)
def dropout_hash(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """``nets.hashing.mix``, the hash behind dropout masks, of sixteen element numbers and the halves of a key."""
    index, low_half, high_half = values[0], _broadcast(builder, values[1], I), _broadcast(builder, values[2], I)

    def turn(x: ir.Value, shift: int) -> ir.Value:
        return builder.xor(x, builder.lshr(x, _constant(I, shift)))

    x = builder.mul(turn(builder.add(index, low_half), 17), _constant(I, 0xED5AD4BB))
    x = builder.mul(turn(builder.add(x, high_half), 11), _constant(I, 0xAC4C1B51))
    return turn(builder.mul(turn(x, 15), _constant(I, 0x31848BAB)), 14)


@operation(I, WORD)
def at_least(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return builder.icmp_unsigned(">=", values[0], _broadcast(builder, values[1], I))
