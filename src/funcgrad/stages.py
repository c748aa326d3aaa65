"""The stages of a jitted function as values: traced, lowered, compiled.

`jit(f).trace(x)` gives `Traced`, its `.lower()` gives `Lowered`, its `.compile()` gives
`Compiled`, which can be called. Each is printable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from . import tree
from .core.array import Array, to_ndarray
from .core.evaluate import run_numpy
from .core.primitive import wrap
from .core.shapes import ShapeDtypeStruct
from .ir.avals import aval_of, size_of
from .ir.jaxpr import ClosedJaxpr


class Stage:
    """What every stage knows.

    Attributes:
        fun_name: name of the function.
        in_tree: tree of `(args, kwargs)`.
        out_tree: tree of the result.
    """

    def __init__(self, closed: ClosedJaxpr, fun_name: str, in_tree: Any, out_tree: Any) -> None:
        self._closed = closed
        self.fun_name = fun_name
        self.in_tree = in_tree
        self.out_tree = out_tree

    @property
    def out_info(self) -> Any:
        """Shapes and dtypes of the result, as its tree."""
        infos = [
            ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type)
            for a in self._closed.out_avals
        ]
        return tree.unflatten(self.out_tree, infos)

    @property
    def in_avals(self) -> list[Any]:
        """Avals of the inputs, flat."""
        return self._closed.in_avals

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fun_name})\n{self._closed}"


class Traced(Stage):
    """The jaxpr as the function wrote it."""

    def __init__(
        self,
        closed: ClosedJaxpr,
        fun_name: str,
        in_tree: Any,
        out_tree: Any,
        simplify: Callable[[ClosedJaxpr], ClosedJaxpr],
    ) -> None:
        super().__init__(closed, fun_name, in_tree, out_tree)
        self._simplify = simplify

    @property
    def jaxpr(self) -> ClosedJaxpr:
        """The program as traced."""
        return self._closed

    def lower(self) -> Lowered:
        """The simplified program."""
        return Lowered(self, self._simplify(self._closed))


class Lowered(Stage):
    """The simplified jaxpr, ready to be run."""

    def __init__(self, traced: Traced, simple: ClosedJaxpr) -> None:
        super().__init__(simple, traced.fun_name, traced.in_tree, traced.out_tree)
        self.jaxpr = traced.jaxpr

    @property
    def simplified(self) -> ClosedJaxpr:
        """The program after simplification."""
        return self._closed

    def as_text(self) -> str:
        """The simplified program as text."""
        return str(self._closed)

    def cost_analysis(self) -> dict[str, Any]:
        """How many eqns of each primitive there are, and how many bytes the outputs take."""
        count = Counter(eqn.primitive.name for eqn in self._closed.eqns)
        size = sum(size_of(a.shape) * a.dtype.itemsize for a in self._closed.out_avals)
        return {"eqns": dict(count), "bytes of outputs": size}

    def compile(self) -> Compiled:
        """Something that runs the program."""
        return Compiled(self)


class Compiled(Stage):
    """A program that can be called with arguments of the traced signature."""

    def __init__(self, lowered: Lowered) -> None:
        super().__init__(lowered.simplified, lowered.fun_name, lowered.in_tree, lowered.out_tree)

    def as_text(self) -> str:
        """The program as text."""
        return str(self._closed)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = tree.flatten((args, kwargs))
        if in_tree != self.in_tree:
            raise TypeError(
                f"{self.fun_name} was compiled for arguments of structure {self.in_tree}, and "
                f"called with {in_tree}. Lower it again for these."
            )
        for i, (leaf, aval) in enumerate(zip(leaves, self.in_avals, strict=True)):
            got = aval_of(leaf)
            if (got.shape, got.dtype) != (aval.shape, aval.dtype):
                raise TypeError(
                    f"{self.fun_name} was compiled for {aval.long()} at argument leaf {i}, and "
                    f"called with {got.long()}. Lower it again for these types."
                )
        arrays = [x.numpy() if type(x) is Array else to_ndarray(x) for x in leaves]
        results = run_numpy(self._closed, arrays)
        outs = [wrap(r, a) for r, a in zip(results, self._closed.out_avals, strict=True)]
        return tree.unflatten(self.out_tree, outs)
