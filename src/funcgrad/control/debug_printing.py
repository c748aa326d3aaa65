"""debug.print: formatted output from inside traced programs.

The format string is checked when the program is traced and filled when it runs, so values are
those of the run.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..core.sources import user_line
from .callbacks import DebugCallback, with_static_leaves


class DebugPrint(DebugCallback):
    """A call that prints."""

    name = "debug_print"
    unprinted = ("callback",)


debug_print_p = DebugPrint()


class _Checker(string.Formatter):
    """Goes through a format string without formatting, and finds arguments nobody prints."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return value

    def check_unused_args(
        self, used_args: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        unused: list[Any] = [i for i in range(len(args)) if i not in used_args]
        unused += [name for name in kwargs if name not in used_args]
        if unused:
            raise ValueError(
                f"Unused arguments to debug.print: {unused}.\n  {user_line()}\n"
                "  Name them in braces, debug.print('x is {x}', x=x), and give a plain string, "
                "not an f-string."
            )


class Printer:
    """Fills a format string and writes it, under the NumPy print options of the call."""

    def __init__(self, fmt: str) -> None:
        self.fmt = fmt
        self.options = np.get_printoptions()
        fields = [field for _, field, _, _ in string.Formatter().parse(fmt)]
        self.has_fields = any(field is not None for field in fields)
        self.__name__ = "print"

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        with np.printoptions(**self.options):
            if self.has_fields:
                text = self.fmt.format(*args, **kwargs)
            else:
                text = " ".join([self.fmt, *map(str, args)])
        sys.stdout.write(text + "\n")


def debug_print(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    **kwargs: Any,
) -> Any:
    """Print values of a run, from under any transform.

    Under jit it prints when the program runs, under grad the primal values, under vmap once for
    each element.

    Args:
        fmt: a format string with fields in braces, not an f-string; left out, the rest of the
            call is awaited: `debug.print(ordered=True)("{}", x)`.
        args: values of the positional fields.
        ordered: keep its place among the other ordered prints.
        partitioned: accepted for compatibility.
        skip_format_check: do not check that every argument is printed.
        kwargs: values of the named fields.
    Raises:
        ValueError: an argument is not printed by fmt.
        KeyError, IndexError: a field has no argument.
    """
    if fmt is None:
        options = {"ordered": ordered, "skip_format_check": skip_format_check}
        return partial(debug_print, partitioned=partitioned, **options)
    if not skip_format_check:
        _Checker().format(fmt, *args, **kwargs)
    flat, leaves = with_static_leaves(Printer(fmt), args, kwargs)
    debug_print_p.bind(*leaves, callback=flat, fmt=fmt, ordered=ordered)
    return None
