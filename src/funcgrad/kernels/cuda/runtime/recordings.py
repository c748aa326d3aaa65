"""Work that is recorded where its addresses were met before, and repeated from then on.

In: addresses, and who puts the work into the streams of one device or of several. Out: that work in
the streams. The one idea: each device records a graph of its own stream; a collective has a part
in the graph of each of its devices, and the parts meet again whenever all of them are launched.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from .place import Place

# Addresses alternate between two sets where a loop replaces its state.
MOST_GRAPHS = 8


class Recordings:
    """The graphs of one program.

    Args:
        places: its devices.
        at_once: whether it is recorded where addresses are new, not when they are met again.
    """

    def __init__(self, places: Sequence[Place], at_once: bool = False) -> None:
        self._places = list(places)
        self._at_once = at_once
        # By addresses: a graph for each device, or nothing yet.
        self._met: OrderedDict[tuple[int, ...], list[Any]] = OrderedDict()

    def run(
        self, addresses: tuple[int, ...], plain: Callable[[], None], recorded: Callable[[], None]
    ) -> None:
        """Put work into the streams: as it is, recorded and then repeated, or repeated.

        Args:
            plain: puts it there; `recorded`: while the streams record.
        """
        known = addresses in self._met
        graphs = self._met.setdefault(addresses, [])
        self._met.move_to_end(addresses)
        if not known:
            self._forget_oldest()
            if not self._at_once:
                plain()
                return
        if not graphs:
            graphs += self._record(recorded)
        for place, graph in zip(self._places, graphs, strict=True):
            place.enter()
            place.driver.replay(graph, place.stream)

    def _record(self, work: Callable[[], None]) -> list[Any]:
        recording: list[Place] = []
        graphs: list[Any] = []
        try:
            for place in self._places:
                place.enter()
                place.driver.record(place.stream)
                recording.append(place)
            work()
            while recording:
                place = recording[0]
                place.enter()
                graphs.append(place.driver.recorded(place.stream))
                del recording[0]
        except BaseException:
            # A stream that records must stop, also after an error.
            for place in recording:
                place.enter()
                place.driver.abandon(place.stream)
            self._forget(graphs)
            raise
        return graphs

    def _forget_oldest(self) -> None:
        if len(self._met) > MOST_GRAPHS:
            self._forget(self._met.popitem(last=False)[1])

    def __del__(self) -> None:
        for graphs in self._met.values():
            for place, graph in zip(self._places, graphs, strict=False):
                # Launches that are not done still need it.
                place.pool.when_done(place.driver.forget, graph)

    def _forget(self, graphs: Sequence[Any]) -> None:
        for place, graph in zip(self._places, graphs, strict=False):
            place.enter()
            place.driver.forget(graph)
