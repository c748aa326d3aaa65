"""Looking into running programs: print, callback, breakpoint."""

from __future__ import annotations

from .control.callbacks import debug_callback as callback
from .control.debug_printing import debug_print as print
from .control.debugger import debug_breakpoint as breakpoint

__all__ = ["breakpoint", "callback", "print"]
