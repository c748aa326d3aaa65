"""Sources: what gives rows by number. In: arrays or a class of one's own. Out: batches as NumPy.

A source knows nothing of order, epochs or batches; it gives the rows that it is asked for.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from .. import tree
from ..core.sources import user_line


class Source(abc.ABC):
    """Rows that can be read by number; derive from it for a format of one's own."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abc.abstractmethod
    def take(self, rows: np.ndarray[Any, Any]) -> Any:
        """The rows of these numbers, i64[n], as a pytree of arrays with a leading axis of n."""


class Arrays(Source):
    """Rows of a pytree of arrays that are in memory."""

    def __init__(self, values: Any) -> None:
        pairs, self._treedef = tree.flatten_with_path(values)
        self._leaves = [np.asarray(x) for _, x in pairs]
        lengths = {
            tree.keystr(path) or "the array": x.shape[0] if x.ndim else None
            for (path, _), x in zip(pairs, self._leaves, strict=True)
        }
        if not lengths or None in lengths.values() or len(set(lengths.values())) > 1:
            raise ValueError(
                "data.arrays: the arrays must have one leading axis of one length, got "
                f"{lengths or 'no array'}.\n  {user_line()}\n"
                "  Give arrays of shape [n, ...], with the same n."
            )
        self._length = len(self._leaves[0])

    def __len__(self) -> int:
        return self._length

    def take(self, rows: np.ndarray[Any, Any]) -> Any:
        return tree.unflatten(self._treedef, [x[rows] for x in self._leaves])


def arrays(values: Any) -> Arrays:
    """The rows of a pytree of arrays as a source.

    Args:
        values: arrays of shape [n, ...], all with the same n.
    Raises:
        ValueError: no array, one without axes, or arrays of different lengths.
    """
    return Arrays(values)
