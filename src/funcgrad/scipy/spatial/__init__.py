"""Space under the names of `jax.scipy.spatial`."""

from __future__ import annotations

from . import transform as transform
