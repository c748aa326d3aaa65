"""`jax._src.distributed`: what the processes of a cluster know of each other: there is one."""

from __future__ import annotations

from typing import NamedTuple


class State(NamedTuple):
    """The state of a process that `jax.distributed` did not join to others."""

    process_id: int = 0
    num_processes: int = 1
    coordinator_address: None = None
    service: None = None
    client: None = None


global_state = State()
