"""`jax._src.dispatch`: waiting for what runs. Nothing does: calls return when they are done."""

from __future__ import annotations


def wait_for_tokens() -> None:
    """Nothing to wait for."""
