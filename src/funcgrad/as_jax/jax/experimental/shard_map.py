"""`jax.experimental.shard_map`: `shard_map` under its former home."""

from __future__ import annotations

from typing import Any

from ..mapped import shard_map as _shard_map


def shard_map(f: Any, mesh: Any, in_specs: Any, out_specs: Any, **_: Any) -> Any:
    """`jax.shard_map` with the arguments by position."""
    return _shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs)
