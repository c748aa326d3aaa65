"""Functions of the NumPy layer without jit: from the second call of a signature on, by a plan.

In: a function that is made of primitives. Out: the same function. The one idea: what such a
function does hangs on avals and numbers alone, so the steps that a call would take, checks,
promotion and weak types among them, are found once by tracing; a later call runs the same NumPy
rules on the memory of its arguments, and nothing else. The bits are those of the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial, update_wrapper
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .. import errors, tree
from ..config import config, updates
from ..core.array import Array, to_ndarray
from ..core.context import context
from ..core.primitive import Primitive, wrap
from ..core.quiet import quiet
from ..core.sources import current_source
from ..core.staging import stage
from ..core.straight import straight
from ..core.trace import eval_trace
from ..ir.avals import AnyArray, ShapedArray
from ..ir.cautions import cautions
from ..ir.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, subjaxprs
from ..locks import lock
from ..passes.simplify import inlined
from .jit import jit_p

P = ParamSpec("P")
R = TypeVar("R")

# What a later call does with its arrays.
Plan = Callable[[Sequence[Array]], Any]

_limit = 1024
_few = 1024
_once: Any = object()  # in the place of a plan: the signature was met once
_never: Any = object()  # the function looks at values, or does more than computing
_keywords = object()  # in a key: what follows are keyword arguments
_plain = {int, bool, str, type(None)}
_leaf = tree.structure(0)
# What is raised where a function needs the values of its arguments.
_looks_at_values = (
    errors.ConcretizationTypeError,
    errors.TracerArrayConversionError,
    errors.TracerIntegerConversionError,
    errors.NonConcreteBooleanIndexError,
)
_lock = lock()


def planned(fun: Callable[P, R]) -> Callable[P, R]:
    """The function, done by a plan where a call is like an earlier one.

    Calls are alike if their arrays have equal avals and all else is equal: numbers, texts, dtypes,
    and tuples, lists and slices of such. Under a transform, and under options that are about single
    operations, the function itself is called.

    Args:
        fun: of arrays and such values; its results hang on nothing else, and its checks on no
            values of arrays. It calls no function of the user's, whose lines would be lost.
    """
    plans: dict[Any, Any] = {}
    function: Callable[..., Any] = fun

    def call(*args: Any, **kwargs: Any) -> Any:
        trace = context.trace
        if trace is not None and trace is not eval_trace:
            return _of_one_line(function, args, kwargs)
        stamp = config.stamp
        if stamp[0] != updates[0]:
            stamp = config.present_stamp()
        number = stamp[2]
        if number < 0:
            return function(*args, **kwargs)
        parts: list[Any] = [number]
        arrays: list[Any] = []
        for x in args:
            kind: Any = type(x)  # pyright: ignore[reportUnknownVariableType]
            if kind is Array:
                parts.append(x.aval)
                arrays.append(x)
            elif kind in _plain:
                parts.append(kind)
                parts.append(x)
            elif not _describe(x, kind, parts, arrays):
                return function(*args, **kwargs)
        if kwargs and not _describe_keywords(kwargs, parts, arrays):
            return function(*args, **kwargs)
        key = tuple(parts)
        plan = plans.get(key)
        if plan is None:
            result = function(*args, **kwargs)
            _remember(plans, key, _once)
            return result
        if plan is _once:
            plan = _plan_of(function, args, kwargs, arrays)
            _remember(plans, key, plan)
        return function(*args, **kwargs) if plan is _never else plan(arrays)

    # A custom_jvp has fields that are not ours.
    update_wrapper(call, function, updated=())
    return call


def _of_one_line(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """A call under a transform: all that it binds is of the user's line, looked for once."""
    if context.source is not None:
        return function(*args, **kwargs)
    context.source = current_source(3)  # it, this function and `call` are above the user's
    try:
        return function(*args, **kwargs)
    finally:
        context.source = None


