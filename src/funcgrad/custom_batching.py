"""Rules of the user's own for vmap."""

from __future__ import annotations

from .control.custom_batching import custom_vmap as custom_vmap
from .control.custom_batching import custom_vmap_p as custom_vmap_p
from .control.custom_batching import sequential_vmap as sequential_vmap
