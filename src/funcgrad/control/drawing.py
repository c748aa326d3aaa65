"""Pictures of where arrays lie, in text: which devices have which part.

In: a shape and a sharding. Out: a grid of the parts, with their devices in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..core.array import Array
from ..core.devices import cpu_device
from ..core.meshes import PartitionSpec, current_mesh
from ..core.remote import default_home
from ..core.shardings import NamedSharding, Sharding, SingleDeviceSharding
from ..core.sources import user_line
from ..core.trace import Tracer


def inspect_array_sharding(value: Any, *, callback: Callable[[Sharding], None]) -> None:
    """Call a function with the sharding of each array of a tree.

    Of a traced value that is known while it is traced: within a program it lies whole on every
    device of the mesh that is set, or on the default device.
    """
    for leaf in tree.leaves(value):
        callback(_within() if isinstance(leaf, Tracer) else leaf.sharding)


def _within() -> Sharding:
    """Where values of a program lie."""
    mesh, home = current_mesh(), default_home()
    if mesh is not None:
        return NamedSharding(mesh, PartitionSpec())
    return SingleDeviceSharding(cpu_device if home is None else home.device)


def visualize_array_sharding(arr: Any, **kwargs: Any) -> None:
    """Print which devices have which part of an array, as `visualize_sharding`.

    Raises:
        TypeError: something without a sharding.
        ValueError: an array of more than two axes, or of none.
    """
    if not isinstance(arr, (Array, Tracer)):
        raise TypeError(
            f"visualize_array_sharding takes an array, got {type(arr).__name__}.\n  {user_line()}"
            "\n  Make one by device_put."
        )
    sharding = _within() if isinstance(arr, Tracer) else arr.sharding
    visualize_sharding(arr.aval.shape, sharding, **kwargs)


def visualize_sharding(
    shape: Sequence[int],
    sharding: Sharding,
    *,
    use_color: bool = True,
    scale: float = 1.0,
    min_width: int = 9,
    max_width: int = 80,
    color_map: Any = None,
) -> None:
    """Print which devices have which part of an array of one or two axes.

    Args:
        shape: of the array.
        sharding: where it lies.
        use_color, color_map: for pictures with colours; this one has lines.
        scale: how wide a part is drawn for each of its columns.
        min_width: of a part, in characters.
        max_width: of the picture.
    Raises:
        ValueError: another number of axes, or the shape does not divide.
    """
    if len(shape) not in (1, 2):
        raise ValueError(
            f"visualize_sharding draws arrays of one or two axes, and the shape is {tuple(shape)}."
            f"\n  {user_line()}\n  Reshape it, or print sharding.devices_indices_map(shape)."
        )
    parts = _parts(tuple(shape), sharding)
    rows = sorted({at[0] for at in parts})
    columns = sorted({at[1] for at in parts})
    texts = {at: ",".join(str(d.id) for d in held) for at, held in parts.items()}
    platform = sharding.device_list()[0].platform.upper()
    across = shape[-1] / max(len(columns), 1)
    longest = max(len(platform) + 1 + len(text) for text in texts.values()) + 2
    room = max((max_width - 1) // max(len(columns), 1) - 1, 1)
    width = min(max(int(across * scale), min_width, longest), max(room, longest))
    line = "─" * width
    cells = [[f"{platform} {texts[r, c]}".center(width) for c in columns] for r in rows]
    between = "├" + "┼".join([line] * len(columns)) + "┤"
    body = f"\n{between}\n".join("│" + "│".join(row) + "│" for row in cells)
    top, bottom = ("┬".join([line] * len(columns)), "┴".join([line] * len(columns)))
    print(f"┌{top}┐\n{body}\n└{bottom}┘")  # noqa: T201 - what it is for


def _parts(shape: tuple[int, ...], sharding: Sharding) -> dict[tuple[int, int], list[Any]]:
    """The devices of each part, by the row and the column at which it begins."""
    found: dict[tuple[int, int], list[Any]] = {}
    for device, at in sharding.devices_indices_map(shape).items():
        starts = [s.start or 0 for s in at]
        place = (0, starts[0]) if len(starts) == 1 else (starts[0], starts[1])
        found.setdefault(place, []).append(device)
    return found