def _describe(x: Any, kind: Any, parts: list[Any], arrays: list[Any]) -> bool:
    """Add an argument to a key and its arrays to the others; False where that cannot be."""
    if kind is Array:
        parts.append(x.aval)
        arrays.append(x)
    elif kind in _plain:
        parts += (kind, x)
    elif kind is float or kind is complex:
        # 0.0 and -0.0 are equal.
        parts += (kind, x if x and kind is float else repr(x))
    elif kind is tuple or kind is list:
        parts += (kind, len(x))
        for y in x:
            inner: Any = type(y)  # pyright: ignore[reportUnknownVariableType]
            if inner in _plain:
                parts += (inner, y)
            elif not _describe(y, inner, parts, arrays):
                return False
    elif kind is slice:
        bounds = (x.start, x.stop, x.step)
        parts.append(kind)
        return all(_describe(y, type(y), parts, arrays) for y in bounds)
    elif isinstance(x, (type, np.dtype)) or x is Ellipsis:
        parts.append(x)
    else:
        return False
    return True


def _describe_keywords(kwargs: dict[str, Any], parts: list[Any], arrays: list[Any]) -> bool:
    parts.append(_keywords)
    for name, x in kwargs.items():
        parts.append(name)
        if not _describe(x, type(x), parts, arrays):
            return False
    return True


def _remember(plans: dict[Any, Any], key: Any, what: Any) -> None:
    with _lock:
        if len(plans) >= _limit and key not in plans:
            # A signal's handler may have dropped it meanwhile, in this very thread.
            plans.pop(next(iter(plans)), None)
        plans[key] = what


def make_plan(closed: ClosedJaxpr, out_tree: Any) -> Plan:
    """The steps of a function for one signature, on NumPy arrays."""
    jaxpr = closed.jaxpr
    run = _sole_step(closed) or straight(jaxpr, quick_rule)
    consts = [c.numpy() for c in closed.consts]
    # Results that are arguments, by their places.
    places: dict[Any, int] = {v: i for i, v in enumerate(jaxpr.invars)}
    given = [places.get(a, -1) for a in jaxpr.outvars]
    if out_tree == _leaf and given == [-1]:
        return _plan_of_one(run, consts, closed.out_avals[0])
    ends = list(zip(closed.out_avals, given, strict=True))

    def plan(arguments: Sequence[Array]) -> Any:
        out = quiet(run, *consts, *[x.numpy() for x in arguments])
        outs = [out] if len(ends) == 1 else out
        results = [
            wrap(y, aval) if i < 0 else arguments[i]
            for y, (aval, i) in zip(outs, ends, strict=True)
        ]
        return out_tree.unflatten(results) if out_tree != _leaf else results[0]

    return plan


def _plan_of_one(
    run: Callable[..., Any], consts: Sequence[np.ndarray[Any, Any]], aval: ShapedArray
) -> Plan:
    """A plan of one result, with as few steps around it as there can be."""
    ndarray = np.ndarray

    def plan(arguments: Sequence[Array]) -> Array:
        value = quiet(run, *consts, *[x.numpy() for x in arguments])
        if type(value) is not ndarray:
            value = np.asarray(value)
        value.setflags(write=False)
        return Array.of(value, aval)

    return plan


def _sole_step(closed: ClosedJaxpr) -> Callable[..., Any] | None:
    """What a program of one step does, if its operands are the arguments and nothing else."""
    jaxpr = closed.jaxpr
    if closed.consts or len(jaxpr.eqns) != 1:
        return None
    (eqn,) = jaxpr.eqns
    if eqn.primitive.multiple_results or jaxpr.outvars != eqn.outvars:
        return None
    return quick_rule(eqn) if eqn.invars == jaxpr.invars else None


