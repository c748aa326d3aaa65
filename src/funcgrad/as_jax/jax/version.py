"""`jax.version`: the version whose names are served."""

from __future__ import annotations

from ..names import version as __version__

__version_info__ = tuple(int(part) for part in __version__.split("."))
