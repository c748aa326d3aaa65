"""Calls of jitted functions whose arguments are of a signature met before.

In: the arguments of a call. Out: its result, or word that the longer way must be taken. The one
idea: equal avals are one object, so whether a call fits is a comparison of addresses, which machine
code does while it collects the memory of the arguments. NumPy's arrays and numbers have avals too:
they are compared by dtype, shape and type, where they lie.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from .. import tree
from ..config import config, updates
from ..core.array import Array, to_ndarray
from ..core.context import context
from ..core.trace import eval_trace
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from .leaves import OtherStructure, Reader, reader

if TYPE_CHECKING:
    from ..kernels.runtime.launch import Executable

not_known = object()
_leaf = tree.structure(0)
_namespace = tree.namespace
_flatten: Any = optree.tree_flatten
_plain = (np.ndarray, np.generic, bool, int, float, complex)


class Direct:
    """What a call needs, once its signature is known.

    Args:
        in_tree: of the arguments; None if each of them is a leaf.
        with_keywords: whether `in_tree` is that of positional and keyword arguments.
        donated: which arguments may be overwritten, by their place among the leaves.
    """

    def __init__(
        self,
        program: Executable,
        avals: tuple[ShapedArray, ...],
        in_tree: Any,
        with_keywords: bool,
        out_avals: Sequence[ShapedArray],
        out_tree: Any,
        donated: Sequence[int],
    ) -> None:
        self.program = program
        self.avals = avals
        self.in_tree = in_tree
        self.with_keywords = with_keywords
        self.out_avals = tuple(out_avals)
        self.out_tree = None if out_tree == _leaf else out_tree
        self.donated = tuple(donated)
        self.signature = config.signature()
        self.stamp = config.stamp
        self.in_line = program.in_line and not donated
        self.flat_in_line = self.in_line and in_tree is None
        self.count = len(avals)
        self.read: Reader | None = None  # written for the second call: many programs have only one
        self._called = False
        self._pairs = matched(program.reusable, avals, self.out_avals, set(donated))
        if self.in_line:
            from ..kernels.runtime.wanted import Wanted

            self.wanted = Wanted(avals)

    def in_force(self) -> bool:
        """Whether the options are those it was made under."""
        stamp = config.stamp
        if stamp is self.stamp and stamp[0] == updates[0]:
            return True
        if config.signature() != self.signature:
            return False
        self.stamp = config.stamp
        return True

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
        """The leaves of arguments, None where their tree is another one."""
        if self.with_keywords != bool(kwargs):
            return None
        if self.in_tree is None:
            return args
        if self.read is None and not self._called:
            self.read, self._called = reader(self.in_tree), True
        if self.read is None:
            found, in_tree = leaves_of(args, kwargs)
            return found if in_tree == self.in_tree else None
        try:
            return self.read((args, kwargs) if kwargs else args)
        except (OtherStructure, LookupError):
            return None

    def __call__(self, leaves: tuple[Any, ...], in_place: bool = True) -> Any:
        """The result, or `not_known`.

        Args:
            in_place: whether all leaves may be memory that the program can read.
        """
        if len(leaves) != self.count:
            return not_known
        outs = None
        if self.in_line and in_place:
            outs = self.program.on_leaves(leaves, self.out_avals, self.wanted)
        if outs is None:
            arrays = memory_of(leaves, self.avals)
            if arrays is None:
                return not_known
            if self.in_line:
                leaves = tuple(map(Array.of, arrays, self.avals))
                outs = self.program.on_leaves(leaves, self.out_avals, self.wanted)
            else:
                outs = list(map(Array.of, self._run(leaves, arrays), self.out_avals))
            if outs is None:
                return not_known
        return outs[0] if self.out_tree is None else self.out_tree.unflatten(outs)

    def _run(self, leaves: tuple[Any, ...], arrays: list[Any]) -> list[Any]:
        if not self.donated:
            return self.program(arrays)
        from ..kernels.runtime.outputs import is_sole

        # NumPy's memory is its owner's, donated or not.
        pairs = [(k, i) for k, i in self._pairs if type(leaves[i]) is Array and is_sole(arrays, i)]
        try:
            return self.program(arrays, pairs)
        finally:
            for i in self.donated:
                if type(leaves[i]) is Array:
                    leaves[i].delete()


def memory_of(
    leaves: Sequence[Any], avals: Sequence[ShapedArray], as_it_lies: bool = True
) -> list[Any] | None:
    """Arguments as NumPy arrays; None if they are no arrays and numbers of these avals.

    Args:
        as_it_lies: whether the memory of NumPy's arrays may be read, or a copy must be made.
    Raises:
        OverflowError: an int that its dtype has no room for.
    """
    arrays: list[Any] = []
    for x, aval in zip(leaves, avals, strict=True):
        kind: Any = type(x)  # pyright: ignore[reportUnknownVariableType]
        if kind is Array:
            value = x._value if x.aval is aval else None
        elif as_it_lies and kind is np.ndarray and x.dtype is aval.dtype and x.shape == aval.shape:
            value = None if aval.weak_type else x
        elif kind is np.ndarray and x.shape == aval.shape and _becomes(x.dtype, aval):
            value = to_ndarray(x, aval)
        else:
            value = to_ndarray(x, aval) if _aval_of(x) is aval else None
        if value is None:
            return None
        arrays.append(value)
    return arrays


def _becomes(dtype: np.dtype[Any], aval: ShapedArray) -> bool:
    """Whether ndarrays of a dtype have an aval, if they have its shape: without making theirs."""
    try:
        return dtypes.canonicalize_dtype(dtype, True) is aval.dtype and not aval.weak_type
    except (TypeError, ValueError):
        return False


def _aval_of(x: Any) -> ShapedArray | None:
    """The aval of an argument; None where it is none that the short way takes."""
    if type(x) is Array:
        return x.aval
    if not isinstance(x, _plain):
        return None
    try:
        return aval_of(x)
    except (TypeError, ValueError):
        return None  # the longer way says what is wrong


def _avals_of(leaves: tuple[Any, ...]) -> tuple[ShapedArray, ...] | None:
    """The avals of arguments; None where one of them takes the longer way."""
    avals: list[ShapedArray] = []
    for x in leaves:
        aval = _aval_of(x)
        if aval is None:
            return None
        avals.append(aval)
    return tuple(avals)


def matched(
    pairs: Sequence[tuple[int, int]],
    avals: Sequence[ShapedArray],
    out_avals: Sequence[ShapedArray],
    donated: set[int],
) -> list[tuple[int, int]]:
    """Of the pairs of an output and an input, those to use: each output and input at most once."""
    chosen: list[tuple[int, int]] = []
    outputs: set[int] = set()
    inputs: set[int] = set()
    for k, i in pairs:
        if i not in donated or k in outputs or i in inputs:
            continue
        a, b = avals[i], out_avals[k]
        if a.shape == b.shape and a.dtype == b.dtype and not dtypes.is_key_dtype(a.dtype):
            chosen.append((k, i))
            outputs.add(k)
            inputs.add(i)
    return chosen


class Known:
    """The signatures of one jitted function, the last one first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last: Direct | None = None
        self._all: dict[Any, Direct] = {}

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result, or `not_known`."""
        last = self._last
        if last is None or context.axis_sizes:
            return not_known
        trace = context.trace
        if trace is not None and trace is not eval_trace:
            return not_known
        in_place = True
        if last.flat_in_line and not kwargs and len(args) == last.count:
            # The commonest call, with as few steps as there can be.
            stamp = config.stamp
            if stamp is last.stamp and stamp[0] == updates[0]:
                outs = last.program.on_leaves(args, last.out_avals, last.wanted)
                if outs is not None:
                    return outs[0] if last.out_tree is None else last.out_tree.unflatten(outs)
                in_place = False
        leaves = last.leaves(args, kwargs)
        if leaves is not None and last.in_force():
            result = last(leaves, in_place)
            if result is not not_known:
                return result
        return self._search(args, kwargs)

    def _search(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves, in_tree = leaves_of(args, kwargs)
        avals = _avals_of(leaves)
        if avals is None:
            return not_known
        found = self._all.get(self._key(in_tree, kwargs, avals))
        if found is None:
            return not_known
        self._last = found
        return found(leaves)

    def learn(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        program: Executable,
        out: tuple[Sequence[ShapedArray], Any],
        donated: Sequence[int],
    ) -> Direct | None:
        """Remember the signature of a call, if its arguments are arrays and numbers."""
        leaves, in_tree = leaves_of(args, kwargs)
        avals = _avals_of(leaves)
        if avals is None:
            return None
        if len(self._all) >= self._limit:
            del self._all[next(iter(self._all))]
        flat = not kwargs and len(args) == len(leaves) and all(map(operator.is_, args, leaves))
        direct = Direct(program, avals, None if flat else in_tree, bool(kwargs), *out, donated)
        self._all[self._key(in_tree, kwargs, avals)] = self._last = direct
        return direct

    def _key(self, in_tree: Any, kwargs: dict[str, Any], avals: tuple[Any, ...]) -> Any:
        return (in_tree, bool(kwargs), avals, config.signature())

    def clear(self) -> None:
        """Forget all of them."""
        self._last = None
        self._all.clear()


def leaves_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
    """The leaves of arguments, and the tree they are in."""
    leaves, in_tree = _flatten((args, kwargs) if kwargs else args, namespace=_namespace)
    return tuple(leaves), in_tree