def quick_rule(eqn: Eqn) -> Any:
    """The rule that evaluates an eqn without jit, with its params bound."""
    primitive: Primitive = eqn.primitive
    rule = primitive.quick or eqn.rule()
    if rule == primitive.impl and _knows_its_rule(type(primitive)):
        # What hangs on avals takes as long as few elements do.
        found = primitive.prepared([a.aval for a in eqn.invars], eqn.params)
        if found is not None:
            return found
    return partial(rule, **eqn.params) if eqn.params else rule


def _knows_its_rule(kind: type[Primitive]) -> bool:
    """Whether what a class prepares is the rule it has: none that one of its bases had."""
    owners = [next(c for c in kind.__mro__ if name in vars(c)) for name in ("prepared", "impl")]
    return issubclass(*owners)


def _plan_of(
    fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], arrays: list[Any]
) -> Any:
    """The plan for calls like this one, or `_never`."""
    trees: list[Any] = []

    def flat(*values: Any) -> Sequence[Any]:
        left = iter(values)
        out = fun(*_refilled(args, left), **_refilled(kwargs, left))
        leaves, out_tree = tree.flatten(out)
        trees.append(out_tree if all(isinstance(y, AnyArray) for y in leaves) else None)
        return leaves

    before = cautions()
    try:
        closed = stage(flat, [x.aval for x in arrays])
    except _looks_at_values:
        return _never
    if cautions() != before or trees[0] is None:
        return _never  # each call is to say it, or gives what is no array
    if _has_programs(closed.jaxpr):
        return _never  # what is compiled has bits of its own
    closed = inlined(closed)
    held = all(type(c) is Array for c in closed.consts)
    if not held or not all(map(_is_step, closed.jaxpr.eqns)):
        return _never
    return make_plan(_with_less_to_do(closed), trees[0])


def _with_less_to_do(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The program with the small arrays computed that hang on no argument."""
    jaxpr = closed.jaxpr
    known: dict[Any, Any] = {
        var: to_ndarray(value) for var, value in zip(jaxpr.constvars, closed.consts, strict=True)
    }
    left: list[Eqn] = []
    for eqn in jaxpr.eqns:
        values = [
            to_ndarray(a.val, a.aval) if type(a) is Literal else known.get(a) for a in eqn.invars
        ]
        small = all(v.aval.size <= _few for v in eqn.outvars)
        if not small or any(v is None for v in values):
            left.append(eqn)
            continue
        found = quiet(quick_rule(eqn), *values)
        outs = found if eqn.primitive.multiple_results else [found]
        for var, value, aval in zip(eqn.outvars, outs, [v.aval for v in eqn.outvars], strict=True):
            known[var] = wrap(np.array(value), aval).numpy()
    read = {a for eqn in left for a in eqn.invars if type(a) is not Literal}
    read.update(a for a in jaxpr.outvars if type(a) is not Literal)
    held = [v for v in known if v in read]
    consts = tuple(Array(known[v], v.aval) for v in held)
    return ClosedJaxpr(jaxpr.replace(constvars=held, eqns=left), consts)


def _refilled(x: Any, values: Iterator[Any]) -> Any:
    """The arguments with other values in the places of arrays."""
    if type(x) is Array:
        return next(values)
    given: Any = x
    if isinstance(x, dict):
        return {name: _refilled(y, values) for name, y in given.items()}
    if isinstance(x, (tuple, list)):
        items = [_refilled(y, values) for y in given]
        return items if isinstance(x, list) else tuple(items)
    return given


def _has_programs(jaxpr: Jaxpr) -> bool:
    """Whether a jitted function is called."""
    return any(
        eqn.primitive is jit_p or any(map(_has_programs, subjaxprs(eqn.params)))
        for eqn in jaxpr.eqns
    )


def _is_step(eqn: Eqn) -> bool:
    """Whether an eqn is evaluated by one call of a NumPy rule, without effects."""
    primitive: Primitive = eqn.primitive
    kind = type(primitive)
    plain = kind.evaluate is Primitive.evaluate and kind.evaluate_here is Primitive.evaluate_here
    return plain and not eqn.effects and not primitive.of_host
