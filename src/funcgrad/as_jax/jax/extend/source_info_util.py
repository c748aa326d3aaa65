"""`jax.extend.source_info_util`: which files are left out where source lines are reported."""

from __future__ import annotations


def register_exclusion(path: str) -> None:
    """A file whose lines need not be reported; funcgrad reports the line that calls it."""
