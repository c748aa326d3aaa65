"""debug.breakpoint: look at the values of a run where the program was traced.

In: the user's frames at the call. Out: a prompt when the run reaches that place. The one idea: the
arrays among the local variables are operands of a callback, so the prompt shows their values.
"""

from __future__ import annotations

import cmd
import inspect
import linecache
from types import FrameType
from typing import Any, NamedTuple

from .. import tree
from ..core.array import Array
from ..core.trace import Tracer
from ..ir.sources import is_internal
from .callbacks import debug_callback_p


class Frame(NamedTuple):
    """One frame of the user's stack, as it was when the program was traced."""

    path: str
    line: int
    name: str
    variables: dict[str, Any]
    globals: dict[str, Any]

    def text(self) -> str:
        """Where the frame is, and the line it runs."""
        code = linecache.getline(self.path, self.line).strip()
        return f"{self.path}({self.line}) in {self.name}\n-> {code}"


def user_frames(limit: int | None) -> list[Frame]:
    """The frames outside this package, innermost first."""
    found: list[Frame] = []
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and (limit is None or len(found) < limit):
        code = frame.f_code
        if not is_internal(code):
            inner = frame.f_back is not None and frame.f_locals is not frame.f_globals
            variables = {k: v for k, v in frame.f_locals.items() if inner and _ends(v)}
            found.append(
                Frame(code.co_filename, frame.f_lineno, code.co_name, variables, frame.f_globals)
            )
        frame = frame.f_back
    return found


def _ends(variable: Any) -> bool:
    """Whether a variable is a tree, and does not hold itself."""
    try:
        tree.leaves(variable)
    except RecursionError:
        return False
    return True


class Prompt(cmd.Cmd):
    """The commands at a breakpoint: p, pp, l, u, d, bt, c, q; anything else is evaluated."""

    prompt = "(fgdb) "

    def __init__(self, frames: list[Frame], stdin: Any, stdout: Any) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None
        self.frames = frames
        self.at = 0

    @property
    def frame(self) -> Frame:
        """The frame commands look at."""
        return self.frames[self.at]

    def say(self, text: str) -> None:
        """Write a line."""
        self.stdout.write(text + "\n")

    def preloop(self) -> None:
        self.say(f"Breakpoint at {self.frame.text()}")

    def emptyline(self) -> bool:
        return False

    def default(self, line: str) -> None:
        self.do_p(line)

    def do_p(self, arg: str) -> None:
        """p expression: its value in this frame."""
        try:
            self.say(repr(eval(arg, dict(self.frame.globals), self.frame.variables)))
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}")

    do_pp = do_p

    def do_l(self, arg: str) -> None:
        """l: the lines around the breakpoint."""
        path, line = self.frame.path, self.frame.line
        for i in range(max(1, line - 5), line + 6):
            text = linecache.getline(path, i).rstrip()
            if text or i == line:
                self.say(f"{'->' if i == line else '  '} {i:4} {text}")

    def do_bt(self, arg: str) -> None:
        """bt: all frames, outermost first."""
        for i, frame in reversed(list(enumerate(self.frames))):
            self.say(f"{'>' if i == self.at else ' '} {frame.text()}")

    def do_u(self, arg: str) -> None:
        """u: to the caller."""
        self._move(1)

    def do_d(self, arg: str) -> None:
        """d: to the callee."""
        self._move(-1)

    def _move(self, step: int) -> None:
        if not 0 <= self.at + step < len(self.frames):
            self.say("There is no further frame.")
            return
        self.at += step
        self.say(self.frame.text())

    def do_c(self, arg: str) -> bool:
        """c: go on."""
        return True

    do_EOF = do_c  # noqa: N815  the name cmd looks up at the end of input

    def do_q(self, arg: str) -> bool:
        """q: end the program with KeyboardInterrupt."""
        raise KeyboardInterrupt("left at a breakpoint")


def is_shown(x: Any) -> bool:
    """Whether a value must come from the run: an array or a tracer still in use."""
    return isinstance(x, Array) or (isinstance(x, Tracer) and x.owner.live)


def debug_breakpoint(
    *,
    backend: str | None = None,
    filter_frames: bool = True,
    num_frames: int | None = None,
    ordered: bool = False,
    token: Any = None,
    stdin: Any = None,
    stdout: Any = None,
) -> Any:
    """Stop the run here and give a prompt with the local variables of the user's frames.

    Under jit the prompt appears when the program runs. `p x` prints a value, `l` lists the code,
    `u` and `d` move between frames, `bt` lists them, `c` goes on, `q` ends the program.

    Args:
        backend: accepted for the one prompt there is.
        filter_frames: accepted; frames of this package are never shown.
        num_frames: how many frames can be looked at; all of them when None.
        ordered: keep its place among ordered prints and breakpoints.
        token: a value given back, for code that threads one through.
        stdin: where commands are read from instead of the terminal.
        stdout: where answers go.
    Returns:
        token.
    """
    frames = user_frames(num_frames)
    leaves, treedef = tree.flatten([frame.variables for frame in frames])
    shown = [is_shown(x) for x in leaves]

    def stop(*values: Any) -> None:
        given = iter(values)
        whole = [next(given) if s else x for x, s in zip(leaves, shown, strict=True)]
        variables = tree.unflatten(treedef, whole)
        known = [f._replace(variables=v) for f, v in zip(frames, variables, strict=True)]
        Prompt(known, stdin, stdout).cmdloop()

    operands = [x for x, s in zip(leaves, shown, strict=True) if s]
    debug_callback_p.bind(*operands, callback=stop, ordered=ordered)
    return token
