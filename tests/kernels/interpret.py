"""A slow reading of what `lower` gives: one element at a time, with NumPy scalars.

In: a lowering, the operands it reads and the aval of the output. Out: the output as an array. A
load outside of its buffer, a shift by too much or a result of another dtype is an assertion error,
so that what this accepts a compiler may emit as it stands.
"""

import itertools

import ml_dtypes
import numpy as np

from funcgrad.ir import dtypes, loops
from funcgrad.ir.loops import (
    Affine,
    Apply,
    Axis,
    Const,
    Contract,
    Fold,
    Index,
    Load,
    Map,
    Operand,
    Running,
    Scatter,
    View,
)
from funcgrad.primitives.casting import cast

HALVES = {np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)}


# Scalars.


def unsigned(x):
    return x.view(np.dtype(f"u{x.dtype.itemsize}"))


def division(x, y):
    if x.dtype.kind not in "iu":
        return np.divide(x, y)
    info = np.iinfo(x.dtype)
    assert y != 0 and not (info.min < 0 and x == info.min and y == -1), "undefined quotient"
    return x.dtype.type(int(abs(int(x)) // abs(int(y))) * (1 if (x < 0) == (y < 0) else -1))


def remainder(x, y):
    if x.dtype.kind in "iu":
        assert y != 0 and not (y == -1 and x == np.iinfo(x.dtype).min), "undefined remainder"
    return np.fmod(x, y)


def shift(op):
    def apply(x, y):
        width = 8 * x.dtype.itemsize
        # The arm of a select that is not taken may hold anything; selects here are lazy.
        assert 0 <= int(y) < width, "undefined shift"
        return np.asarray(op(x, int(y), width)).astype(x.dtype)

    return apply


def logical_right(x, y, width):
    return np.uint64(int(unsigned(x)) >> y).astype(np.dtype(f"u{x.dtype.itemsize}")).view(x.dtype)


def left(x, y, width):
    return np.uint64((int(unsigned(x)) << y) % (1 << width)).astype(unsigned(x).dtype).view(x.dtype)


def arithmetic_right(x, y, width):
    return np.right_shift(x.view(np.dtype(f"i{x.dtype.itemsize}")), y).view(x.dtype)


def scipy_function(name):
    def apply(*args):
        import scipy.special

        return getattr(scipy.special, name)(*args)

    return apply


def from_primitive(name):
    def apply(*args):
        from funcgrad.core.primitive import registry

        return registry[name].impl(*map(np.asarray, args))

    return apply


def rounded_away(x):
    return np.copysign(np.floor(np.abs(x) + (np.abs(x) % 1 >= 0.5)), x)


def power(x, y):
    # NumPy takes the root for one exponent of 0.5, which differs at -inf; two are not one.
    return np.power(np.array([x, x]), np.array([y, y]))[0]


def sign(x):
    out = np.sign(x)
    return out if x.dtype.kind in "iuc" else np.copysign(out, x)


OPS = {
    "neg": np.negative, "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": division,
    "rem": remainder, "min": np.minimum, "max": np.maximum, "abs": np.absolute, "sign": sign,
    "pow": power, "fma": lambda x, y, z: x * y + z, "sqrt": np.sqrt,
    "rsqrt": from_primitive("rsqrt"), "cbrt": np.cbrt, "exp": np.exp, "exp2": np.exp2,
    "expm1": np.expm1, "log": np.log, "log1p": from_primitive("log1p"), "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "logistic": from_primitive("logistic"),
    "erf": from_primitive("erf"), "erfc": from_primitive("erfc"),
    "erf_inv": from_primitive("erf_inv"), "erfcx": from_primitive("erfcx"),
    "log_ndtr": from_primitive("log_ndtr"), "ndtri": from_primitive("ndtri"),
    "dawsn": from_primitive("dawsn"), "wofz": from_primitive("wofz"),
    "lgamma": from_primitive("lgamma"),
    "digamma": from_primitive("digamma"), "bessel_i0e": from_primitive("bessel_i0e"),
    "bessel_i1e": from_primitive("bessel_i1e"), "floor": np.floor, "ceil": np.ceil,
    "round": np.rint, "round_away": rounded_away, "trunc": np.trunc, "copysign": np.copysign,
    "nextafter": np.nextafter, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "not": np.invert, "shift_left": shift(left), "shift_right_logical": shift(logical_right),
    "shift_right_arithmetic": shift(arithmetic_right),
    "population_count": from_primitive("population_count"), "clz": from_primitive("clz"),
    "mulhi": from_primitive("mulhi"), "conj": np.conjugate, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "is_finite": np.isfinite, "real": np.real, "imag": np.imag,
}  # fmt: skip


def same_dtypes(op, args):
    """Whether the operands of an operation have the dtypes it takes."""
    if op in ("pow", "atan2", "div", "complex") or op in loops.ARITHMETIC | loops.COMPARISONS:
        return all(a.dtype == args[0].dtype for a in args)
    return True


class Scope:
    """The buffers that loads read, and the loop variables of the element at hand."""

    def __init__(self, buffers):
        self.buffers = buffers
        self.axes = {}
        # Expressions share their parts, ciphers above all: each is worked out once an element.
        self.known = {}

    def index(self, affine):
        """The value of an index."""
        total = affine.const
        for axis, c in affine.axes.items():
            assert 0 <= self.axes[axis] < axis.extent
            total += c * self.axes[axis]
        for x, c in affine.dynamic:
            assert x.dtype == loops.int64
            total += c * int(self.value(x))
        return total

    def value(self, x):
        """The value of an expression, of its dtype."""
        if x not in self.known:
            self.known[x] = self.raw(x)
            assert self.known[x].dtype == x.dtype, (self.known[x].dtype, x.dtype)
        return self.known[x]

    def raw(self, x):
        if isinstance(x, Const):
            return np.asarray(x.value).astype(x.dtype)[()]
        if isinstance(x, Index):
            return np.int64(self.index(x.affine))
        if isinstance(x, Load):
            return self.load(x)
        assert isinstance(x, Apply), type(x)
        if x.op == "select":
            return self.value(x.args[1] if self.value(x.args[0]) else x.args[2])
        assert same_dtypes(x.op, x.args), x.op
        args = [self.value(a) for a in x.args]
        if x.op == "cast":
            assert "c" not in (args[0].dtype.kind, x.dtype.kind)
            return np.asarray(cast(np.asarray(args[0]), x.dtype))[()]
        if x.op == "bitcast":
            return np.asarray(args[0]).view(x.dtype)[()]
        if x.op == "complex":
            return np.array([args[0], args[1]]).view(x.dtype)[0]
        if x.op == "call":
            assert all(a.dtype == np.float64 for a in args)
            return np.float64(scipy_function(x.name.removeprefix("fg_special_"))(*args))
        return np.asarray(OPS[x.op](*args)).astype(x.dtype, copy=False)[()]

    def load(self, x):
        if x.guard is not None:
            assert x.guard.dtype == loops.boolean
            if not self.value(x.guard):
                return np.zeros((), x.dtype)[()]
        buffer = self.buffers[x.source]
        index = tuple(self.index(i) for i in x.index)
        assert len(index) == buffer.ndim, (x, buffer.shape)
        assert all(0 <= i < n for i, n in zip(index, buffer.shape, strict=True)), (x, index)
        return buffer[index]

    def elements(self, shape):
        """Every position of a shape, with the index of axes that are set to it."""
        axes = [Axis(n) for n in shape]
        index = tuple(map(loops.axis_index, axes))
        for position in itertools.product(*map(range, shape)):
            self.axes.update(zip(axes, position, strict=True))
            self.known = {}
            yield position, index


# Lowerings.

FOLDS = {
    "add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "logaddexp": np.logaddexp,
}  # fmt: skip


def identity(op, dtype):
    """The value a fold starts from."""
    if op in ("add", "or", "xor"):
        return np.zeros((), dtype)[()]
    if op == "mul":
        return np.ones((), dtype)[()]
    if op == "and":
        return np.asarray(True if dtype.kind == "b" else -1).astype(dtype)[()]
    sign = -1 if op == "max" else 1
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return dtype.type(info.min if op == "max" else info.max)
    infinity = complex(sign * np.inf, sign * np.inf) if dtype.kind == "c" else sign * np.inf
    return np.asarray(infinity).astype(dtype)[()]


def key_words(x):
    """An array of keys as one of words; any other array as it is."""
    x = np.asarray(x)
    if dtypes.is_key_dtype(x.dtype):
        return np.ascontiguousarray(x).view(np.uint32).reshape((*x.shape, 2))
    return x


def operands_of(arrays, literal=False):
    """Operands that read the arrays, and the arrays by source; scalars as constants if literal."""
    buffers, operands = {}, []
    for i, x in enumerate(arrays):
        source = f"x{i}"
        buffers[source] = x

        def read(index, guard, source=source, x=x):
            assert all(isinstance(i, Affine) for i in index)
            if literal and not x.shape:
                return Const(x[()], x.dtype)
            return Load(source, index, x.dtype, guard)

        operands.append(Operand(x.shape, x.dtype, read))
    return operands, buffers


def interpret(lowered, arrays, buffers, out):
    """The output of shape and dtype `out` that a lowering describes."""
    scope = Scope(buffers)
    if isinstance(lowered, View):
        x = arrays[lowered.operand]
        assert x.dtype == out.dtype
        return x.reshape(out.shape)
    if isinstance(lowered, Contract):
        return contraction(lowered, *arrays).astype(out.dtype)
    result = np.zeros(out.shape, out.dtype)
    # Overflow is a value, not a mistake, in all of these.
    with np.errstate(all="ignore"):
        written(scope, lowered, result)
    return result


def written(scope, lowered, result):
    run = {Map: fill, Fold: fold, Running: running, Scatter: scatter}[type(lowered)]
    run(scope, lowered, result)


def fill(scope, lowered, result):
    at = lowered.at
    for position, index in scope.elements(result.shape):
        x = at(index)
        assert x.dtype == result.dtype, (x.dtype, result.dtype)
        result[position] = scope.value(x)


def fold(scope, lowered, result):
    extreme = lowered.op in ("argmax", "argmin")
    for position, index in scope.elements(result.shape):
        values = []
        for _, folded in scope.elements(lowered.extents):
            x = lowered.at(index, folded)
            assert x.dtype == lowered.dtype
            values.append(scope.value(x))
        if extreme:
            found = np.argmax if lowered.op == "argmax" else np.argmin
            result[position] = found(np.array(values, lowered.dtype))
            continue
        total = identity(lowered.op, lowered.dtype)
        for v in values:
            total = combined(lowered.op, total, v)
        result[position] = np.asarray(total).astype(result.dtype)


def combined(op, x, y):
    return np.asarray(FOLDS[op](x, y)).astype(y.dtype)[()]


def running(scope, lowered, result):
    values = np.zeros(result.shape, lowered.dtype)
    fill(scope, Map(lowered.at), values)
    along = np.moveaxis(values, lowered.axis, 0)
    steps = range(len(along))
    for i in list(reversed(steps) if lowered.reverse else steps)[1:]:
        before = i + 1 if lowered.reverse else i - 1
        along[i] = FOLDS[lowered.op](along[before], along[i])
    result[...] = values.astype(result.dtype)


def scatter(scope, lowered, result):
    fill(scope, Map(lowered.base), result)
    for _, index in scope.elements(lowered.extents):
        guard = lowered.guard(index)
        if guard is not None and not scope.value(guard):
            continue
        target = tuple(scope.index(i) for i in lowered.target(index))
        assert all(0 <= i < n for i, n in zip(target, result.shape, strict=True)), target
        x = lowered.update(index)
        assert x.dtype == result.dtype
        v = scope.value(x)
        result[target] = v if lowered.op == "set" else combined(lowered.op, result[target], v)


def contraction(lowered, lhs, rhs):
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [""] * lhs.ndim
    right = [""] * rhs.ndim
    batch = ""
    for a, b in zip(lowered.left_batch, lowered.right_batch, strict=True):
        left[a] = right[b] = next(letters)
        batch += left[a]
    for a, b in zip(lowered.left_contract, lowered.right_contract, strict=True):
        left[a] = right[b] = next(letters)
    free = ""
    for side in (left, right):
        for i, letter in enumerate(side):
            if not letter:
                side[i] = next(letters)
                free += side[i]
    work = [cast(x, lowered.dtype) if lowered.dtype.kind != "c" else x for x in (lhs, rhs)]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{batch}{free}", *work)
