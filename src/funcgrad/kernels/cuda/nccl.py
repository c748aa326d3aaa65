"""The only file that knows NCCL, through the bindings of nccl4py.

In: a collective of ranks, and of each rank the addresses and the stream. Out: work in all these
streams. The one idea: one thread speaks for all devices, so every collective is one group of calls,
and a communicator belongs to an ordered tuple of devices. Nothing is imported before the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, util
from typing import Any, NamedTuple

from ...ir.loops import Exchange
from .adapter import toolkit

PACKAGE = "nccl4py"
# NCCL's numbers of dtypes and of operations. What only moves, moves as bytes.
DTYPES = {
    "int8": 0,
    "uint8": 1,
    "bool": 1,
    "int32": 2,
    "uint32": 3,
    "int64": 4,
    "uint64": 5,
    "float16": 6,
    "float32": 7,
    "float64": 8,
    "bfloat16": 9,
}
BYTE = DTYPES["uint8"]
OPERATIONS = {"sum": 0, "max": 2, "min": 3}


class Side(NamedTuple):
    """What one rank brings: addresses of its operand and of its result, and its stream."""

    source: int
    target: int
    stream: int


class Amount(NamedTuple):
    """How much there is: numbers in the operand of one rank, their dtype, and their bytes."""

    numbers: int
    dtype: str
    bytes: int


def remedy() -> str:
    """The line that brings the bindings, of the version of CUDA of what is there."""
    return f"pip install 'funcgrad[nccl{12 if toolkit() == 12 else 13}]'"


def available() -> bool:
    """Whether the bindings are installed."""
    try:
        return util.find_spec("nccl") is not None
    except (ImportError, ValueError):
        return False


class Nccl:
    """NCCL, with a communicator for each tuple of devices that has met.

    Raises:
        RuntimeError: the bindings are not installed.
    """

    def __init__(self) -> None:
        try:
            self._lib: Any = import_module("nccl.bindings.nccl")
        except ImportError as error:
            raise RuntimeError(
                f"Collectives of several GPUs are done by NCCL through {PACKAGE}, which this "
                f"Python does not have. Install it: {remedy()}"
            ) from error
        self._known: dict[tuple[int, ...], Sequence[Any]] = {}

    def communicators(self, devices: tuple[int, ...]) -> Sequence[Any]:
        """One for each of these devices, in order, made once."""
        found = self._known.get(devices)
        if found is None:
            found = self._known[devices] = self._lib.comm_init_all(len(devices), list(devices))
        return found

    def meet(
        self,
        exchange: Exchange,
        groups: Sequence[tuple[tuple[int, ...], Sequence[Side]]],
        amount: Amount,
    ) -> None:
        """Put a collective into the streams of all ranks, at once.

        Args:
            groups: of each group of ranks its devices, and what each rank brings.
        """
        # Communicators cannot be made inside of a group of calls.
        made = [(self.communicators(devices), sides) for devices, sides in groups]
        self._lib.group_start()
        try:
            for comms, sides in made:
                for rank, (comm, side) in enumerate(zip(comms, sides, strict=True)):
                    self._call(exchange, amount, rank, len(sides), comm, side)
        finally:
            self._lib.group_end()

    def _call(
        self, exchange: Exchange, amount: Amount, rank: int, size: int, comm: Any, side: Side
    ) -> None:
        lib, (source, target, stream) = self._lib, side
        if exchange.kind == "reduce":
            kind, op = DTYPES[amount.dtype], OPERATIONS[exchange.op]
            lib.all_reduce(source, target, amount.numbers, kind, op, comm, stream)
        elif exchange.kind == "scatter":
            kind, op = DTYPES[amount.dtype], OPERATIONS[exchange.op]
            lib.reduce_scatter(source, target, amount.numbers // size, kind, op, comm, stream)
        elif exchange.kind == "gather":
            lib.all_gather(source, target, amount.bytes, BYTE, comm, stream)
        elif exchange.kind == "permute":
            for begin, end in exchange.pairs:
                if rank == begin:
                    lib.send(source, amount.bytes, BYTE, end, comm, stream)
                if rank == end:
                    lib.recv(target, amount.bytes, BYTE, begin, comm, stream)
        else:
            part = amount.bytes // size
            for peer in range(size):
                lib.send(source + peer * part, part, BYTE, peer, comm, stream)
                lib.recv(target + peer * part, part, BYTE, peer, comm, stream)
