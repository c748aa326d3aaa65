"""NCCL without GPUs: checks what every rank calls, and computes by NumPy in the fake's queue."""

import sys
from types import ModuleType

import ml_dtypes
import numpy as np

KINDS = dict(
    enumerate("int8 uint8 int32 uint32 int64 uint64 float16 float32 float64 bfloat16".split())
)
OPERATIONS = {0: np.add, 2: np.maximum, 3: np.minimum}


def kind_of(number):
    name = KINDS[number]
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


class FakeNccl:
    """Attributes: `log`: of each group of calls, what was called on which devices."""

    def __init__(self, driver):
        self.driver = driver
        self.log = []
        self.made = []
        self.calls = None

    def install(self, monkeypatch):
        for name in ("nccl", "nccl.bindings"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "nccl.bindings.nccl", self)
        return self

    def comm_init_all(self, count, devices):
        assert self.calls is None, "a communicator is made inside of a group of calls"
        assert self.driver.recording is None, "a communicator is made while a stream records"
        assert count == len(devices) == len(set(devices)) <= len(self.driver.devices())
        self.made.append(tuple(devices))
        return [(len(self.made) - 1, rank) for rank in range(count)]

    def group_start(self):
        assert self.calls is None
        self.calls = []

    def _note(self, name, comm, stream, *what):
        assert self.calls is not None, "a call outside of a group"
        assert stream == 100
        self.calls.append((name, comm, what))

    def all_reduce(self, source, target, count, kind, op, comm, stream):
        self._note("all_reduce", comm, stream, source, target, count, kind, op)

    def reduce_scatter(self, source, target, count, kind, op, comm, stream):
        self._note("reduce_scatter", comm, stream, source, target, count, kind, op)

    def all_gather(self, source, target, count, kind, comm, stream):
        self._note("all_gather", comm, stream, source, target, count, kind)

    def send(self, source, count, kind, peer, comm, stream):
        self._note("send", comm, stream, source, count, kind, peer)

    def recv(self, target, count, kind, peer, comm, stream):
        self._note("recv", comm, stream, target, count, kind, peer)

    def group_end(self):
        calls, self.calls = self.calls, None
        met = {self.made[c][rank] for _, (c, rank), _ in calls}
        if self.driver.recording is not None:
            assert met <= self.driver.recorders, "a rank of a collective does not record"
        names = {name for name, _, _ in calls}
        self.log.append((sorted(names), sorted({self.made[c] for _, (c, _), _ in calls})))
        for number in sorted({c for _, (c, _), _ in calls}):
            mine = [(n, rank, what) for n, (c, rank), what in calls if c == number]
            if names <= {"send", "recv"}:
                self.put(lambda mine=mine, number=number: self.move(number, mine))
            else:
                (name,) = names
                ranks = [rank for _, rank, _ in mine]
                assert ranks == list(range(len(self.made[number]))), "a rank does not call"
                assert len({what[2:] for _, _, what in mine}) == 1, "ranks call different things"
                self.put(lambda mine=mine, name=name, n=number: self.fold(n, name, mine))

    def put(self, work):
        self.driver.put(work)

    def at(self, number, rank, address, size):
        """Memory that a rank names; it must be its device's."""
        assert self.driver.device_of(address) == self.made[number][rank]
        return self.driver.at(address, size)

    def fold(self, number, name, mine):
        _, _, (_, _, count, kind, *op) = mine[0]
        size, dtype = len(mine), kind_of(kind)
        given = count * (size if name == "reduce_scatter" else 1) * dtype.itemsize
        values = [self.at(number, r, w[0], given).view(dtype).copy() for _, r, w in mine]
        if name == "all_gather":
            results = [np.concatenate(values)] * size
        else:
            total = values[0]
            for value in values[1:]:
                total = OPERATIONS[op[0]](total, value)
            whole = name == "all_reduce"
            results = [total] * size if whole else np.split(total, size)
        for (_, rank, what), result in zip(mine, results, strict=True):
            self.at(number, rank, what[1], result.nbytes)[:] = result.view(np.uint8)

    def move(self, number, mine):
        sent = [(rank, w[3], w[1], w[0]) for n, rank, w in mine if n == "send"]
        received = [(w[3], rank, w[1], w[0]) for n, rank, w in mine if n == "recv"]
        assert sorted(x[:3] for x in sent) == sorted(x[:3] for x in received)
        assert {w[2] for _, _, w in mine} == {1}
        values = {(a, b): self.at(number, a, p, n).copy() for a, b, n, p in sent}
        for a, b, n, address in received:
            self.at(number, b, address, n)[:] = values[a, b]
