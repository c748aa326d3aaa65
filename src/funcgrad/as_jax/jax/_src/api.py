"""`jax._src.api`: what libraries ask for here first, and in its newer home if it is not here."""

from __future__ import annotations

from .api_util import infer_argnums_and_argnames

_infer_argnums_and_argnames = infer_argnums_and_argnames
