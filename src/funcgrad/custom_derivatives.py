"""Rules of the user's own for derivatives: custom_jvp, custom_vjp and what belongs to them."""

from __future__ import annotations

from .control.closure import closure_convert as closure_convert
from .control.closure import custom_gradient as custom_gradient
from .control.closure import linear_call as linear_call
from .control.custom_jvp import custom_jvp as custom_jvp
from .control.custom_jvp import custom_jvp_call_p as custom_jvp_call_p
from .control.custom_vjp import CustomVJPPrimal as CustomVJPPrimal
from .control.custom_vjp import custom_vjp as custom_vjp
from .control.custom_vjp import custom_vjp_call_p as custom_vjp_call_p
from .core.zeros import SymbolicZero as SymbolicZero
from .core.zeros import zero_tangent as zero_tangent
