"""What the option `log_compiles` says: what is traced and compiled, for which arguments, how long.

In: a name and avals. Out: lines of the logger "funcgrad". The one idea: who asks why a program is
slow at first reads there what was made again, and `jit(f).explain_recompiles()` says why.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from time import perf_counter

from ..config import config
from ..ir.avals import ShapedArray


@contextmanager
def announced(work: str, name: str, avals: Sequence[ShapedArray]) -> Generator[None]:
    """Log that some work begins and how long it took, if the option is set.

    Args:
        work: "tracing" or "compiling".
        name: of the function, and `avals`: its arguments.
    """
    if not config.log_compiles:
        yield
        return
    from logging import getLogger

    log = getLogger("funcgrad")
    given = ", ".join(aval.short() for aval in avals) or "nothing"
    log.warning("%s %s for %s", work.capitalize(), name, given)
    begun = perf_counter()
    yield
    log.warning("Finished %s %s in %.6f sec", work, name, perf_counter() - begun)
