"""Activation functions and their derivatives on vectors of sixteen lanes, in float32.

LLVM's own exponential would be a call for each lane; these are polynomials on whole vectors. Exponentials are taken of
what is not positive, so that none overflows. The largest error against float64 at 620,000 points between -30 and 30 is
2.2e-7 (relative to the value, where that is more than 1). NaN stays NaN.

To add an activation: its value and derivative in ``FUNCTIONS``, from the operations of ``Vector``, which emit LLVM
instructions. ``tests/train/fused/test_activation_functions.py`` then compares it with torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from .instructions import Operation
from .vectors import LANES, F

_FLOATS, _WORDS = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.IntType(32)))


class Vector:
    """A vector of float32 while a kernel is compiled: its operations emit instructions and return their result."""

    def __init__(self, builder: Any, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def _of(self, other: Vector | float) -> ir.Value:
        return other.value if isinstance(other, Vector) else ir.Constant(_FLOATS, [other] * LANES)

    def _new(self, value: ir.Value) -> Vector:
        return Vector(self.builder, value)

    def __add__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fadd(self.value, self._of(other)))

    def __mul__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fmul(self.value, self._of(other)))

    def __neg__(self) -> Vector:
        return self._new(self.builder.fneg(self.value))

    def __abs__(self) -> Vector:
        return self._new(self.builder.call(self._intrinsic("llvm.fabs.v16f32", 1), [self.value]))

    def reciprocal(self) -> Vector:
        return self._new(self.builder.fdiv(self._of(1.0), self.value))

    # LLVM contracts a product and a sum only under fast-math, so the source says where they are rounded once.
    def fma(self, factor: Vector | float, addend: Vector | float) -> Vector:
        """self * factor + addend, rounded once."""
        operands = [self.value, self._of(factor), self._of(addend)]
        return self._new(self.builder.call(self._intrinsic("llvm.fma.v16f32", 3), operands))

    def polynomial(self, *coefficients: float) -> Vector:
        """The polynomial with these coefficients, highest power first."""
        result = self._new(self._of(coefficients[0]))
        for coefficient in coefficients[1:]:
            result = result.fma(self, coefficient)
        return result

    def select_positive(self, positive: Vector | float, other: Vector | float) -> Vector:
        """The first where self > 0, the second elsewhere."""
        is_positive = self.builder.fcmp_ordered(">", self.value, self._of(0.0))
        return self._new(self.builder.select(is_positive, self._of(positive), self._of(other)))

    def maximum(self, other: float) -> Vector:
        """The larger of self and a number; NaN where self is."""
        is_less = self.builder.fcmp_ordered("<", self.value, self._of(other))
        return self._new(self.builder.select(is_less, self._of(other), self.value))

    def exp_parts(self) -> tuple[Vector, Vector]:
        """p and q with exp(self) = p + p * q, p a power of two, for self <= 0.

        In two parts so that exp(x) - 1 keeps its digits near 0. Below -87, exp(-87): smaller ones would be subnormal.
        Polynomial and the two parts of log(2): Cephes, ``expf`` (Moshier 1992).
        """
        x = self.maximum(-87.0)
        shifted = x.fma(
            1.44269504088896341, 12582912.0
        )  # adding 1.5 * 2**23 rounds to a whole number, in the last bits
        whole = shifted + -12582912.0
        # log(2) in two parts: the first has few bits, so that its product with a whole number is exact.
        rest = whole.fma(2.12194440e-4, whole.fma(-0.693359375, x))
        q = rest.polynomial(
            1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1
        )
        q = (q * rest).fma(rest, rest)
        # The whole number becomes the exponent's bits: a power of two without a multiplication.
        bits = self.builder.shl(self.builder.bitcast(shifted.value, _WORDS), ir.Constant(_WORDS, [23] * LANES))
        bits = self.builder.add(bits, ir.Constant(_WORDS, [127 << 23] * LANES))
        return self._new(self.builder.bitcast(bits, _FLOATS)), q

    def _intrinsic(self, name: str, operands: int) -> ir.Function:
        declared = self.builder.module.globals.get(name)
        return declared or ir.Function(self.builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * operands), name)


def _exp(x: Vector) -> Vector:
    p, q = x.exp_parts()
    return p.fma(q, p)


def _expm1(x: Vector) -> Vector:
    p, q = x.exp_parts()
    return p.fma(q, p + -1.0)


def _negative_part(x: Vector) -> Vector:
    """x where it is negative, else 0."""
    return -(-x).maximum(0.0)


def _sigmoid_parts(x: Vector) -> tuple[Vector, Vector, Vector]:
    """exp(-|x|), and the logistic function at |x| and -|x|: neither as 1 minus the other, which would lose digits."""
    e = _exp(-abs(x))
    upper = (e + 1.0).reciprocal()
    return e, upper, e * upper


def _normal_cdf(x: Vector) -> tuple[Vector, Vector]:
    """The normal distribution function, and exp(-x**2 / 2).

    Below 0 it is exp(-x**2 / 2) * u * P(u) / 2 with u = 1 / (1 + 0.6 |x| / sqrt(2)): the form of Abramowitz and Stegun
    7.1.26 (after Hastings), with our own P, least squares to scipy's erfcx at 400 Chebyshev points of 0 < u < 1.
    """
    e = _exp(x * x * -0.5)
    u = (abs(x).fma(0.6 * 0.5**0.5, 1.0)).reciprocal()
    tail = (
        e
        * u
        * u.fma(2.0, -1.0).polynomial(
            1.5873576794e-04,
            -1.2817504697e-04,
            -9.5082690073e-04,
            1.5588152961e-03,
            3.4920632589e-03,
            -1.1648973444e-02,
            -1.7743139342e-02,
            8.6900330001e-02,
            3.4578632221e-01,
            5.9257490854e-01,
        )
        * 0.5
    )
    return x.select_positive(-tail + 1.0, tail), e


def _sigmoid(x: Vector) -> Vector:
    _, upper, lower = _sigmoid_parts(x)
    return x.select_positive(upper, lower)


def _sigmoid_derivative(x: Vector) -> Vector:
    _, upper, lower = _sigmoid_parts(x)
    return upper * lower


def _tanh(x: Vector) -> Vector:
    # (1 - e) / (1 + e) with e = exp(-2 |x|), by e - 1, which keeps its digits near 0.
    t = _expm1(abs(x) * -2.0)
    size = -t * (t + 2.0).reciprocal()
    return x.select_positive(size, -size)


def _tanh_derivative(x: Vector) -> Vector:
    _, upper, lower = _sigmoid_parts(x * 2.0)
    return upper * lower * 4.0


def _silu_derivative(x: Vector) -> Vector:
    # s + x s (1 - s) with s the logistic function of x, and 1 - s taken as that of -x.
    _, upper, lower = _sigmoid_parts(x)
    own, other = x.select_positive(upper, lower), x.select_positive(lower, upper)
    return (x * other).fma(own, own)


def _gelu_derivative(x: Vector) -> Vector:
    share, e = _normal_cdf(x)
    return (x * e).fma(0.3989422804014327, share)


# Value and derivative by name. The constants are those of ``nets.activations``.
FUNCTIONS: dict[str, tuple[Callable[[Vector], Vector], Callable[[Vector], Vector]]] = {
    "relu": (lambda x: x.maximum(0.0), lambda x: x.select_positive(1.0, 0.0)),
    "relu6": (
        lambda x: -(-x.maximum(0.0)).maximum(-6.0),
        lambda x: x.select_positive((-x + 6.0).select_positive(1.0, 0.0), 0.0),
    ),
    "leakyrelu": (lambda x: x.select_positive(x, x * 0.2), lambda x: x.select_positive(1.0, 0.2)),
    "elu": (
        lambda x: x.select_positive(x, _expm1(_negative_part(x))),
        lambda x: x.select_positive(1.0, _exp(_negative_part(x))),
    ),
    "sigmoid": (_sigmoid, _sigmoid_derivative),
    "tanh": (_tanh, _tanh_derivative),
    "silu": (lambda x: x * _sigmoid(x), _silu_derivative),
    "gelu": (lambda x: x * _normal_cdf(x)[0], _gelu_derivative),
}


def _operation(name: str, function: Callable[[Vector], Vector]) -> Operation:
    def emit(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
        return function(Vector(builder, values[0])).value

    return Operation(name, (F,), emit)


# As operations of kernels: "gelu_value", "gelu_derivative" ...
OPERATIONS = {
    f"{name}_{which}": _operation(f"{name}_{which}", function)
    for name, both in FUNCTIONS.items()
    for which, function in zip(("value", "derivative"), both, strict=True)
}
