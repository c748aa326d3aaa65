"""Minimizing functions of many variables: the names of `jax.scipy.optimize`."""

from __future__ import annotations

from .minimize import OptimizeResults as OptimizeResults
from .minimize import minimize as minimize
