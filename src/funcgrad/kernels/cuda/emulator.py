"""Generated kernels run by NumPy: the lanes of all blocks are one axis, and go in lock step.

In: the text of a module of kernels, arrays, the size of the grid. Out: the arrays are changed as a
GPU would. The one idea: a statement is done for all lanes at once, under a mask of those that are
there; loops go on while any lane is left. What a GPU leaves undefined is an `EmulationError`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .emulated_matrices import Copies, fetched, multiplied, multiplied_rounded, packed, rounded
from .emulated_turns import Turns
from .lanes import WARP, EmulationError, Local, Memory, NDArray, Team

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: operator.mod,
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
    ast.LShift: np.left_shift,
    ast.RShift: np.right_shift,
}
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: np.logical_not,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ATOMIC = {"add": np.add, "min": np.minimum, "max": np.maximum}
_where: Callable[..., Any] = np.where
_TYPES = "bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 float16".split()


def _as(kind: Any, x: Any) -> Any:
    return np.asarray(x).astype(kind)[()]


def _bits(kind: Any, x: Any) -> Any:
    return np.asarray(x).view(kind)[()]


def _fma(x: Any, y: Any, z: Any) -> Any:
    wide = np.float64 if np.asarray(x).dtype == np.float32 else np.longdouble
    exact = np.asarray(x).astype(wide) * np.asarray(y).astype(wide) + np.asarray(z).astype(wide)
    return exact.astype(np.asarray(x).dtype)[()]


def _extreme(largest: bool, x: Any, y: Any) -> Any:
    x, y = map(_array, (x, y))
    first = x > y if largest else x < y
    negative = np.signbit(y) if largest else np.signbit(x)
    found = _where((first & (x != y)) | ((x == y) & negative), x, y)
    return _where((x != x) | (y != y), x + y, found)


def _array(x: Any) -> Any:
    return np.asarray(x)


def _from_half(bits: Any) -> Any:
    return _as(np.float32, _bits(np.float16, bits))


def _to_half(x: Any) -> Any:
    return _bits(np.uint16, _as(np.float16, x))


GIVEN: dict[str, Callable[..., Any]] = {
    **{name: partial(_as, getattr(np, name)) for name in _TYPES},
    "as_float32": partial(_bits, np.float32),
    "as_float64": partial(_bits, np.float64),
    "as_uint32": partial(_bits, np.uint32),
    "as_uint64": partial(_bits, np.uint64),
    "from_float16": _from_half,
    "to_float16": _to_half,
    "maximum_float32": partial(_extreme, True),
    "minimum_float32": partial(_extreme, False),
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "bool": partial(_as, np.bool_),
    "math.sqrt": np.sqrt,
    "libdevice.expf": np.exp,
    "exp2_quick": np.exp2,
    "log2_quick": np.log2,
    "again": _array,
    "to_tf32": rounded,
    "pack_float16": partial(packed, np.float16),
    "pack_bfloat16": partial(packed, None),
    "cuda.fma": _fma,
}
for _name, _function in (
    ("floor", np.floor),
    ("ceil", np.ceil),
    ("rint", np.rint),
    ("trunc", np.trunc),
    ("copysign", np.copysign),
    ("fmod", np.fmod),
):
    GIVEN[f"libdevice.{_name}"] = GIVEN[f"libdevice.{_name}f"] = _function


class Emulator:
    """A module of kernels.

    Args:
        text: what `CudaProgram` writes.
        aligned: what `aligned` says of every array: both answers must give the same.
        seed: of the order in which blocks begin and go on, where they wait for each other.
    """

    def __init__(self, text: str, aligned: bool = True, seed: int = 0) -> None:
        self.functions = {
            node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)
        }
        self.aligned = aligned
        self.seed = seed

    def launch(
        self, name: str, blocks: int, threads: int, arrays: Sequence[NDArray], shared: int = 0
    ) -> None:
        """Run a kernel on flat arrays; `shared`: bytes that each block asks for."""
        if not blocks:
            return
        team, node = Team(blocks, threads, shared), self.functions[name]
        # An array that is given twice is one memory: what is done to it in place is checked too.
        known: dict[int, Memory] = {}
        memories = [
            known.setdefault(id(a), Memory(team, a, arg.arg))
            for a, arg in zip(arrays, node.args.args, strict=True)
        ]
        if any(isinstance(x, ast.Name) and x.id == "next_number" for x in ast.walk(node)):
            turns = Turns(self.seed)
            turns.all(blocks, lambda b: self._run(node, memories, team, team.block == b, turns))
        else:
            self._run(node, memories, team, np.ones(team.lanes, bool))

    def _run(
        self,
        node: ast.FunctionDef,
        memories: Sequence[Memory],
        team: Team,
        mask: NDArray,
        turns: Turns | None = None,
    ) -> None:
        run = _Run(self, team, mask, turns)
        with np.errstate(all="ignore"):
            run.call(node, memories)
        run.copies.check_done()


class _Run:
    """One launch: lanes, and which of them are there."""

    def __init__(
        self, module: Emulator, team: Team, mask: NDArray, turns: Turns | None = None
    ) -> None:
        self.module = module
        self.team = team
        self.turns = turns
        self.copies = Copies()
        self.mask = mask
        self.waiting = np.zeros(team.lanes, bool)  # those that have left the loop around
        self.names: dict[str, Any] = {}
        self.returned: Any = None
        thread = team.lane % team.threads
        self.places = {
            "cuda.threadIdx.x": thread,
            "cuda.blockIdx.x": team.block,
            "cuda.blockDim.x": team.threads,
            "np.inf": np.inf,
            "np.nan": np.nan,
        }

    def call(self, node: ast.FunctionDef, args: Sequence[Any]) -> Any:
        """A function for the lanes that are there; its own returns do not end its caller's."""
        kept = self.names, self.mask, self.returned
        self.names = dict(zip((a.arg for a in node.args.args), args, strict=True))
        self.returned = None
        self.block(node.body)
        result = self.returned
        self.names, self.mask, self.returned = kept
        return result

    def merge(self, old: Any, new: Any) -> Any:
        """The new value where lanes are there, the old one elsewhere."""
        if old is None or self.mask.all():
            return new
        if new.__class__ is tuple:
            return tuple(map(self.merge, old, new))
        if isinstance(new, Memory | Local):
            return new
        # Lanes at rest may hold what the name was in another body.
        before, after = np.asarray(old).dtype, np.asarray(new).dtype
        kind = before if before == np.int64 and after.kind in "iu" else after
        return _where(self.mask, _as(kind, new), _as(kind, old))

    # Statements.

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order, while any lane is there."""
        for node in body:
            if not self.mask.any():
                return
            getattr(self, f"_{type(node).__name__.lower()}")(node)

    def _expr(self, node: ast.Expr) -> None:
        self.value(node.value)

    def _pass(self, node: ast.Pass) -> None:
        pass

    def _return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.returned = self.merge(self.returned, self.value(node.value))
        self.mask = np.zeros_like(self.mask)

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self.set(target, self.value(node.value))

    def set(self, target: ast.expr, value: Any) -> None:
        """Give a name or an element its value."""
        if isinstance(target, ast.Tuple):
            for part, item in zip(target.elts, value, strict=True):
                self.set(part, item)
        elif isinstance(target, ast.Subscript):
            self.value(target.value).store(self.value(target.slice), value, self.mask)
        else:
            assert isinstance(target, ast.Name)
            self.names[target.id] = self.merge(self.names.get(target.id), value)

    def _augassign(self, node: ast.AugAssign) -> None:
        assert isinstance(node.target, ast.Name)
        old = self.names[node.target.id]
        new = _BINARY[type(node.op)](old, self.value(node.value))
        self.names[node.target.id] = self.merge(old, new)

    def _under(self, condition: Any, body: Sequence[ast.stmt]) -> None:
        """Statements for the lanes of which a condition holds; those that return are gone."""
        others = self.mask & ~condition
        self.mask = self.mask & condition
        self.block(body)
        self.mask = self.mask | others

    def _if(self, node: ast.If) -> None:
        condition = np.broadcast_to(self.value(node.test), self.mask.shape)
        chosen = self.mask & condition
        rest = self.mask & ~condition
        self._under(chosen, node.body)
        self._under(rest, node.orelse)

    def _while(self, node: ast.While) -> None:
        around, self.waiting = self.waiting, np.zeros_like(self.mask)
        while self.mask.any():
            condition = np.broadcast_to(self.value(node.test), self.mask.shape)
            self.waiting |= self.mask & ~condition
            self.mask = self.mask & condition
            self.block(node.body)
        self.mask, self.waiting = self.waiting, around

    def _break(self, node: ast.Break) -> None:
        self.waiting |= self.mask
        self.mask = np.zeros_like(self.mask)

    def _for(self, node: ast.For) -> None:
        assert isinstance(node.iter, ast.Call)
        bounds = [self.value(a) for a in node.iter.args]
        start, stop = (0, *bounds) if len(bounds) == 1 else bounds
        around, self.waiting = self.waiting, np.zeros_like(self.mask)
        at = np.broadcast_to(np.asarray(start), self.mask.shape).copy()
        while self.mask.any():
            condition = at < stop
            self.waiting |= self.mask & ~condition
            self.mask = self.mask & condition
            if self.mask.any():
                self.set(node.target, at.copy())
                self.block(node.body)
            at = at + 1
        self.mask, self.waiting = self.waiting, around

    # Expressions.

    def value(self, node: ast.expr) -> Any:
        """The value of an expression for every lane."""
        return getattr(self, f"_{type(node).__name__.lower()}")(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        return self.names[node.id]

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(map(self.value, node.elts))

    def _attribute(self, node: ast.Attribute) -> Any:
        return self.places[ast.unparse(node)]

    def _binop(self, node: ast.BinOp) -> Any:
        return _BINARY[type(node.op)](self.value(node.left), self.value(node.right))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self.value(node.operand))

    def _compare(self, node: ast.Compare) -> Any:
        (op,), (right,) = node.ops, node.comparators
        return _COMPARE[type(op)](self.value(node.left), self.value(right))

    def _boolop(self, node: ast.BoolOp) -> Any:
        either = isinstance(node.op, ast.Or)
        kept = self.mask
        result = np.broadcast_to(np.asarray(self.value(node.values[0]), bool), kept.shape)
        for part in node.values[1:]:
            self.mask = kept & (~result if either else result)
            if self.mask.any():
                value = np.asarray(self.value(part), bool)
                result = result | (self.mask & value) if either else result & (~self.mask | value)
        self.mask = kept
        return result

    def _ifexp(self, node: ast.IfExp) -> Any:
        condition = np.broadcast_to(np.asarray(self.value(node.test), bool), self.mask.shape)
        kept = self.mask
        parts: list[Any] = []
        for chosen, part in ((condition, node.body), (~condition, node.orelse)):
            self.mask = kept & chosen
            parts.append(self.value(part) if self.mask.any() else None)
        self.mask = kept
        a, b = parts
        if a is None or b is None:
            return b if a is None else a
        return _where(condition, a, b)

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.value(node.value).load(self.value(node.slice), self.mask)

    def _call(self, node: ast.Call) -> Any:
        name = ast.unparse(node.func)
        if name.startswith(("load_", "store_")):
            return self._move(name, node)
        if name.startswith("atomic_"):
            memory, place, value = map(self.value, node.args)
            return memory.combine(_ATOMIC[name.split("_")[1]], place, value, self.mask)
        own = getattr(self, "do_" + name.replace(".", "_"), None)
        if name.endswith(".array"):
            return self._array(name, node)
        args = [self.value(a) for a in node.args]
        if own is not None:
            return own(*args)
        if name in self.module.functions:
            return self.call(self.module.functions[name], args)
        return GIVEN[name](*args)

    # What only a GPU has.

    def _array(self, name: str, node: ast.Call) -> Memory | Local:
        size, kind = self.value(node.args[0]), getattr(np, ast.unparse(node.args[1]))
        if name == "cuda.local.array":
            return Local(self.team, size, kind)
        if not size:
            return self.team.asked_for(kind)
        return Memory(self.team, np.zeros(self.team.blocks * size, kind), "shared memory", True)

    def do_cuda_grid(self, dimensions: int) -> NDArray:
        """The number of each lane."""
        return self.team.lane

    def do_cuda_gridsize(self, dimensions: int) -> int:
        """How many lanes there are."""
        return self.team.lanes

    def do_cuda_syncthreads(self) -> None:
        """All lanes of a block wait."""
        self.team.wait(self.mask, by_warp=False)

    def do_cuda_syncwarp(self) -> None:
        """All lanes of a warp wait."""
        self.team.wait(self.mask, by_warp=True)

    def _shuffled(self, value: Any, source: NDArray) -> Any:
        whole = np.bincount(self.team.warp[self.mask], minlength=self.team.warp[-1] + 1)
        size = np.bincount(self.team.warp)
        if np.any((whole != 0) & (whole != size)) or self.team.threads % WARP:
            raise EmulationError("a shuffle is met by some lanes of a warp only")
        return np.broadcast_to(value, self.mask.shape)[source]

    def do_cuda_shfl_xor_sync(self, lanes: int, value: Any, other: int) -> Any:
        """The value of the lane whose number differs in some bits."""
        return self._shuffled(value, self.team.lane ^ other)

    def do_cuda_shfl_up_sync(self, lanes: int, value: Any, by: int) -> Any:
        """The value of the lane so many before; its own for the first ones of a warp."""
        source = self.team.lane - by
        return self._shuffled(value, _where(self.team.lane % WARP < by, self.team.lane, source))

    def do_cuda_shfl_sync(self, lanes: int, value: Any, which: int) -> Any:
        """The value of one lane of a warp."""
        return self._shuffled(value, self.team.lane - self.team.lane % WARP + which)

    def do_next_number(self, memory: Memory, place: Any) -> NDArray:
        """How many blocks have asked before."""
        found = memory.number(place, self.mask)
        self._others(moved=True)
        return found

    def do_word_at(self, memory: Memory, place: Any) -> NDArray:
        """A word that another block may tell."""
        found = memory.look(place, self.mask)
        self._others(moved=bool(found[self.mask].all()))
        return found

    def do_put_word(self, memory: Memory, place: Any, word: Any) -> None:
        """Tell other blocks a word."""
        memory.tell(place, word, self.mask)
        self._others(moved=True)

    def _others(self, moved: bool) -> None:
        assert self.turns is not None, "a kernel whose blocks wait for each other takes numbers"
        self.turns.give(moved)

    def do_mma_float16(self, *registers: Any) -> tuple[NDArray, ...]:
        """A product by tensor cores: of each warp, from the registers of its lanes."""
        self._shuffled(0, self.team.lane)
        return multiplied(np.float16, self.team.lanes, registers)

    def do_mma_bfloat16(self, *registers: Any) -> tuple[NDArray, ...]:
        """Likewise."""
        self._shuffled(0, self.team.lane)
        return multiplied(None, self.team.lanes, registers)

    def do_mma_tf32(self, *registers: Any) -> tuple[NDArray, ...]:
        """Likewise, of float32 that was rounded."""
        self._shuffled(0, self.team.lane)
        return multiplied_rounded(self.team.lanes, registers)

    def do_fetch_matrices(self, tiles: Memory, place: Any) -> tuple[NDArray, ...]:
        """Four matrices of 8 × 8 from shared memory, whose rows the lanes of a warp name."""
        self._shuffled(0, self.team.lane)
        return fetched(self.team, tiles, place, self.mask, turned=False)

    def do_fetch_turned(self, tiles: Memory, place: Any) -> tuple[NDArray, ...]:
        """Likewise, rows for columns."""
        self._shuffled(0, self.team.lane)
        return fetched(self.team, tiles, place, self.mask, turned=True)

    def do_copy_16(self, tiles: Memory, place: Any, source: Memory, at: Any, there: Any) -> None:
        """16 bytes, or zeros, on their way to shared memory."""
        if not self.module.aligned:
            raise EmulationError("16 bytes are copied at once where memory is not aligned")
        self.copies.begin(tiles, place, source, at, self.mask, there)

    def do_wait_copies(self) -> None:
        """What lanes have begun to copy is there."""
        self.copies.end(self.mask)

    def do_aligned(self, memory: Memory) -> bool:
        """Whether an array begins where many elements can be moved at once."""
        return self.module.aligned

    def _move(self, name: str, node: ast.Call) -> None:
        """Move neighbours between memory and a lane's own array."""
        memory, place, room = map(self.value, node.args)
        count = int(name.partition("_")[2])
        self._check_wide(place, room)
        for k in range(count):
            if name.startswith("load"):
                room.store(k, memory.load(place + k, self.mask), self.mask)
            else:
                memory.store(place + k, room.load(k, self.mask), self.mask)

    def _check_wide(self, place: Any, room: Local) -> None:
        if not self.module.aligned:
            raise EmulationError("neighbours are moved at once where memory is not aligned")
        off = (place * room.array.itemsize) % min(16, room.array.itemsize * room.array.shape[1])
        if np.any(np.broadcast_to(off, self.mask.shape)[self.mask]):
            raise EmulationError("neighbours are moved at once from between two boundaries")
