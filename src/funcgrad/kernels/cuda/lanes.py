"""The memory of an emulated GPU: bounds, what was never written, and races are found.

In: elements touched by lanes. Out: values, or `EmulationError`. The one idea: of every element is
kept who wrote it last and who read it since, and when by the count of barriers; two lanes may
touch an element, one of them changing it, only if a barrier both passed lies between.
"""

from __future__ import annotations

from typing import Any

import numpy as np

NDArray = np.ndarray[Any, Any]
WARP = 32
_NOBODY = -1
_SEVERAL = -2


class EmulationError(AssertionError):
    """A kernel does what a GPU leaves undefined: a race, a place outside, a lone barrier."""


class Team:
    """The lanes of a launch, and how many barriers each block and each warp has passed."""

    def __init__(self, blocks: int, threads: int, shared: int = 0) -> None:
        self.blocks = blocks
        self.threads = threads
        # What each block asks for: its bytes, whose kind each is, and arrays of it by kind.
        self._bytes = np.zeros(blocks * shared, np.uint8)
        self._kinds = np.zeros(blocks * shared, np.uint8)
        self._asked: dict[Any, Memory] = {}
        self.lanes = blocks * threads
        self.lane = np.arange(self.lanes)
        self.block = self.lane // threads
        # A warp never reaches into the next block.
        self.per_block = -(-threads // WARP)
        self.warp = self.block * self.per_block + (self.lane % threads) // WARP
        self.block_barriers = np.zeros(blocks, np.int64)
        self.warp_barriers = np.zeros(blocks * self.per_block, np.int64)

    def asked_for(self, kind: Any) -> Memory:
        """The shared memory that a launch asks for: all arrays of it begin at the same place."""
        found = self._asked.get(kind)
        if found is None:
            array, size = self._bytes.view(kind), np.dtype(kind).itemsize
            found = self._asked[kind] = Memory(self, array, "shared memory asked for", True)
            found.kinds = self._kinds.reshape(-1, size), len(self._asked)
        return found

    def wait(self, mask: NDArray, by_warp: bool) -> None:
        """A barrier: whoever comes, the whole team must come."""
        group = self.warp if by_warp else self.block
        size = np.bincount(group, minlength=group[-1] + 1)
        came = np.bincount(group[mask], minlength=group[-1] + 1)
        if np.any((came != 0) & (came != size)):
            raise EmulationError("some lanes of a team wait at a barrier that others do not reach")
        if not by_warp:
            self.block_barriers[came != 0] += 1
        met = np.unique(self.warp[mask])
        self.warp_barriers[met] += 1


class Record:
    """Who touched each element last, by one kind of access."""

    def __init__(self, size: int) -> None:
        self.lane = np.full(size, _NOBODY)
        self.warp = np.full(size, _NOBODY)
        self.block = np.full(size, _NOBODY)
        self.warp_time = np.zeros(size, np.int64)
        self.block_time = np.zeros(size, np.int64)

    def meets(self, team: Team, at: NDArray, lanes: NDArray) -> NDArray:
        """Of each element whether another lane touched it with no barrier since."""
        block, warp = team.block[lanes], team.warp[lanes]
        by_block = (self.block[at] == block) & (team.block_barriers[block] > self.block_time[at])
        by_warp = (self.warp[at] == warp) & (team.warp_barriers[warp] > self.warp_time[at])
        other = (self.lane[at] != _NOBODY) & (self.lane[at] != lanes)
        return other & ~(by_block | by_warp)

    def note(self, team: Team, at: NDArray, lanes: NDArray, since: NDArray) -> None:
        """Lanes touch elements; `since`: of each, whether earlier ones still count."""
        for kind, mine in (
            ("lane", lanes),
            ("warp", team.warp[lanes]),
            ("block", team.block[lanes]),
        ):
            kept = getattr(self, kind)
            before = np.where(since & (kept[at] != _NOBODY) & (kept[at] != mine), _SEVERAL, mine)
            order = np.argsort(at, kind="stable")
            places, first = np.unique(at[order], return_index=True)
            low = np.minimum.reduceat(before[order], first)
            high = np.maximum.reduceat(before[order], first)
            kept[places] = np.where(low == high, low, _SEVERAL)
        self.block_time[at] = team.block_barriers[team.block[lanes]]
        self.warp_time[at] = team.warp_barriers[team.warp[lanes]]


class Memory:
    """An array that lanes touch: of the whole GPU, or of one block if `shared`."""

    def __init__(self, team: Team, array: NDArray, name: str, shared: bool = False) -> None:
        self.team = team
        self.array = array
        self.name = name
        self.shared = shared
        self.size = array.size // team.blocks if shared else array.size
        self.writes = Record(array.size)
        self.reads = Record(array.size)
        self.changes = Record(array.size)
        self.flying = np.zeros(array.size if shared else 0, bool)  # copies not waited for
        # Of memory that has arrays of several kinds: of which kind each byte is, and the own one.
        self.kinds: tuple[NDArray, int] | None = None

    def _places(self, index: Any, lanes: NDArray) -> NDArray:
        index = np.broadcast_to(np.asarray(index), self.team.lane.shape)[lanes]
        outside = (index < 0) | (index >= self.size)
        if outside.any():
            which = int(index[outside][0])
            raise EmulationError(f"{self.name}[{which}] is outside of its {self.size} elements")
        at = index + self.team.block[lanes] * self.size if self.shared else index
        if self.kinds is not None:
            known, own = self.kinds
            if np.any((known[at] != 0) & (known[at] != own)):
                raise EmulationError(f"{self.name} is touched where it holds another type")
            known[at] = own
        return at

    def _changing(self, at: NDArray, lanes: NDArray) -> bool:
        """Whether another lane changes one of the elements, in whatever way."""
        return any(bool(r.meets(self.team, at, lanes).any()) for r in (self.writes, self.changes))

    def load(self, index: Any, mask: NDArray) -> NDArray:
        """The elements at an index of each lane; 0 for lanes at rest."""
        lanes = np.flatnonzero(mask)
        at = self._places(index, lanes)
        if self.shared and np.any(self.writes.lane[at] == _NOBODY):
            raise EmulationError(f"{self.name} is read where nobody wrote")
        if self.shared and self.flying[at].any():
            raise EmulationError(f"{self.name} is read where a copy has not been waited for")
        if self._changing(at, lanes):
            raise EmulationError(f"{self.name} is read by a lane while another one writes it")
        self.reads.note(self.team, at, lanes, self.reads.meets(self.team, at, lanes))
        found = np.zeros(mask.shape, self.array.dtype)
        found[lanes] = self.array[at]
        return found

    def store(self, index: Any, value: Any, mask: NDArray) -> None:
        """Write the value of each lane."""
        lanes = np.flatnonzero(mask)
        at = self._places(index, lanes)
        if np.unique(at).size != at.size or self._changing(at, lanes):
            raise EmulationError(f"{self.name}: two lanes write one element")
        if self.reads.meets(self.team, at, lanes).any():
            raise EmulationError(f"{self.name} is written by a lane while another one reads it")
        self.writes.note(self.team, at, lanes, np.zeros(at.shape, bool))
        value = np.asarray(value)
        if value.dtype != self.array.dtype and value.ndim:
            raise EmulationError(f"{self.name} holds {self.array.dtype}, given {value.dtype}")
        self.array[at] = np.broadcast_to(value, mask.shape)[lanes]

    def combine(self, op: Any, index: Any, value: Any, mask: NDArray) -> None:
        """Work the value of each lane into an element by an atomic operation."""
        lanes = np.flatnonzero(mask)
        at = self._places(index, lanes)
        if self.writes.meets(self.team, at, lanes).any():
            raise EmulationError(f"{self.name} is changed atomically while a lane writes it")
        # Whoever reads it meanwhile is found out; who changes it likewise is not.
        if self.reads.meets(self.team, at, lanes).any():
            raise EmulationError(f"{self.name} is changed by a lane while another one reads it")
        op.at(self.array, at, np.broadcast_to(np.asarray(value), mask.shape)[lanes])
        self.changes.note(self.team, at, lanes, self.changes.meets(self.team, at, lanes))

    def _told(self, index: Any, mask: NDArray) -> tuple[NDArray, NDArray]:
        """Lanes, and the words that they look at or tell; no lane touches those in other ways."""
        lanes = np.flatnonzero(mask)
        at = self._places(index, lanes)
        if any(r.meets(self.team, at, lanes).any() for r in (self.writes, self.reads)):
            raise EmulationError(f"{self.name} is told by a lane while another one touches it")
        return lanes, at

    def number(self, index: Any, mask: NDArray) -> NDArray:
        """A number for each lane, which nobody else gets."""
        found = np.zeros(mask.shape, np.int64)
        lanes, at = self._told(index, mask)
        for lane, place in zip(lanes, at, strict=True):
            found[lane] = self.array[place]
            self.array[place] += self.array.dtype.type(1)
        self.changes.note(self.team, at, lanes, np.zeros(at.shape, bool))
        return found

    def look(self, index: Any, mask: NDArray) -> NDArray:
        """Words that others may tell."""
        found = np.zeros(mask.shape, self.array.dtype)
        lanes, at = self._told(index, mask)
        found[lanes] = self.array[at]
        return found

    def tell(self, index: Any, word: Any, mask: NDArray) -> None:
        """Leave the word of each lane, where none was."""
        lanes, at = self._told(index, mask)
        if np.unique(at).size != at.size or self.array[at].any():
            raise EmulationError(f"{self.name}: a word is told twice, or was not cleared")
        self.array[at] = np.broadcast_to(word, mask.shape)[lanes]
        self.changes.note(self.team, at, lanes, np.zeros(at.shape, bool))


class Local:
    """A small array that each lane has for itself."""

    def __init__(self, team: Team, size: int, dtype: Any) -> None:
        self.array = np.zeros((team.lanes, size), dtype)

    def load(self, index: Any, mask: NDArray) -> NDArray:
        """The element of each lane."""
        return self.array[np.arange(len(self.array)), np.where(mask, index, 0)]

    def store(self, index: Any, value: Any, mask: NDArray) -> None:
        """Write the element of each lane."""
        lanes = np.flatnonzero(mask)
        at = np.broadcast_to(index, mask.shape)[lanes]
        self.array[lanes, at] = np.broadcast_to(value, mask.shape)[lanes]
