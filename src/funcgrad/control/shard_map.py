"""shard_map as a primitive: one program, run by a rank on each device of a mesh.

In: a jaxpr of the parts that one device has, a mesh, and specs that say which parts these are. Out:
whole arrays. The one idea: the body is an ordinary jaxpr whose collectives name the axes of the
mesh, so each transform acts on the body; only the specs of what comes beside must be said.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import tree
from ..config import config
from ..core.axes import move_axis
from ..core.context import context, extend_axes
from ..core.evaluate import eval_closed
from ..core.meshes import Mesh, PartitionSpec, firsts, parts, whole_shape
from ..core.primitive import AxisData, check_finite
from ..core.ranks import run_ranks
from ..core.remote import RemoteArray
from ..core.shardings import NamedSharding
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import eval_trace
from ..core.zeros import UndefinedPrimal, Zero
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Var, convert_constvars, subjaxprs
from ..ir.sources import describe
from ..passes.dce import dce
from ..primitives.arithmetic import div
from ..primitives.creation import full
from ..primitives.movement import reshape
from ..transforms.batch import batch_jaxpr
from ..transforms.jvp import jvp_jaxpr
from ..transforms.linearize import PartialTrace, split_jaxpr
from ..transforms.transpose import transpose_jaxpr
from .exchanges import Collective, psum_p
from .flat import FlatFunction
from .jit import executable, run_as_lowered, simplified
from .tracing import ControlPrimitive, drop, merge, pick
from .varying import own, varying

NDArray = np.ndarray[Any, Any]
Specs = tuple[PartitionSpec, ...]


@contextmanager
def inside(mesh: Mesh) -> Generator[None]:
    """The axes of a mesh are in scope."""
    with extend_axes(*mesh.shape.items()):
        yield


class ShardMap(ControlPrimitive):
    """Apply a jaxpr to the parts of arrays on each device of a mesh."""

    name = "shard_map"
    tested_in = "tests/control/test_shard_map.py"

    def axis_names(self, params: dict[str, Any]) -> frozenset[Any]:
        """The axes named inside that are not the mesh's."""
        return super().axis_names(params) - set(params["mesh"].axis_names)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        sizes = params["mesh"].shape
        return [
            a.update(shape=whole_shape(spec, a.shape, sizes))
            for a, spec in zip(params["jaxpr"].out_avals, params["out_specs"], strict=True)
        ]

    def evaluate(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        from .laid import Laid, host_mesh
        from .meshed import mesh_home

        home = mesh_home(params["mesh"])
        if home is not None:
            return home.evaluate(self, args, params)
        # The mesh says that it is done on the CPU, wherever the arrays are.
        outs = self.evaluate_here(args, params)
        if not any(type(x) is RemoteArray and isinstance(x.alive(), Laid) for x in args):
            return outs
        shardings = [NamedSharding(params["mesh"], spec) for spec in params["out_specs"]]
        return [host_mesh(s).lay(y, s) for s, y in zip(shardings, outs, strict=True)]

    def impl(self, *arrays: Any, **params: Any) -> list[NDArray]:
        return on_host(
            params["jaxpr"], params["mesh"], params["in_specs"], params["out_specs"], arrays
        )

    def check(self, arrays: Sequence[Any], params: dict[str, Any], outs: Sequence[Any]) -> None:
        check_finite(self, outs)

    # Transforms.

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        nonzero = [not isinstance(t, Zero) for t in tangents]
        with inside(params["mesh"]):
            closed, nonzero_outs = jvp_jaxpr(params["jaxpr"], nonzero)
        ins, outs = params["in_specs"], params["out_specs"]
        made = self.bind(
            *primals,
            *pick(tangents, nonzero),
            **rebuilt(
                params, closed, [*ins, *pick(ins, nonzero)], [*outs, *pick(outs, nonzero_outs)]
            ),
        )
        rest = iter(made[len(outs) :])
        whole = self.abstract_eval(**params)
        out_tangents = [
            next(rest) if nz else Zero(a.to_tangent())
            for a, nz in zip(whole, nonzero_outs, strict=True)
        ]
        return made[: len(outs)], out_tangents

    def partial_eval(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Run the known part now; residuals are put beside each other, one of each rank."""
        unknown = [trace.is_unknown(x) for x in args]
        mesh, ins, outs = params["mesh"], params["in_specs"], params["out_specs"]
        with inside(mesh):
            split = split_jaxpr(params["jaxpr"], unknown)
            kept = residuals(split.known, split.unknown, split.residual_count)
        known_args, known_ins = drop(args, unknown), drop(ins, unknown)
        beside = [stacked(mesh)] * kept.made
        known_outs = [*drop(outs, split.out_unknown), *beside]
        made = trace.bind_known(
            self, known_args, rebuilt(params, kept.known, known_ins, known_outs)
        )
        count = len(made) - kept.made
        if not any(split.out_unknown) and not split.unknown.effects:
            return made
        given = [*made[count:], *[known_args[k] for k in kept.passed], *pick(args, unknown)]
        specs = [*beside, *[known_ins[k] for k in kept.passed], *pick(ins, unknown)]
        new = rebuilt(params, kept.unknown, specs, pick(outs, split.out_unknown))
        return merge(split.out_unknown, trace.unknown.emit(self, given, new), made[:count])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        mesh, ins, outs = params["mesh"], params["in_specs"], params["out_specs"]
        linear = [isinstance(x, UndefinedPrimal) for x in args]
        nonzero = [not isinstance(c, Zero) for c in ct]
        cts, ct_specs = pick(ct, nonzero), pick(outs, nonzero)
        with inside(mesh):
            closed, nonzero_ins = transposed(params["jaxpr"], linear, nonzero, (ins, outs), mesh)
        wanted = pick(pick(ins, linear), nonzero_ins)
        new = rebuilt(params, closed, [*drop(ins, linear), *ct_specs], wanted)
        made = iter(self.bind(*drop(args, linear), *cts, **new))
        has = iter(nonzero_ins)
        return [
            (next(made) if next(has) else Zero(x.aval)) if is_linear else None
            for x, is_linear in zip(args, linear, strict=True)
        ]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        batched = [d is not None for d in dims]
        with inside(params["mesh"]):
            closed, out_batched = batch_jaxpr(params["jaxpr"], axis, batched)
        moved = [x if d is None else move_axis(x, d, 0) for x, d in zip(args, dims, strict=True)]
        specs = (
            [s.with_batch(0) if b else s for s, b in zip(params[key], marks, strict=True)]
            for key, marks in (("in_specs", batched), ("out_specs", out_batched))
        )
        outs = self.bind(*moved, **rebuilt(params, closed, *specs))
        return outs, [0 if b else None for b in out_batched]

    def dce(self, eqn: Eqn, used_outputs: Sequence[bool]) -> Eqn | None:
        """The eqn giving only the outputs that are used, from the inputs they need."""
        closed: ClosedJaxpr = eqn.params["jaxpr"]
        if not any(used_outputs) and not eqn.effects:
            return None
        jaxpr, used = dce(closed.jaxpr, used_outputs, keep_inputs=False)
        if all(used) and all(used_outputs):
            return eqn
        new = rebuilt(
            eqn.params,
            ClosedJaxpr(jaxpr, closed.consts),
            pick(eqn.params["in_specs"], used),
            pick(eqn.params["out_specs"], used_outputs),
        )
        invars, outvars = pick(eqn.invars, used), pick(eqn.outvars, used_outputs)
        return eqn.replace(invars=invars, outvars=outvars, params=new)


shard_map_p = ShardMap()


def rebuilt(
    params: dict[str, Any],
    closed: ClosedJaxpr,
    ins: Sequence[PartitionSpec],
    outs: Sequence[PartitionSpec],
) -> dict[str, Any]:
    """The params for another body, with the specs of what it takes and gives."""
    return {**params, "jaxpr": closed, "in_specs": tuple(ins), "out_specs": tuple(outs)}


def stacked(mesh: Mesh) -> PartitionSpec:
    """The spec of what each rank has one of, beside each other along a leading axis."""
    return PartitionSpec(mesh.axis_names)


def unmentioned(spec: PartitionSpec, mesh: Mesh) -> tuple[Any, ...]:
    """The axes over which an array of a spec is the same everywhere."""
    named = spec.mentioned()
    return tuple(name for name in mesh.axis_names if name not in named)


class Kept:
    """A split body with its residuals as arrays beside each other.

    Attributes:
        known: gives the known outputs, then residuals with a leading axis of one element.
        unknown: takes these, then known inputs that it needs as they are, then the unknown inputs.
        made: how many residuals are made; `passed`: which known inputs are passed on.
    """

    def __init__(
        self, known: ClosedJaxpr, unknown: ClosedJaxpr, made: int, passed: list[int]
    ) -> None:
        self.known = known
        self.unknown = unknown
        self.made = made
        self.passed = passed


_kept: weakref.WeakKeyDictionary[ClosedJaxpr, tuple[ClosedJaxpr, Kept]]
_kept = weakref.WeakKeyDictionary()


def residuals(known: ClosedJaxpr, unknown: ClosedJaxpr, count: int) -> Kept:
    """What passes from the known to the unknown half of a body, ready to leave the ranks."""
    found = _kept.get(known)
    if found is None or found[0] is not unknown:
        found = _kept[known] = unknown, _residuals(known, unknown, count)
    return found[1]


def _residuals(known: ClosedJaxpr, unknown: ClosedJaxpr, count: int) -> Kept:
    outvars = known.jaxpr.outvars
    first = len(outvars) - count
    where = {v: k for k, v in enumerate(known.jaxpr.invars)}
    source = [where.get(v) if type(v) is Var else None for v in outvars[first:]]
    made = [k for k in range(count) if source[k] is None]
    passed = [k for k in range(count) if source[k] is not None]

    def forward(*values: Any) -> list[Any]:
        outs = eval_closed(known, *values)
        own = [reshape(outs[first + k], (1, *aval_of(outs[first + k]).shape)) for k in made]
        return [*outs[:first], *own]

    def rest(*values: Any) -> list[Any]:
        taken: list[Any] = [None] * count
        for k, x in zip(made, values, strict=False):
            taken[k] = reshape(x, aval_of(x).shape[1:])
        for k, x in zip(passed, values[len(made) :], strict=False):
            taken[k] = x
        return eval_closed(unknown, *taken, *values[count:])

    avals = unknown.in_avals
    ins = [avals[k].update(shape=(1, *avals[k].shape)) for k in made]
    ins += [avals[k] for k in passed]
    name = known.jaxpr.debug_name
    made_known = stage(forward, known.in_avals, name)
    made_unknown = stage(rest, [*ins, *avals[count:]], name)
    return Kept(made_known, made_unknown, len(made), [k for k in source if k is not None])


_transposed: weakref.WeakKeyDictionary[ClosedJaxpr, dict[Any, tuple[ClosedJaxpr, list[bool]]]]
_transposed = weakref.WeakKeyDictionary()


def transposed(
    closed: ClosedJaxpr,
    linear: Sequence[bool],
    nonzero: Sequence[bool],
    specs: tuple[Specs, Specs],
    mesh: Mesh,
) -> tuple[ClosedJaxpr, list[bool]]:
    """The transpose of a body, for whole cotangents and of whole arguments.

    What every rank gave alike has one cotangent, of which each takes its share. Cotangents of what
    every rank was given alike are added over the ranks.

    Args:
        linear: which inputs the body is linear in; `nonzero`: which outputs have a cotangent.
    """
    key = (tuple(linear), tuple(nonzero), specs, mesh)
    known = _transposed.setdefault(closed, {})
    if key not in known:
        known[key] = _transpose(closed, linear, nonzero, specs, mesh)
    return known[key]


def _transpose(
    closed: ClosedJaxpr,
    linear: Sequence[bool],
    nonzero: Sequence[bool],
    specs: tuple[Specs, Specs],
    mesh: Mesh,
) -> tuple[ClosedJaxpr, list[bool]]:
    backward, nonzero_ins = transpose_jaxpr(closed, linear, nonzero)
    values = len(closed.in_avals) - sum(linear)
    shares = [
        math.prod(mesh.shape[n] for n in unmentioned(s, mesh)) for s in pick(specs[1], nonzero)
    ]
    wanted = pick(pick(specs[0], linear), nonzero_ins)

    def run(*given: Any) -> list[Any]:
        cts = [_share(x, n) for x, n in zip(given[values:], shares, strict=True)]
        outs = eval_closed(backward, *given[:values], *cts)
        return [_over(x, unmentioned(s, mesh)) for x, s in zip(outs, wanted, strict=True)]

    return stage(run, backward.in_avals, closed.jaxpr.debug_name), nonzero_ins


def _share(ct: Any, count: int) -> Any:
    if count == 1 or aval_of(ct).dtype == dtypes.float0:
        return ct
    return div(ct, full((), count, aval_of(ct).dtype))


def _over(ct: Any, names: tuple[Any, ...]) -> Any:
    return psum_p.bind(ct, axes=names) if names else ct


# Making the eqn.

OutSpecs = Callable[[Any, Sequence[ShapedArray]], Sequence[PartitionSpec]]


def sharded(
    flat: FlatFunction,
    mesh: Mesh,
    in_specs: Sequence[PartitionSpec],
    out_specs: OutSpecs,
    arrays: Sequence[Any],
    avals: Sequence[ShapedArray],
    check: bool,
) -> Any:
    """The result of a function that runs on each device of a mesh.

    What the function closes over, every device has whole.

    Args:
        out_specs: gives the specs of the results for their tree and the avals of their parts.
        avals: of the parts of the arrays that one device has.
        check: whether results must be seen to be the same over axes that their specs leave out.
    """
    with inside(mesh):
        staged = stage(flat, avals, flat.name)
    names = frozenset(mesh.axis_names)
    closed = same(ClosedJaxpr(own(convert_constvars(staged.jaxpr), names)))
    outs = tuple(out_specs(flat.out_tree, closed.out_avals))
    specs = (*[PartitionSpec()] * len(staged.consts), *in_specs)
    if check:
        check_replicated(flat, closed, mesh, specs, outs)
    made = shard_map_p.bind(
        *staged.consts, *arrays, jaxpr=closed, mesh=mesh, in_specs=specs, out_specs=outs
    )
    return tree.unflatten(flat.out_tree, made)


def check_replicated(
    flat: FlatFunction, closed: ClosedJaxpr, mesh: Mesh, ins: Specs, outs: Specs
) -> None:
    """Raise ValueError for a result that may differ over an axis that its spec does not name."""
    found = varying(simplified(closed), [spec.mentioned() for spec in ins])
    sizes = mesh.shape
    whole = tree.unflatten(flat.out_tree, [object()] * flat.out_tree.num_leaves)
    paths = [tree.keystr(path) for path, _ in tree.leaves_with_path(whole)]
    for path, axes, spec, aval in zip(paths, found, outs, closed.out_avals, strict=True):
        over = [n for n in mesh.axis_names if n in axes - spec.mentioned() and sizes[n] > 1]
        if over:
            raise ValueError(
                f"shard_map({flat.name}): out_specs gives {spec!r} for the result{path}, "
                f"{aval.long()} on each device, which may differ over the axis {over[0]!r}.\n"
                f"  {user_line()}\n  Reduce it by lax.psum or lax.pmean, or name the axis in its "
                "spec; if it is the same on all devices all the same, give check_vma=False."
            )


_limit = 256
_bodies: dict[Any, ClosedJaxpr] = {}


def same(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The first body that said the same: for that one there are compiled programs and transforms.

    A function that is not jitted is traced at every call, so that it may close over what changes.
    """
    if (context.trace or eval_trace) is not eval_trace:
        return closed
    from ..kernels.canonical import Canonical, NoText

    try:
        key = Canonical(closed).text, lines_of(closed), closed.jaxpr.debug_name
    except NoText:
        return closed
    if len(_bodies) >= _limit:
        _bodies.pop(next(iter(_bodies)), None)
    return _bodies.setdefault(key, closed)


# Running on the CPU.


def on_host(
    closed: ClosedJaxpr, mesh: Mesh, in_specs: Specs, out_specs: Specs, arrays: Sequence[NDArray]
) -> list[NDArray]:
    """The whole results of a body, run by a thread for each device of the mesh.

    Raises:
        RanksDivergeError: the ranks came to different collectives.
    """
    taken = [list(parts(s, x.shape, mesh)) for s, x in zip(in_specs, arrays, strict=True)]
    outs: list[NDArray] = []
    given: list[tuple[set[int], list[Any]]] = []
    for aval, spec in zip(closed.out_avals, out_specs, strict=True):
        whole = np.empty(whole_shape(spec, aval.shape, mesh.shape), aval.dtype)
        outs.append(whole)
        given.append((set(firsts(spec, mesh)), list(parts(spec, whole.shape, mesh))))
    if config.lowering == "fast":
        # Compiled once, and not by each of the ranks.
        executable(closed)

    def run(number: int) -> None:
        mine = [np.ascontiguousarray(x[at[number]]) for x, at in zip(arrays, taken, strict=True)]
        results = run_as_lowered(closed, mine)
        for x, whole, (which, at) in zip(results, outs, given, strict=True):
            if number in which:
                whole[at[number]] = x

    run_ranks(mesh.coordinates(), run, lambda: lines_of(closed))
    return outs


def lines_of(closed: ClosedJaxpr) -> str:
    """The collectives of a program and the user's lines they come from."""
    found = dict.fromkeys(_collectives(closed.jaxpr))
    return "\n".join(["  Its collectives are", *(f"    {line}" for line in found)])


def _collectives(jaxpr: Jaxpr) -> Iterator[str]:
    for eqn in jaxpr.eqns:
        if isinstance(eqn.primitive, Collective) and eqn.invars:
            yield f"{eqn.primitive.name}: {describe(eqn.source)}"
        for inner in subjaxprs(eqn.params):
            yield from _collectives(inner)
