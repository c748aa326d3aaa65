"""Names that JAX keeps under `jax.experimental`, where they have a meaning; `register_einops`."""

from __future__ import annotations

from ..config import enable_x64 as enable_x64
from ..control.callbacks import io_callback as io_callback
from .einops_backend import register_einops as register_einops


def disable_x64() -> enable_x64:
    """64-bit types off in this thread, in a with-statement or for a decorated function."""
    return enable_x64(False)
