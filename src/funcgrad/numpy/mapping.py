"""Functions applied to parts of arrays: vectorize, apply_along_axis, apply_over_axes."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tree
from ..core.axes import to_axis
from ..core.primitive import AxisData
from ..core.sources import user_line
from ..ir.avals import canonical_axis
from ..transforms.batch import batch_flat
from ..typing import Array, ArrayLike
from .creation import asarray
from .manipulation import moveaxis
from .promotion import check_arraylike, is_tuple, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped

Core = tuple[str, ...]
_argument = r"\((?:\s*\w+\s*(?:,\s*\w+\s*)*,?)?\s*\)"
_signature = re.compile(
    rf"^\s*{_argument}(?:\s*,\s*{_argument})*\s*->\s*{_argument}(?:\s*,\s*{_argument})*\s*$"
)


def _parse_signature(signature: str) -> tuple[list[Core], list[Core]]:
    """The core axes of the arguments and of the results: "(n,m),(m)->(n)"."""
    if not _signature.match(signature):
        raise ValueError(f"not a valid gufunc signature: {signature!r}. Write '(n,m),(m)->(n)'.")
    sides = [
        [tuple(re.findall(r"\w+", group)) for group in re.findall(_argument, side)]
        for side in signature.split("->")
    ]
    return sides[0], sides[1]


def _map(fun: Callable[..., Any], size: int, args: Sequence[Any], mapped: Sequence[bool]) -> Any:
    """The function applied along axis 0 of the mapped arguments; results get it in front."""
    structures: list[Any] = []

    def flat(*values: Any) -> list[Any]:
        leaves, structure = tree.flatten(fun(*values))
        structures.append(structure)
        return leaves

    dims = [0 if m else None for m in mapped]
    outs, out_dims = batch_flat(flat, AxisData(None, size), list(args), dims)
    placed = [to_axis(x, d, size, 0) for x, d in zip(outs, out_dims, strict=True)]
    return tree.unflatten(structures[-1], placed)


def vectorize(
    pyfunc: Callable[..., Any],
    *,
    excluded: Collection[int | str] = frozenset(),
    signature: str | None = None,
) -> Callable[..., Any]:
    """The function made to broadcast over leading axes of its arguments.

    Args:
        pyfunc: a function of arrays with the core axes that the signature names; without one, its
            result may be any pytree. An argument that is None is passed on.
        excluded: positions or names of arguments passed on as they are.
        signature: core axes, as "(n,m),(m)->(n)"; scalars by default.
    Returns:
        A function whose results have the broadcast leading axes in front.
    Raises:
        ValueError: the signature is not valid, or core axes of unequal extents.
        TypeError: the number of arguments or results does not fit the signature.
    """
    named: Collection[Any] = excluded
    if any(not isinstance(e, (int, str)) for e in named):
        raise TypeError(f"vectorize excludes ints and strs, got {set(named)!r}.")
    cores = None if signature is None else _parse_signature(signature)

    @functools.wraps(pyfunc)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        free = [i for i in range(len(args)) if i not in excluded]
        positions = [i for i in free if args[i] is not None]
        names = [k for k, x in kwargs.items() if k not in excluded and x is not None]
        given = [*(args[i] for i in positions), *(kwargs[k] for k in names)]

        def call(*values: Any) -> Any:
            filled = list(args)
            for i, v in zip(positions, values, strict=False):
                filled[i] = v
            rest = dict(zip(names, values[len(positions) :], strict=True))
            return pyfunc(*filled, **{**kwargs, **rest})

        every = len(free) + len(names)
        inputs = [()] * every if cores is None else cores[0]
        outputs = None if cores is None else cores[1]
        if len(inputs) != every:
            raise TypeError(
                f"wrong number of positional arguments: expected {len(inputs)}, got {every}."
            )
        missing = [k for k, i in enumerate(free) if args[i] is None]
        if any(inputs[k] for k in missing):
            raise ValueError(f"Cannot pass None at locations {set(missing)} with {signature=}.")
        inputs = [core for k, core in enumerate(inputs) if k not in missing]
        return _broadcast_call(call, [asarray(x) for x in given], inputs, outputs)

    return wrapped


def _broadcast_call(
    call: Callable[..., Any], args: list[Any], cores: list[Core], outputs: list[Core] | None
) -> Any:
    """The function over the broadcast leading axes of its arguments, one after the other."""
    from ..primitives.broadcasting import broadcast_shapes
    from ..primitives.movement import squeeze

    sizes: dict[str, int] = {}
    leads: list[tuple[int, ...]] = []
    for x, core in zip(args, cores, strict=True):
        if x.ndim < len(core):
            raise ValueError(
                f"input with shape {x.shape} does not have enough dimensions for all core "
                f"dimensions {core}.\n  {user_line()}"
            )
        split = x.ndim - len(core)
        leads.append(x.shape[:split])
        _check_core(core, x.shape[split:], sizes)
    lead = broadcast_shapes(*leads) if leads else ()
    checked = _with_checked_outputs(call, outputs, sizes)
    squeezed: list[Any] = []
    walks: list[list[bool]] = []
    for x, own in zip(args, leads, strict=True):
        offset = len(lead) - len(own)
        ones = tuple(i for i, n in enumerate(own) if n == 1 and lead[i + offset] != 1)
        squeezed.append(squeeze(x, ones) if ones else x)
        walks.append([i >= offset and i - offset not in ones for i in range(len(lead))])
    fun = checked
    for i in reversed(range(len(lead))):
        fun = functools.partial(_mapped, fun, lead[i], [w[i] for w in walks])
    return fun(*squeezed)


def _mapped(fun: Callable[..., Any], size: int, mapped: list[bool], *args: Any) -> Any:
    if not any(mapped):
        # Only an axis of extent 1 that no argument has is walked by nobody.
        return fun(*args)
    return _map(fun, size, args, mapped)


def _check_core(core: Core, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    for name, n in zip(core, shape, strict=True):
        expected = int(name) if name.isdigit() else sizes.setdefault(name, n)
        if n != expected:
            raise ValueError(f"inconsistent size for core dimension {name!r}: {n} vs {expected}.")


def _with_checked_outputs(
    call: Callable[..., Any], outputs: list[Core] | None, sizes: dict[str, int]
) -> Callable[..., Any]:
    if outputs is None:
        return call

    def checked(*values: Any) -> Any:
        out: Any = call(*values)
        results: Sequence[Any] = out if is_tuple(out) else [out]
        if len(results) != len(outputs):
            raise TypeError(
                f"wrong number of output arguments: expected {len(outputs)}, got {len(results)}."
            )
        for core, shape in zip(outputs, map(np.shape, results), strict=True):
            if len(shape) != len(core):
                raise ValueError(f"output has shape {shape} for core dimensions {core}.")
            _check_core(core, shape, sizes)
        return out

    return checked


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Shaped[ArrayLike, "..."], *args: Any, **kwargs: Any
) -> Array:
    """The function applied to every vector along an axis; its result's axes take its place."""
    check_arraylike("apply_along_axis", arr)
    x = to_array(arr)
    axis = canonical_axis(axis, x.ndim)

    def call(vector: Any) -> Any:
        return func1d(vector, *args, **kwargs)

    moved = moveaxis(x, axis, -1)
    fun: Callable[..., Any] = call
    for i in reversed(range(x.ndim - 1)):
        fun = functools.partial(_mapped, fun, moved.shape[i], [True])
    out = to_array(fun(moved))
    extra = out.ndim - (x.ndim - 1)
    places = [axis + i for i in range(extra)]
    return moveaxis(out, [x.ndim - 1 + i for i in range(extra)], places) if extra else out


def apply_over_axes(
    func: Callable[[Any, int], Any], a: Shaped[ArrayLike, "..."], axes: int | Sequence[int]
) -> Array:
    """The function func(a, axis) applied for one axis after the other; rank is kept.

    Raises:
        ValueError: a result has another rank.
    """
    from .manipulation import expand_dims

    check_arraylike("apply_over_axes", a)
    x = to_array(a)
    for i in [axes] if isinstance(axes, int) else axes:
        axis = canonical_axis(i, x.ndim)
        out = to_array(func(x, axis))
        if out.ndim == x.ndim - 1:
            out = expand_dims(out, axis)
        if out.ndim != x.ndim:
            raise ValueError(
                f"function is not returning an array of the correct shape: {x.shape} "
                f"became {out.shape}."
            )
        x = out
    return x
