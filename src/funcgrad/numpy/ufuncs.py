"""Universal functions: functions of single elements with reduce, accumulate, outer, at, reduceat.

In: a function of nin arrays, elementwise. Out: an object that is called like it. The one idea: each
method is a scan with the function, unless there is a reduction of that meaning; so all of them are
traced and differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.sources import user_line
from ..ir.avals import canonical_axis
from ..primitives import cumulative, reduction
from . import arithmetic, cumulation, elementary, extremes, integers, logic, reductions, rounding
from .creation import full, ones
from .indexing import take
from .joining import append, concatenate
from .manipulation import broadcast_to, moveaxis
from .promotion import (
    check_arraylike,
    dtype_of,
    refuse_out,
    requested_dtype,
    shape_of,
    to_array,
)
from .ranges import arange
from .reductions import canonical_axes, keep
from .selection import where as choose_where


def _scanned(step: Callable[[Any, Any], Any], first: Any, rows: Any) -> Any:
    """The last carry, and what each row gave."""
    from ..control.scan import scan

    return scan(step, first, rows)


class ufunc:
    """A function of single elements, applied to arrays that broadcast.

    Attributes:
        nin: number of operands.
        nout: number of results.
        nargs: the sum of both.
        identity: the operand that leaves the other one as it is, or None.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        /,
        nin: int,
        nout: int,
        *,
        name: str | None = None,
        nargs: int | None = None,
        identity: Any = None,
        call: Callable[..., Any] | None = None,
        reduce: Callable[..., Any] | None = None,
        accumulate: Callable[..., Any] | None = None,
        at: Callable[..., Any] | None = None,
        reduceat: Callable[..., Any] | None = None,
    ) -> None:
        """Make one of a function of scalars; the keywords replace what would be made of it."""
        self.nin = nin
        self.nout = nout
        self.nargs = nargs if nargs is not None else nin + nout
        self.identity = identity
        self.__name__ = name or func.__name__
        self.__qualname__ = self.__name__
        self.__doc__ = func.__doc__
        self.__wrapped__ = func
        if call is None:
            from .mapping import vectorize

            call = vectorize(func)
        self._call = call
        self._reduce = reduce
        self._accumulate = accumulate
        self._at = at
        self._reduceat = reduceat

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r}>"

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Any:
        self._refuse("", out, where)
        if len(args) != self.nin:
            raise TypeError(f"{self.__name__}() takes {self.nin} operands, got {len(args)}.")
        return self._call(*args)

    def _refuse(self, method: str, out: Any, where: Any = None) -> None:
        name = f"{self.__name__}{method}"
        refuse_out(name, out)
        if where is not None:
            raise ValueError(f"{name} does not take where. Use numpy.where on the result.")

    def _check_binary(self, method: str) -> None:
        if self.nin != 2:
            raise ValueError(f"{method} only supported for binary ufuncs, not {self.__name__}.")
        if self.nout != 1:
            raise ValueError(f"{method} only supported for functions returning a single value.")

    def _result_dtype(self, *operands: Any) -> Any:
        """The dtype of results from operands of these dtypes."""
        return dtype_of(self._call(*[ones((), dtype_of(x)) for x in operands]))

    def reduce(
        self,
        a: Any,
        axis: int | Sequence[int] | None = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        """Fold the elements along axes (None: all) into one, from the first to the last.

        Args:
            initial: what to begin with; by default the first element, or the identity.
            where: a mask of the elements to take; needs an identity or an initial value.
        Raises:
            ValueError: the ufunc is not binary, or nothing is left to begin with.
        """
        self._check_binary("reduce")
        self._refuse(".reduce", out)
        check_arraylike(f"{self.__name__}.reduce", a)
        if where is not None and self.identity is None and initial is None:
            raise ValueError(
                f"reduction operation {self.__name__!r} does not have an identity, so to use a "
                f"where mask one has to specify 'initial'.\n  {user_line()}"
            )
        if self._reduce is not None:
            given: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
            extra = {"dtype": dtype, "initial": initial, "where": where}
            given.update({key: v for key, v in extra.items() if v is not None})
            return self._reduce(a, **given)
        x = to_array(a)
        axes = canonical_axes(tuple(axis) if isinstance(axis, Sequence) else axis, x.ndim)
        mask = None if where is None else _flattened(broadcast_to(where, x.shape), axes)
        wanted = requested_dtype(dtype, self.__name__) or self._result_dtype(x, x)
        result = self._fold(_flattened(x, axes).astype(wanted), mask, initial)
        return keep(result, axes, keepdims)

    def _fold(self, rows: Any, mask: Any, initial: Any) -> Any:
        """The rows folded into one."""
        start = self.identity if initial is None and mask is not None else initial
        if start is None and not rows.shape[0]:
            start = self.identity
        if start is None:
            if not rows.shape[0]:
                raise ValueError(
                    f"zero-size array to reduction operation {self.__name__} which has no identity."
                )
            first, rows = rows[0], rows[1:]
        else:
            first = broadcast_to(to_array(start), rows.shape[1:]).astype(rows.dtype)
        masks = full(rows.shape[:1], True, bool) if mask is None else mask

        def step(carry: Any, row: Any) -> Any:
            value, taken = row
            new = self._call(carry, value).astype(carry.dtype)
            return new if mask is None else choose_where(taken, new, carry), None

        return _scanned(step, first, (rows, masks))[0]

    def accumulate(self, a: Any, axis: Any = 0, dtype: Any = None, out: None = None) -> Any:
        """The folds of the first 1, 2, ... elements along an axis.

        Raises:
            ValueError: the ufunc is not binary, or several axes.
        """
        self._check_binary("accumulate")
        self._refuse(".accumulate", out)
        check_arraylike(f"{self.__name__}.accumulate", a)
        if axis is None or isinstance(axis, Sequence):
            raise ValueError(f"accumulate takes one axis, got {axis!r}.")
        x = to_array(a)
        along = canonical_axis(axis, x.ndim)
        wanted = requested_dtype(dtype, self.__name__)
        if self._accumulate is not None:
            return self._accumulate(x if wanted is None else x.astype(wanted), along)
        rows = moveaxis(x, along, 0).astype(wanted or self._result_dtype(x, x))
        if not rows.size:
            return moveaxis(rows, 0, along)

        def step(carry: Any, row: Any) -> Any:
            new = self._call(carry, row).astype(carry.dtype)
            return new, new

        later = _scanned(step, rows[0], rows[1:])[1]
        return moveaxis(concatenate([rows[:1], later]), 0, along)

    def outer(self, A: Any, B: Any, /) -> Any:
        """The function of every pair of elements, of shape (*A.shape, *B.shape)."""
        self._check_binary("outer")
        check_arraylike(f"{self.__name__}.outer", A, B)
        left, right = to_array(A), to_array(B)
        return self._call(left.reshape((*left.shape, *(1,) * right.ndim)), right)

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Any:
        """The array with the function applied to the elements at the indices, one after the other.

        Args:
            b: second operands, which broadcast with the indexed elements.
            inplace: must be False, since arrays are immutable.
        """
        if inplace:
            raise ValueError(
                f"{self.__name__}.at cannot work in place: arrays are immutable.\n  {user_line()}\n"
                "  Give inplace=False and use the result."
            )
        given = [a] if b is None else [a, b]
        check_arraylike(f"{self.__name__}.at", *given)
        if len(given) != self.nin:
            raise ValueError(f"{self.__name__}.at takes {self.nin} arrays, got {len(given)}.")
        if self._at is not None:
            return self._at(to_array(a), indices, to_array(b))
        dtype = self._result_dtype(*given)
        x = to_array(a).astype(dtype)
        # Numbers of the elements; those out of bounds get one that no element has.
        numbers = arange(x.size).reshape(x.shape).at[indices].get(mode="fill", fill_value=x.size)
        operands = [broadcast_to(v, numbers.shape).reshape(-1).astype(dtype) for v in given[1:]]

        def step(flat: Any, row: Any) -> Any:
            place, *others = row
            new = self._call(flat[place], *others).astype(dtype)
            return flat.at[place].set(new, mode="drop"), None

        return _scanned(step, x.reshape(-1), (numbers.reshape(-1), *operands))[0].reshape(x.shape)

    def reduceat(
        self, a: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: None = None
    ) -> Any:
        """The folds of a[indices[i] : indices[i + 1]] along an axis; the last goes to the end.

        Where an index is not below the next, its element alone is the result.

        Raises:
            ValueError: the ufunc is not binary, indices are no vector, or not one axis.
        """
        self._check_binary("reduceat")
        self._refuse(".reduceat", out)
        check_arraylike(f"{self.__name__}.reduceat", a, indices)
        if axis is None or isinstance(axis, Sequence):
            raise ValueError(f"reduceat requires a single integer axis, got {axis!r}.")
        if not shape_of(a) or len(shape_of(indices)) != 1:
            raise ValueError(
                "reduceat: a must have an axis, and indices must be one-dimensional, got shapes "
                f"{shape_of(a)} and {shape_of(indices)}."
            )
        if self._reduceat is not None:
            return self._reduceat(a, indices, axis=axis, dtype=dtype)
        x = to_array(a)
        wanted = requested_dtype(dtype, self.__name__) or x.dtype
        along = canonical_axis(axis, x.ndim)
        rows = moveaxis(x, along, 0).astype(wanted)
        starts = to_array(indices)
        lengths = (starts.shape[0], *(1,) * (x.ndim - 1))
        before = starts.reshape(lengths)
        after = append(starts[1:], rows.shape[0]).reshape(lengths)

        def step(carry: Any, row: Any) -> Any:
            i, value = row
            new = self._call(carry, value[None]).astype(wanted)
            return choose_where((i > before) & (i < after), new, carry), None

        folded = _scanned(step, take(rows, starts, 0), (arange(rows.shape[0]), rows))[0]
        return moveaxis(folded, 0, along)


def _flattened(x: Any, axes: tuple[int, ...]) -> Any:
    """The array with the axes joined into one in front."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    return x.transpose((*axes, *kept)).reshape((-1, *(x.shape[i] for i in kept)))


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """The ufunc of a function of scalars that can be traced.

    Args:
        nin, nout: the numbers of its operands and results.
        identity: the operand that leaves the other one as it is, for reductions.
    """
    return ufunc(func, nin, nout, identity=identity)


def _builtin(func: Callable[..., Any], identity: Any = None, nin: int = 2, **methods: Any) -> ufunc:
    """The ufunc of a function that takes arrays."""
    return ufunc(func, nin, 1, name=func.__name__, identity=identity, call=func, **methods)


def _bitwise(op: Callable[[Any, tuple[int, ...]], Any], identity: int) -> Callable[..., Any]:
    """A reduction by an operation on bits."""

    def reduce(
        a: Any,
        axis: int | tuple[int, ...] | None,
        keepdims: bool,
        dtype: Any = None,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        x = to_array(a)
        wanted = requested_dtype(dtype, "reduce")
        x = x if wanted is None else x.astype(wanted)
        if where is not None:
            x = choose_where(where, x, full((), identity, int).astype(x.dtype))
        axes = canonical_axes(axis, x.ndim)
        result = keep(op(x, axes), axes, keepdims)
        return result if initial is None else _pairwise[op](result, initial)

    return reduce


_pairwise: dict[Any, Callable[[Any, Any], Any]] = {
    reduction.reduce_and: logic.bitwise_and,
    reduction.reduce_or: logic.bitwise_or,
    reduction.reduce_xor: logic.bitwise_xor,
}


def _without_dtype(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction that takes the dtype its operand is converted to first."""

    def converted(a: Any, dtype: Any = None, **given: Any) -> Any:
        wanted = requested_dtype(dtype, "reduce")
        return reduce(a if wanted is None else to_array(a).astype(wanted), **given)

    return converted


def _updated(operation: str) -> Callable[..., Any]:
    """The `at` of an operation that scattering has."""

    def at(x: Any, index: Any, b: Any) -> Any:
        return getattr(x.at[index], operation)(b)

    return at


add = _builtin(
    arithmetic.add,
    0,
    reduce=reductions.sum,
    accumulate=cumulation.cumsum,
    at=_updated("add"),
)
subtract = _builtin(arithmetic.subtract, at=_updated("subtract"))
multiply = _builtin(
    arithmetic.multiply,
    1,
    reduce=reductions.prod,
    accumulate=cumulation.cumprod,
    at=_updated("multiply"),
)
divide = _builtin(arithmetic.divide)
true_divide = _builtin(arithmetic.true_divide)
floor_divide = _builtin(arithmetic.floor_divide)
remainder = _builtin(arithmetic.remainder)
mod = _builtin(arithmetic.mod)
fmod = _builtin(arithmetic.fmod)
power = _builtin(arithmetic.power)
pow = _builtin(arithmetic.pow)
float_power = _builtin(arithmetic.float_power)
negative = _builtin(arithmetic.negative, nin=1)
maximum = _builtin(
    arithmetic.maximum,
    reduce=_without_dtype(extremes.max),
    accumulate=cumulative.cummax,
    at=_updated("max"),
)
minimum = _builtin(
    arithmetic.minimum,
    reduce=_without_dtype(extremes.min),
    accumulate=cumulative.cummin,
    at=_updated("min"),
)
fmax = _builtin(arithmetic.fmax)
fmin = _builtin(arithmetic.fmin)
heaviside = _builtin(arithmetic.heaviside)
hypot = _builtin(arithmetic.hypot, 0)
ldexp = _builtin(arithmetic.ldexp)
copysign = _builtin(rounding.copysign)
nextafter = _builtin(rounding.nextafter)
arctan2 = _builtin(elementary.arctan2)
atan2 = _builtin(elementary.atan2)
logaddexp = _builtin(elementary.logaddexp, float("-inf"))
logaddexp2 = _builtin(elementary.logaddexp2, float("-inf"))
gcd = _builtin(integers.gcd, 0)
lcm = _builtin(integers.lcm)
equal = _builtin(logic.equal)
not_equal = _builtin(logic.not_equal)
less = _builtin(logic.less)
less_equal = _builtin(logic.less_equal)
greater = _builtin(logic.greater)
greater_equal = _builtin(logic.greater_equal)
logical_and = _builtin(logic.logical_and, True, reduce=_without_dtype(reductions.all))
logical_or = _builtin(logic.logical_or, False, reduce=_without_dtype(reductions.any))
logical_xor = _builtin(logic.logical_xor, False)
bitwise_and = _builtin(logic.bitwise_and, -1, reduce=_bitwise(reduction.reduce_and, -1))
bitwise_or = _builtin(logic.bitwise_or, 0, reduce=_bitwise(reduction.reduce_or, 0))
bitwise_xor = _builtin(logic.bitwise_xor, 0, reduce=_bitwise(reduction.reduce_xor, 0))
left_shift = _builtin(logic.left_shift)
right_shift = _builtin(logic.right_shift)
bitwise_left_shift = _builtin(logic.bitwise_left_shift)
bitwise_right_shift = _builtin(logic.bitwise_right_shift)
