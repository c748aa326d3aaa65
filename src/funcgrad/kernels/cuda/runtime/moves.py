"""Arrays and their parts moved between devices, past the host.

In: the parts of an array, where they are, and which parts are wanted where. Out: memory of the
devices that want them. The one idea: what a part has and a part wants is a block of an array, and
a block is rows in planes, which one copy between devices takes; the device that wants it copies,
behind an event of the device that has it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .neighbours import MOST_PITCH, Rows
from .place import Place, together
from .pool import Memory

Index = tuple[slice, ...]


class Part(NamedTuple):
    """A part of an array, in the memory of a place: in row-major order, without gaps."""

    place: Place
    memory: Any
    at: Index


def gathered(
    parts: Sequence[Part],
    wanted: Sequence[tuple[Place, Index]],
    shape: tuple[int, ...],
    itemsize: int,
) -> list[Any]:
    """Memory that has the parts that are wanted; the host waits for nothing.

    What a place has already is not copied: its memory comes back.

    Args:
        parts: together they have the whole array; some may have the same.
        shape, itemsize: of the whole array.
    """
    places = {place.number: place for place in [p.place for p in parts] + [p for p, _ in wanted]}
    numbers = sorted(places)
    by_index: dict[Any, list[Part]] = {}
    for part in parts:
        by_index.setdefault(_ends(part.at, shape), []).append(part)
    found: list[Any] = []
    with together(places.values()):
        if len(numbers) > 1:
            # Without it, the driver takes copies between devices through the host.
            places[numbers[0]].driver.share(numbers)
        for number, (place, index) in enumerate(wanted):
            ends = _ends(index, shape)
            here = [p for p in by_index.get(ends, ()) if p.place is place]
            if here:
                found.append(here[0].memory)
                continue
            # Of several that have the same, neighbours ask different ones.
            chosen = [_nearest(same, place, number) for same in by_index.values()]
            found.append(_filled(place, ends, chosen, shape, itemsize))
    return found


def moved(place: Place, source: Place, memory: Any) -> Memory:
    """The bytes of another device's memory in a new one of this device."""
    whole = (slice(None),)
    (found,) = gathered([Part(source, memory, whole)], [(place, whole)], (memory.size,), 1)
    return found


def _nearest(same: Sequence[Part], place: Place, number: int) -> Part:
    near = [part for part in same if part.place is place]
    return near[0] if near else same[number % len(same)]


Ends = tuple[tuple[int, int], ...]


def _ends(index: Index, shape: tuple[int, ...]) -> Ends:
    return tuple(s.indices(n)[:2] for s, n in zip(index, shape, strict=True))


def _filled(
    place: Place, ends: Ends, parts: Sequence[Part], shape: tuple[int, ...], itemsize: int
) -> Memory:
    """New memory of a place, with what it wants of each part."""
    size = itemsize
    for low, high in ends:
        size *= high - low
    driver = place.driver
    place.enter()
    target = place.pool.take(size)
    behind: list[Place] = []
    foreign: list[Place] = []
    for part in parts:
        blocks = list(common(_ends(part.at, shape), ends, itemsize))
        if not blocks:
            continue
        if part.place is not place:
            if part.place not in behind:
                behind.append(part.place)
                driver.follow(place.stream, part.place.stream)
            if isinstance(part.memory, Memory):
                part.memory.readers.add(driver.address_of(place.stream))
            elif part.place not in foreign:
                foreign.append(part.place)
        place.enter()
        for rows in blocks:
            driver.bring(target.address, part.memory.address, rows, part.place.number, place.stream)
    for source in foreign:
        # Another library's memory is let go of behind the work of its own device.
        source.enter()
        driver.follow(source.stream, place.stream)
    return target


def common(source: Ends, target: Ends, itemsize: int) -> Iterator[Rows]:
    """What two parts of an array have in common, in as few copies as there can be."""
    from_start = to_start = 0
    from_step = to_step = itemsize
    # Of each axis, innermost first: how many, and the bytes from one to the next on both sides.
    axes = [(itemsize, 1, 1)]
    for (a, b), (c, d) in zip(reversed(source), reversed(target), strict=True):
        low, high = max(a, c), min(b, d)
        if low >= high:
            return
        from_start += (low - a) * from_step
        to_start += (low - c) * to_step
        count, (inner, *steps) = high - low, axes[-1]
        if count > 1 and [from_step, to_step] == [inner * step for step in steps]:
            axes[-1] = (inner * count, steps[0], steps[1])
        elif count > 1:
            axes.append((count, from_step, to_step))
        from_step *= b - a
        to_step *= d - c
    (width, _, _), *outer = axes
    taken = outer[:2] if all(max(axis[1:]) <= MOST_PITCH for axis in outer[:1]) else []
    (height, from_pitch, to_pitch) = taken[0] if taken else (1, width, width)
    planes = taken[1] if taken[1:] else (1, height * from_pitch, height * to_pitch)
    depth, from_plane, to_plane = planes
    rest = outer[len(taken) :]
    for turns in itertools.product(*(range(count) for count, _, _ in rest)):
        further = [sum(t * axis[k] for t, axis in zip(turns, rest, strict=True)) for k in (1, 2)]
        yield Rows(
            (width, height, depth),
            (from_start + further[0], from_pitch, from_plane // from_pitch),
            (to_start + further[1], to_pitch, to_plane // to_pitch),
        )
