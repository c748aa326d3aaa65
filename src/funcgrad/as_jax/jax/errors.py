"""`jax.errors`: funcgrad's exceptions where their names differ."""

from __future__ import annotations

from ...errors import CompileError
from ...errors import FuncgradIndexError as JAXIndexError
from ...errors import FuncgradTypeError as JAXTypeError
from ...ir.checking import JaxprTypeError as JaxprTypeError

__all__ = ["JAXIndexError", "JAXTypeError", "JaxRuntimeError", "JaxprTypeError"]

# Raised where compiled code cannot be made or run.
JaxRuntimeError = CompileError
