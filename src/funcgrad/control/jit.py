"""jit: trace once for each signature, keep the jaxpr, run it as one primitive.

In: a function of pytrees. Out: a `JitFunction`. The one idea: a call flattens its arguments,
looks up the traced program by their avals and tree, and binds one `jit` eqn. Transforms see that
eqn and act on the program inside it; evaluation runs the simplified program.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import config
from ..core import collecting
from ..core.axes import move_axis
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData
from ..core.remote import RemoteArray
from ..core.trace import Tracer
from ..core.zeros import UndefinedPrimal, Zero
from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr, Eqn, all_consts
from ..locks import lock
from ..passes.dce import dce
from ..passes.simplify import simplify
from ..transforms.batch import batch_jaxpr
from ..transforms.jvp import jvp_jaxpr
from ..transforms.linearize import PartialTrace, split_jaxpr
from ..transforms.transpose import transpose_jaxpr
from .announcing import announced
from .tracing import ControlPrimitive

if TYPE_CHECKING:
    from ..kernels.runtime.launch import Executable
    from ..kernels.runtime.scripts import Script

_simplified: weakref.WeakKeyDictionary[ClosedJaxpr, dict[bool, ClosedJaxpr]]
_simplified = weakref.WeakKeyDictionary()
_lock = lock()


def simplified(closed: ClosedJaxpr, whole: bool = False) -> ClosedJaxpr:
    """The simplified program of a jaxpr, made once.

    Args:
        whole: for a machine with kernels of whole calls, such as attention: a GPU.
    """
    found = _simplified.get(closed, {}).get(whole)
    if found is None:
        found = simplify(closed, whole)
        if any(eqn.primitive.name == "scan" for eqn in found.jaxpr.eqns):
            from .motion import moved

            less = moved(found, jit_p, partial(simplified, whole=whole))
            found = found if less is None else simplify(less, whole)
        with _lock:
            _simplified.setdefault(closed, {})[whole] = found
    return found


def simplified_for_gpu(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The simplified program of a jaxpr, with what a GPU has kernels of the whole for."""
    return simplified(closed, whole=True)


_executables: weakref.WeakKeyDictionary[ClosedJaxpr, Executable] = weakref.WeakKeyDictionary()
_scripts: weakref.WeakKeyDictionary[ClosedJaxpr, dict[str, Script]] = weakref.WeakKeyDictionary()


def executable(closed: ClosedJaxpr) -> Executable:
    """The compiled program of a jaxpr, made once."""
    found = _executables.get(closed)
    if found is None:
        from ..kernels.warm import executable_for

        name = closed.jaxpr.debug_name or "a program"
        with collecting.put_off(), announced("compiling", name, closed.in_avals):
            found = executable_for(closed, simplified)
        with _lock:
            _executables[closed] = found
    return found


def script(closed: ClosedJaxpr, lowering: str) -> Script:
    """The program of a jaxpr as Python, made once for each of "source" and "python"."""
    found = _scripts.get(closed, {}).get(lowering)
    if found is None:
        from ..kernels import pipeline

        stages = pipeline.lower(simplified(closed), simplified)
        found = pipeline.script(stages, lowering)
        with _lock:
            _scripts.setdefault(closed, {})[lowering] = found
    return found


