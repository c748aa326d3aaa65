"""Arrays in files and in text: save, savez, load, and how arrays are printed."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..core.array import to_ndarray
from ..core.sources import user_line
from ..core.trace import Tracer, value_of
from ..errors import TracerArrayConversionError
from ..ir import dtypes
from ..typing import Array, ArrayLike, DTypeLike
from .creation import asarray
from .promotion import check_arraylike, is_ndarray, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped

get_printoptions: Any = np.get_printoptions
set_printoptions: Any = np.set_printoptions
printoptions: Any = np.printoptions


def _memory(name: str, x: Any) -> Any:
    """The NumPy array of a concrete value."""
    check_arraylike(name, x)
    known = value_of(to_array(x))
    if isinstance(known, Tracer):
        raise TracerArrayConversionError(known)
    return to_ndarray(known)


def save(file: Any, arr: Shaped[ArrayLike, "..."], allow_pickle: bool = True) -> None:
    """Write one array to a file in NumPy's format .npy; a name without that ending gets it."""
    np.save(file, _memory("save", arr), allow_pickle=allow_pickle)


def savez(
    file: Any,
    *args: Shaped[ArrayLike, "..."],
    allow_pickle: bool = True,
    **kwds: Shaped[ArrayLike, "..."],
) -> None:
    """Write arrays to a file in NumPy's format .npz, as arr_0, arr_1, ... and by their keywords."""
    arrays = [_memory("savez", x) for x in args]
    named = {key: _memory("savez", x) for key, x in kwds.items()}
    np.savez(file, *arrays, allow_pickle=allow_pickle, **named)


def load(file: IO[bytes] | Any, *args: Any, **kwargs: Any) -> Any:
    """The array in a file that `save` wrote; of other files what `numpy.load` returns."""
    found: Any = np.load(file, *args, **kwargs)
    if not is_ndarray(found):
        return found
    if found.dtype == np.dtype("V2"):
        # The format has no name for bfloat16 and keeps two bytes without meaning.
        found = found.view(dtypes.bfloat16)
    return (
        asarray(found) if found.dtype.kind in "biufc" or found.dtype == dtypes.bfloat16 else found
    )


def array_repr(
    arr: Shaped[ArrayLike, "..."],
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """The text of an array with its dtype, as NumPy writes it."""
    return np.array_repr(_memory("array_repr", arr), max_line_width, precision, suppress_small)


def array_str(
    a: Shaped[ArrayLike, "..."],
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """The text of the elements of an array, as NumPy writes it."""
    return np.array_str(_memory("array_str", a), max_line_width, precision, suppress_small)


def fromstring(string: str, dtype: DTypeLike = float, count: int = -1, *, sep: str) -> Array:
    """The numbers in a text, separated by `sep`."""
    wanted = dtypes.check_user_dtype_supported(dtype, "fromstring")
    return asarray(np.fromstring(string, wanted, count, sep=sep))


def _refuse_source(name: str) -> NoReturn:
    raise ValueError(
        f"{name} reads from what changes by being read, which a traced function must not.\n"
        f"  {user_line()}\n  Call numpy's outside of traced functions: asarray(np.{name}(...))."
    )


def fromfile(*args: Any, **kwargs: Any) -> NoReturn:
    """Refused: use asarray(np.fromfile(...)).

    Raises:
        ValueError: always.
    """
    _refuse_source("fromfile")


def fromiter(*args: Any, **kwargs: Any) -> NoReturn:
    """Refused: use asarray(np.fromiter(...)).

    Raises:
        ValueError: always.
    """
    _refuse_source("fromiter")


def iterable(y: Any) -> bool:
    """Whether iter(y) works: of arrays, those that have an axis."""
    return bool(np.iterable(y))
