"""Folds in the LLVM emitter.

A fold across lanes keeps one partial result a lane and joins them behind its loops, halving: the
order is the same for every run and any number of threads.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ...ir.loops import Affine, DType
from ...ir.nests import Acc, Accumulate, Advance, identity_of
from .keys import float_of, held_as, key_of, worst
from .llvm_ops import constant_text, is_float, memory_type, register_type, typed
from .llvm_values import Value, Values
from .writer import Writer


def _by_keys(acc: Acc) -> bool:
    """Whether a fold compares keys of floats."""
    return acc.op in ("max", "min") and is_float(acc.value_dtype)


def _held(acc: Acc) -> DType:
    """The dtype in which the value of a fold is held."""
    return held_as(acc.value_dtype) if _by_keys(acc) else acc.value_dtype


def _place_type(acc: Acc) -> str:
    """How the positions of a fold are kept: as narrow as what they end as, if that is quick."""
    return "i32" if acc.dtype.itemsize == 4 else "i64"


class Folds(Values):
    """Accumulators: started before their loops, carried by them, joined behind them."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self.accs: dict[Acc, list[str]] = {}
        self.acc_lanes: dict[Acc, tuple[int, bool]] = {}
        self.acc_level: dict[Acc, int] = {}
        self.results: dict[Acc, Value] = {}

    def start(self, acc: Acc, lanes: int, across: bool) -> None:
        """Begin a fold; `across` joins its lanes at the end."""
        self.acc_lanes[acc] = (lanes, across)
        self.accs[acc] = self._first(acc, lanes)
        self.acc_level[acc] = len(self.w.open)

    def _first(self, acc: Acc, lanes: int) -> list[str]:
        dtype = acc.value_dtype
        if acc.initial is not None:
            first = self.widen(self.value(acc.initial), dtype, lanes)
            if _by_keys(acc):
                first = key_of(self.ops, acc.op, first, dtype, lanes, len(self.w.open))
            return [first]
        if _by_keys(acc):
            return [worst(acc.op, dtype, lanes)]
        first = constant_text(identity_of(acc.op, dtype), dtype)
        kind = register_type(dtype)
        names = [first if lanes == 1 else f"splat ({kind} {first})"]
        if acc.positional:
            # Where nothing is more extreme than what a fold starts from, the first place wins.
            names.append("0" if lanes == 1 else "zeroinitializer")
        return names

    def _types(self, acc: Acc) -> list[str]:
        lanes = self.acc_lanes[acc][0]
        types = [typed(register_type(_held(acc)), lanes)]
        return [*types, typed(_place_type(acc), lanes)] if acc.positional else types

    def carried(self, accs: Sequence[Acc]) -> list[tuple[str, str]]:
        """Types and present values of what a loop carries."""
        pairs: list[tuple[str, str]] = []
        for acc in accs:
            pairs += zip(self._types(acc), self.accs[acc], strict=True)
        return pairs

    def enter(self, accs: Sequence[Acc], names: Sequence[str]) -> None:
        """Take the names of carried values as the present ones."""
        rest = iter(names)
        for acc in accs:
            self.accs[acc] = [next(rest) for _ in self._types(acc)]
            self.acc_level[acc] = len(self.w.open)

    enter_results = enter

    def leave(self, accs: Sequence[Acc]) -> list[str]:
        """The present values, in the order of `carried`."""
        return [name for acc in accs for name in self.accs[acc]]

    def fresh_copies(self, acc: Acc, count: int) -> list[tuple[str, str]]:
        """Further partial results of a fold, for the turns of an unrolled loop."""
        types = self._types(acc)
        first = self._first(acc, self.acc_lanes[acc][0])
        return [pair for _ in range(count) for pair in zip(types, first, strict=True)]

    def split_copies(
        self, accs: Sequence[Acc], names: Sequence[str], turns: int
    ) -> list[list[str]]:
        """The carried names, by turn."""
        widths = [len(self._types(acc)) for acc in accs]
        own = sum(widths)
        sets = [list(names[:own])]
        rest = list(names[own:])
        groups: list[list[list[str]]] = []
        for width in widths:
            group = [rest[k * width : (k + 1) * width] for k in range(turns - 1)]
            rest = rest[width * (turns - 1) :]
            groups.append(group)
        for u in range(turns - 1):
            sets.append([name for group in groups for name in group[u]])
        return sets

    def join_copies(self, accs: Sequence[Acc], after: list[list[str]]) -> list[str]:
        """The names after each turn in the order in which they are carried."""
        names = list(after[0])
        at = 0
        for acc in accs:
            width = len(self._types(acc))
            for turn in after[1:]:
                names += turn[at : at + width]
            at += width
        return names

    def enter_copies(self, accs: Sequence[Acc], names: Sequence[str], turns: int) -> None:
        """Join the partial results of an unrolled loop."""
        sets = self.split_copies(accs, names, turns)
        self.enter(accs, sets[0])
        at = 0
        for acc in accs:
            width, lanes = len(self._types(acc)), self.acc_lanes[acc][0]
            for other in sets[1:]:
                part = other[at : at + width]
                self.accs[acc] = self._joined(acc, self.accs[acc], part, lanes)
            at += width

    def _joined(self, acc: Acc, x: list[str], y: list[str], lanes: int) -> list[str]:
        level = len(self.w.open)
        if not acc.positional:
            return [self.ops.apply(acc.op, [x[0], y[0]], _held(acc), lanes, level)]
        better = self._better(acc, x, y, lanes, level)
        kind = acc.value_dtype
        value = self.ops.select(better, y[0], x[0], kind, lanes, level, lanes == 1)
        place = self._chosen_place(acc, better, y[1], x[1], lanes, level)
        return [value, place]

    def _chosen_place(self, acc: Acc, better: str, y: str, x: str, lanes: int, level: int) -> str:
        wide, bits = typed(_place_type(acc), lanes), typed("i1", lanes)
        return self.w.value(f"select {bits} {better}, {wide} {y}, {wide} {x}", level)

    def _passed(self, acc: Acc, x: list[str], y: list[str], lanes: int, level: int) -> list[str]:
        """What a fold knows after y, which comes later than x: that wins where both are equal."""
        dtype, bits = acc.value_dtype, typed("i1", lanes)
        args = (dtype, lanes, level)
        if is_float(dtype):
            # Not at most as extreme: more extreme, or NaN.
            less = self.ops.apply("le" if acc.op == "argmax" else "ge", [y[0], x[0]], *args)
            ones = "true" if lanes == 1 else "splat (i1 true)"
            more = self.w.value(f"xor {bits} {less}, {ones}", level)
            number = self.ops.apply("eq", [x[0], x[0]], *args)
            better = self.w.value(f"and {bits} {more}, {number}", level)
        else:
            better = self.ops.apply("gt" if acc.op == "argmax" else "lt", [y[0], x[0]], *args)
        value = self.ops.select(better, y[0], x[0], *args, lanes == 1)
        return [value, self._chosen_place(acc, better, y[1], x[1], lanes, level)]

    def _better(self, acc: Acc, x: list[str], y: list[str], lanes: int, level: int) -> str:
        """Whether y wins over x: it is more extreme, or equal and earlier; NaN is most extreme."""
        dtype = acc.value_dtype
        bits = typed("i1", lanes)
        more = "gt" if acc.op == "argmax" else "lt"

        def op(name: str, *args: str) -> str:
            return self.ops.apply(name, list(args), dtype, lanes, level)

        def logic(name: str, a: str, b: str) -> str:
            return self.w.value(f"{name} {bits} {a}, {b}", level)

        wide = typed(_place_type(acc), lanes)
        earlier = self.w.value(f"icmp slt {wide} {y[1]}, {x[1]}", level)
        better = logic("or", op(more, y[0], x[0]), logic("and", op("eq", y[0], x[0]), earlier))
        if not is_float(dtype):
            return better
        y_nan, x_nan = op("ne", y[0], y[0]), op("ne", x[0], x[0])
        ones = "true" if lanes == 1 else "splat (i1 true)"
        x_real = logic("xor", x_nan, ones)
        first_nan = logic("and", y_nan, logic("or", x_real, earlier))
        return logic("or", logic("and", better, x_real), first_nan)

    def accumulate(self, node: Accumulate) -> None:
        """Fold one more value (one on each lane) in; masked lanes keep theirs."""
        acc = node.acc
        lanes = self.acc_lanes[acc][0]
        value = self.widen(self.value(node.value), acc.value_dtype, lanes)
        old, level = self.accs[acc], len(self.w.open)
        if _by_keys(acc):
            value = key_of(self.ops, acc.op, value, acc.value_dtype, lanes, level)
        if node.position is None:
            joined = self._joined(acc, old, [value], lanes)
        else:
            joined = self._passed(acc, old, [value, self._place(acc, node.position)], lanes, level)
        if self.mask is not None:
            types, bits = self._types(acc), typed("i1", lanes)
            joined = [
                self.w.value(f"select {bits} {self.mask}, {kind} {j}, {kind} {o}", level)
                for j, o, kind in zip(joined, old, types, strict=True)
            ]
        self.accs[acc] = joined

    def _place(self, acc: Acc, position: Affine) -> str:
        """A position on all lanes of a fold, as it is kept."""
        lanes, kind = self.acc_lanes[acc][0], _place_type(acc)
        place = self.index(position, False)
        name = place.name
        if kind != "i64" and not name.lstrip("-").isdigit():
            name = self.w.value(f"trunc i64 {name} to {kind}", place.level)
        step = position.axes.get(self.vector, 0) if self.vector is not None else 0
        if lanes == 1:
            return name
        name = self._splat(Value(name, 1, place.level), kind)
        if not step:
            return name
        steps = ", ".join(f"{kind} {step * k}" for k in range(lanes))
        return self.w.value(f"add {typed(kind, lanes)} {name}, <{steps}>", place.level)

    def advance(self, node: Advance) -> None:
        """Replace what the loop carries."""
        new = [
            self.widen(self.value(e), acc.value_dtype, self.acc_lanes[acc][0])
            for acc, e in node.pairs
        ]
        level = len(self.w.open)
        for (acc, _), name in zip(node.pairs, new, strict=True):
            if self.going is not None:
                pair, dtype = (name, self.accs[acc][0]), acc.value_dtype
                name = self.ops.select(self.going, *pair, dtype, self.lanes, level, False)
            self.accs[acc] = [name]

    @abstractmethod
    def index(self, affine: Affine, as_vector: bool) -> Value:
        """The int64 value of an index; without the lanes' own part unless `as_vector`."""
        ...

    def folded(self, acc: Acc) -> Value:
        """What a fold has come to: its result, or within its loops the value so far."""
        if acc not in self.accs:
            return self.results[acc]
        name, lanes, level = self.accs[acc][0], self.acc_lanes[acc][0], self.acc_level[acc]
        if _by_keys(acc):
            level = len(self.w.open)
            name = float_of(self.ops, acc.op, name, acc.value_dtype, lanes, level)
        return Value(name, lanes, level)

    def finish(self, acc: Acc) -> None:
        """Close a fold: join its lanes, and keep its result as a value."""
        names = self.accs.pop(acc)
        lanes, across = self.acc_lanes.pop(acc)
        level = len(self.w.open)
        types = [register_type(_held(acc)), _place_type(acc)]
        while across and lanes > 1:
            half = lanes // 2
            order = ", ".join(f"i32 {half + k}" for k in range(half))
            first = ", ".join(f"i32 {k}" for k in range(half))
            highs, lows = (
                [
                    self._shuffle(n, kind, lanes, half, picked)
                    for n, kind in zip(names, types, strict=False)
                ]
                for picked in (order, first)
            )
            names = self._joined(acc, lows, highs, half)
            lanes = half
            if lanes == 1:
                break
        result = names[-1]
        if _by_keys(acc):
            result = float_of(self.ops, acc.op, result, acc.value_dtype, lanes, level)
        if acc.positional:
            held = np.dtype(np.int32 if _place_type(acc) == "i32" else np.int64)
            result = self.ops.cast(result, held, acc.dtype, lanes, level)
        self.results[acc] = Value(result, lanes, level)

    def _shuffle(self, name: str, kind: str, lanes: int, half: int, picked: str) -> str:
        vector = f"<{lanes} x {kind}>"
        if half == 1:
            return self.w.value(f"extractelement {vector} {name}, {picked}")
        return self.w.value(
            f"shufflevector {vector} {name}, {vector} poison, <{half} x i32> <{picked}>"
        )


__all__ = ["Folds", "Value", "memory_type"]
