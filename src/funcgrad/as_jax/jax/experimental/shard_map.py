"""`jax.experimental.shard_map`: `shard_map` under its former home."""

from __future__ import annotations

from typing import Any

from ....api.sharding import shard_map as _shard_map


def shard_map(
    f: Any,
    mesh: Any,
    in_specs: Any,
    out_specs: Any,
    check_rep: bool = True,
    auto: frozenset[Any] = frozenset(),
) -> Any:
    """`jax.shard_map` with the arguments by position, and as they were named.

    Args:
        auto: the axes that are not meant.
    """
    names = frozenset(mesh.axis_names) - auto
    specs = {"in_specs": in_specs, "out_specs": out_specs}
    return _shard_map(f, mesh=mesh, axis_names=names, check_vma=check_rep, **specs)
