"""platform_dependent: a branch for each platform, chosen where the program runs.

In: functions by name of platform. Out: the result of the one for the platform that runs. The one
idea: which platform that is, is a value of the program, so all branches are traced and a program
can be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.devices import default_backend
from ..core.primitive import AxisData, Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..core.trace import Tracer, value_of
from ..ir.avals import ShapedArray
from ..ir.loops import Expr, IndexTuple, Lowered, Map, Operand, const
from .cond import switch
from .sinks import dce_sink


class PlatformIndex(Primitive):
    """Where the platform that runs stands in `platforms`; `None` there stands for any."""

    name = "platform_index"
    jvp_term = NotDifferentiable("the index of a platform has no operand", zero=True)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        return ShapedArray((), np.dtype(np.int32))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        here = default_backend()
        platforms: tuple[tuple[str, ...] | None, ...] = params["platforms"]
        for i, names in enumerate(platforms):
            if names is None or here in names:
                return np.array(i, np.int32)
        raise RuntimeError(
            f"platform_dependent has branches for {platforms}, and none for the platform that "
            f"runs, {here!r}. Give a branch for it, or a default."
        )

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | None:
        platforms: tuple[tuple[str, ...] | None, ...] = params["platforms"]
        here = [i for i, names in enumerate(platforms) if names is None or "cpu" in names]
        if not here:
            return None  # the rule says where the program runs, and what is missing

        def at(index: IndexTuple) -> Expr:
            return const(here[0], np.int32)

        return Map(at)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(**params), None

    def examples(self) -> Iterator[Example]:
        yield Example((), {"platforms": (("tpu",), ("cuda", "cpu"), None)})
        yield Example((), {"platforms": (("tpu",), None)})


platform_index_p = PlatformIndex()


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """The branch of the platform that runs, applied to args.

    Args:
        args: pytrees of arrays.
        default: the branch of platforms that have none of their own.
        per_platform: branches by platform: cpu, cuda, rocm, tpu. Under jit all of them are
            traced, and give results of one tree, shapes and dtypes.
    Raises:
        TypeError: a branch is not callable, or results differ.
        ValueError: a platform is called "gpu".
        RuntimeError: there is no branch for the platform that runs.
    """
    branches: dict[Callable[..., Any], list[str]] = {}
    for platform, branch in per_platform.items():
        if not callable(branch):
            raise TypeError(
                f"platform_dependent: the branch {platform!r} must be callable, got {branch!r}.\n"
                f"  {user_line()}"
            )
        if platform == "gpu":
            raise ValueError(
                f"platform_dependent: 'gpu' is no name of a platform.\n  {user_line()}\n"
                "  Use 'cuda' or 'rocm'."
            )
        branches.setdefault(branch, []).append(platform)
    platforms: list[tuple[str, ...] | None] = [tuple(names) for names in branches.values()]
    functions = list(branches)
    if default is not None:
        if not callable(default):
            raise TypeError(
                f"platform_dependent: the default branch must be callable, got {default!r}.\n"
                f"  {user_line()}"
            )
        platforms.append(None)
        functions.append(default)
    index = platform_index_p.bind(platforms=tuple(platforms))
    known = value_of(index)
    if isinstance(known, Tracer):
        if len(functions) == 1 and default is None:
            # A switch of one branch reads no index; kept, it still refuses other platforms.
            dce_sink(index)
        return switch(index, functions, *args)
    return functions[int(known)](*args)
