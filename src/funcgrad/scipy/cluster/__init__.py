"""Clusters under the names of `jax.scipy.cluster`."""

from __future__ import annotations

from . import vq as vq
