"""Matrices that are known by what they do to vectors: `linalg` solves equations with them."""

from __future__ import annotations

from . import linalg as linalg