def run(closed: ClosedJaxpr, arrays: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The outputs of a program on NumPy arrays; none is NaN where the options forbid that."""
    if config.debug_nans or config.debug_infs:
        from .blame import check_results

        outs = run_as_lowered(closed, arrays)
        check_results(closed, arrays, outs)
        return outs
    return run_as_lowered(closed, arrays)


def run_as_lowered(closed: ClosedJaxpr, arrays: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The outputs of a program, by the way that `config.lowering` says."""
    if config.lowering == "numpy":
        return run_numpy(simplified(closed), arrays)
    if config.lowering != "fast":
        return script(closed, config.lowering)(arrays)
    if config.profile:
        from .profiling import run_profiled

        return run_profiled(closed, arrays, simplified)
    return executable(closed)(arrays)


class Jit(ControlPrimitive):
    """Apply a jaxpr as one unit."""

    name = "jit"
    unprinted = ("donated", "inline")
    tested_in = "tests/control/test_jit.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["jaxpr"].out_avals

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        return run(params["jaxpr"], arrays)

    def held(self, params: dict[str, Any]) -> Sequence[Any]:
        return captured(params["jaxpr"])

    def stage(self, trace: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        if params["inline"]:
            return eval_closed(params["jaxpr"], *args)
        return trace.emit(self, args, params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        nonzero = [not isinstance(t, Zero) for t in tangents]
        closed, nonzero_outs = jvp_jaxpr(params["jaxpr"], nonzero)
        given = [t for t in tangents if not isinstance(t, Zero)]
        outs = self.bind(*primals, *given, **rebuilt(params, closed))
        count = len(params["jaxpr"].jaxpr.outvars)
        rest = iter(outs[count:])
        out_tangents = [
            next(rest) if nz else Zero(a.to_tangent())
            for a, nz in zip(params["jaxpr"].out_avals, nonzero_outs, strict=True)
        ]
        return outs[:count], out_tangents

    def partial_eval(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Run the known part now; write the unknown part down as a jit of its own."""
        unknown = [trace.is_unknown(x) for x in args]
        split = split_jaxpr(params["jaxpr"], unknown)
        known_args = [x for x, u in zip(args, unknown, strict=True) if not u]
        known = trace.bind_known(self, known_args, rebuilt(params, split.known))
        count = len(known) - split.residual_count
        rest = [x for x, u in zip(args, unknown, strict=True) if u]
        outs: list[Any] = []
        if any(split.out_unknown) or split.unknown.effects:
            new = rebuilt(params, split.unknown)
            outs = trace.unknown.emit(self, [*known[count:], *rest], new)
        known_iter, unknown_iter = iter(known[:count]), iter(outs)
        return [next(unknown_iter if u else known_iter) for u in split.out_unknown]

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        linear = [isinstance(x, UndefinedPrimal) for x in args]
        nonzero = [not isinstance(c, Zero) for c in ct]
        closed, nonzero_ins = transpose_jaxpr(params["jaxpr"], linear, nonzero)
        values = [x for x, is_linear in zip(args, linear, strict=True) if not is_linear]
        given = [c for c in ct if not isinstance(c, Zero)]
        outs = iter(self.bind(*values, *given, **rebuilt(params, closed)))
        nonzero_iter = iter(nonzero_ins)
        return [
            (next(outs) if next(nonzero_iter) else Zero(x.aval)) if is_linear else None
            for x, is_linear in zip(args, linear, strict=True)
        ]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        batched = [d is not None for d in dims]
        closed, out_batched = batch_jaxpr(params["jaxpr"], axis, batched)
        moved = [x if d is None else move_axis(x, d, 0) for x, d in zip(args, dims, strict=True)]
        outs = self.bind(*moved, **rebuilt(params, closed))
        return outs, [0 if b else None for b in out_batched]

    def inlined(self, eqn: Eqn) -> ClosedJaxpr:
        """The program, which simplification puts in place of the eqn."""
        return eqn.params["jaxpr"]

    def dce(self, eqn: Eqn, used_outputs: Sequence[bool]) -> Eqn | None:
        """The eqn giving only the outputs that are used, from the inputs they need."""
        closed: ClosedJaxpr = eqn.params["jaxpr"]
        if not any(used_outputs) and not eqn.effects:
            return None
        jaxpr, used = dce(closed.jaxpr, used_outputs, keep_inputs=False)
        if all(used) and all(used_outputs) and len(jaxpr.eqns) == len(closed.jaxpr.eqns):
            return eqn
        params = rebuilt(eqn.params, ClosedJaxpr(jaxpr, closed.consts))
        invars = [a for a, u in zip(eqn.invars, used, strict=True) if u]
        outvars = [v for v, u in zip(eqn.outvars, used_outputs, strict=True) if u]
        return eqn.replace(invars=invars, outvars=outvars, params=params)


def rebuilt(params: dict[str, Any], closed: ClosedJaxpr) -> dict[str, Any]:
    """The params of a jit eqn for another program of the same name; donation is the caller's."""
    return {**params, "jaxpr": closed, "donated": ()}


jit_p = Jit()

_captured: weakref.WeakKeyDictionary[ClosedJaxpr, list[Any]] = weakref.WeakKeyDictionary()


def captured(closed: ClosedJaxpr) -> list[Any]:
    """The arrays of devices that a program and those inside of it have captured."""
    found = _captured.get(closed)
    if found is None:
        found = [x for x in all_consts(closed) if type(x) is RemoteArray]
        _captured[closed] = found
    return found


def leading_tracers(closed: ClosedJaxpr) -> tuple[ClosedJaxpr, list[Any]]:
    """A program whose captured tracers are leading operands, and those operands."""
    captured = [isinstance(c, Tracer) for c in closed.consts]
    if not any(captured):
        return closed, []
    jaxpr = closed.jaxpr
    hoisted = [v for v, t in zip(jaxpr.constvars, captured, strict=True) if t]
    kept = [v for v, t in zip(jaxpr.constvars, captured, strict=True) if not t]
    consts = tuple(c for c, t in zip(closed.consts, captured, strict=True) if not t)
    operands = [c for c, t in zip(closed.consts, captured, strict=True) if t]
    new = jaxpr.replace(constvars=kept, invars=[*hoisted, *jaxpr.invars])
    return ClosedJaxpr(new, consts), operands
