"""composite: a function that stays one named eqn of the program, for compilers that know its name.

In: a function, a name, a version. Out: the function of the same values, whose call is one eqn with
its name and keyword arguments beside the jaxpr that defines it. The one idea: whoever does not
know the name runs the jaxpr.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np

from .. import tree
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData
from ..core.sources import user_line
from ..core.trace import Tracer
from ..core.zeros import Zero
from ..errors import UnexpectedTracerError
from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr, Eqn
from ..transforms.batch import batch_flat
from .flat import name_of, wraps
from .jit import simplified
from .tracing import ControlPrimitive, avals_of_leaves, trace_body


class Composite(ControlPrimitive):
    """A named operation, defined by `jaxpr`; operands: what it captured, then the arguments."""

    name = "composite"
    tested_in = "tests/control/test_composite.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["jaxpr"].out_avals

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        return run_numpy(simplified(params["jaxpr"]), list(arrays))

    def inlined(self, eqn: Eqn) -> ClosedJaxpr:
        """The definition, which simplification puts in place of the eqn."""
        return eqn.params["jaxpr"]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        if all(isinstance(t, Zero) for t in tangents):
            outs = self.bind(*primals, **params)
            return outs, [Zero(a.to_tangent()) for a in params["jaxpr"].out_avals]
        self._refuse("JVP", params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> NoReturn:
        self._refuse("Transpose", params)

    def _refuse(self, rule: str, params: dict[str, Any]) -> NoReturn:
        raise ValueError(
            f"{rule} rule for composite: {params['name']!r} has none, its decomposition is not "
            f"looked into.\n  {user_line()}\n"
            "  Wrap the call in a function with a custom_jvp or custom_vjp."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        # The name and the attributes (an axis, say) speak of one element: a batch is no longer it.
        return batch_flat(partial(eval_closed, params["jaxpr"]), axis, args, dims)


composite_p = Composite()


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """The function decomposition, as one operation of this name in the program.

    Args:
        decomposition: a function of pytrees of arrays; keyword arguments are static attributes.
        name: of the operation, such as "my.softmax".
        version: number that changes with the meaning of the operation.
    Returns:
        A function of the same arguments and result. It has no derivatives: wrap it in a
        function with a custom_jvp or custom_vjp. A batch runs the decomposition.
    Raises:
        UnexpectedTracerError: the decomposition closes over a traced value, or an attribute is
            one.
    """

    @wraps(decomposition)
    def call(*args: Any, **attributes: Any) -> Any:
        leaves, treedef = tree.flatten(args)
        avals = avals_of_leaves(f"the arguments of {name}", args, leaves)
        flat = {key: tree.flatten(value) for key, value in attributes.items()}
        _check_known("an attribute", name, [x for known, _ in flat.values() for x in known])
        fun = partial(decomposition, **attributes)
        body = trace_body(fun, treedef, avals, name_of(decomposition))
        _check_known("a constant", name, body.captured)
        outs = composite_p.bind(
            *body.captured,
            *leaves,
            attributes=tuple((key, tuple(known), kind) for key, (known, kind) in flat.items()),
            jaxpr=body.closed,
            name=name,
            version=version,
        )
        return tree.unflatten(body.out_tree, outs)

    return call


def _check_known(what: str, name: str, values: Sequence[Any]) -> None:
    if any(isinstance(x, Tracer) for x in values):
        raise UnexpectedTracerError(
            f"A traced value is {what} of the composite {name!r}: the decomposition is traced "
            f"apart.\n  {user_line()}\n  Pass the value as a positional argument."
        )
