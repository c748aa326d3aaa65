"""Calls of jitted functions whose arguments are arrays of a signature met before.

In: the arguments of a call. Out: its result, or word that the longer way must be taken. The one
idea: equal avals are one object, so whether a call fits is a comparison of addresses, which machine
code does while it collects the memory of the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optree

from .. import tree
from ..config import config, updates
from ..core.array import Array
from ..core.context import context
from ..core.trace import eval_trace
from ..ir import dtypes
from ..ir.avals import ShapedArray
from .leaves import OtherStructure, reader

if TYPE_CHECKING:
    from ..kernels.runtime.launch import Executable

not_known = object()
_leaf = tree.structure(0)
_namespace = tree.namespace
_flatten: Any = optree.tree_flatten


class Direct:
    """What a call on arrays alone needs, once its signature is known.

    Args:
        in_tree: of the arguments; None if each of them is an array.
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
        self.read = None if in_tree is None else reader(in_tree)
        self._pairs = matched(program.reusable, avals, self.out_avals, set(donated))

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
        if self.read is None:
            found, in_tree = leaves_of(args, kwargs)
            return found if in_tree == self.in_tree else None
        try:
            return self.read((args, kwargs) if kwargs else args)
        except (OtherStructure, LookupError):
            return None

    def __call__(self, leaves: tuple[Any, ...]) -> Any:
        """The result, or `not_known`."""
        if self.in_line:
            if len(leaves) != len(self.avals):
                return not_known
            outs = self.program.on_arrays(leaves, self.out_avals)
            if outs is None:
                return not_known
        else:
            arrays = self._memory_of(leaves)
            if arrays is None:
                return not_known
            outs = list(map(Array.of, self._run(leaves, arrays), self.out_avals))
        return outs[0] if self.out_tree is None else self.out_tree.unflatten(outs)

    def _memory_of(self, leaves: tuple[Any, ...]) -> list[Any] | None:
        """The memory of the arguments; None if they are not what the program takes."""
        if len(leaves) != len(self.avals):
            return None
        arrays: list[Any] = []
        for x, aval in zip(leaves, self.avals, strict=True):
            if type(x) is not Array or x.aval is not aval:
                return None
            value = x._value  # pyright: ignore[reportPrivateUsage]
            if value is None:
                return None
            arrays.append(value)
        return arrays

    def _run(self, leaves: tuple[Any, ...], arrays: list[Any]) -> list[Any]:
        if not self.donated:
            return self.program(arrays)
        from ..kernels.runtime.outputs import is_sole

        pairs = [(k, i) for k, i in self._pairs if is_sole(arrays, i)]
        try:
            return self.program(arrays, pairs)
        finally:
            for i in self.donated:
                leaves[i].delete()


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
        if last.flat_in_line and not kwargs and len(args) == last.count:
            # The commonest call, with as few steps as there can be.
            stamp = config.stamp
            if stamp is last.stamp and stamp[0] == updates[0]:
                outs = last.program.on_arrays(args, last.out_avals)
                if outs is not None:
                    return outs[0] if last.out_tree is None else last.out_tree.unflatten(outs)
        leaves = last.leaves(args, kwargs)
        if leaves is not None and last.in_force():
            result = last(leaves)
            if result is not not_known:
                return result
        return self._search(args, kwargs)

    def _search(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves, in_tree = leaves_of(args, kwargs)
        try:
            key = self._key(in_tree, kwargs, tuple([x.aval for x in leaves]))
        except AttributeError:
            return not_known
        found = self._all.get(key)
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
    ) -> None:
        """Remember the signature of a call, if it is one of arrays alone."""
        leaves, in_tree = leaves_of(args, kwargs)
        if not all(type(x) is Array for x in leaves):
            return
        if len(self._all) >= self._limit:
            del self._all[next(iter(self._all))]
        avals = tuple([x.aval for x in leaves])
        flat = not kwargs and all(type(x) is Array for x in args)
        direct = Direct(program, avals, None if flat else in_tree, bool(kwargs), *out, donated)
        self._all[self._key(in_tree, kwargs, avals)] = self._last = direct

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
