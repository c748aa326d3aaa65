"""Looking into running programs, print, callback, breakpoint; and at where arrays lie."""

from __future__ import annotations

from .control.callbacks import debug_callback as callback
from .control.debug_printing import debug_print as print
from .control.debugger import debug_breakpoint as breakpoint
from .control.drawing import inspect_array_sharding as inspect_array_sharding
from .control.drawing import visualize_array_sharding as visualize_array_sharding
from .control.drawing import visualize_sharding as visualize_sharding

__all__ = [
    "breakpoint",
    "callback",
    "inspect_array_sharding",
    "print",
    "visualize_array_sharding",
    "visualize_sharding",
]
