"""`jax.core`: avals, tracers and the evaluation of jaxprs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...api.tracing import ensure_compile_time_eval as ensure_compile_time_eval
from ...core import evaluate
from ...core.context import set_trace
from ...core.trace import Trace as Trace
from ...core.trace import Tracer as Tracer
from ...core.trace import eval_trace
from ...ir.avals import ShapedArray as ShapedArray
from ...ir.avals import aval_of
from ...ir.dimensions import Dimension, has_unknown
from ...ir.jaxpr import Jaxpr, Literal, Var
from .extend import core as extend_core

# The arrays' is the one kind of aval there is.
AbstractValue = ShapedArray
Atom = Var | Literal
Value = Any
ParamDict = dict[str, Any]


def eval_jaxpr(
    jaxpr: Jaxpr, consts: Sequence[Any], *args: Any, propagate_source_info: bool = True
) -> list[Any]:
    """The values of a jaxpr's outputs, its eqns applied one by one under the current trace."""
    return evaluate.eval_jaxpr(jaxpr, consts, *args)


def is_constant_dim(d: Any) -> bool:
    """Whether an extent is an integer, and does not depend on sizes unknown."""
    return not isinstance(d, Dimension)


def is_constant_shape(s: Sequence[Any]) -> bool:
    """Whether all extents of a shape are integers."""
    return not has_unknown(tuple(s))


@contextmanager
def eval_context() -> Generator[None]:
    """Inside, operations are evaluated at once, whatever transform is at work around it."""
    with set_trace(eval_trace):
        yield


def gensym() -> Callable[[ShapedArray], Var]:
    """A maker of variables that differ from all others."""
    return Var


def max_dim(d1: int, d2: int) -> int:
    """The larger of two extents."""
    return max(d1, d2)


def min_dim(d1: int, d2: int) -> int:
    """The smaller of two extents."""
    return min(d1, d2)


# Names that JAX warns of: those of jax.extend.core, and what type a value counts as.
pytype_aval_mappings: dict[type, Any] = {np.ndarray: aval_of, np.generic: aval_of}


def __getattr__(name: str) -> Any:
    return getattr(extend_core, name)
