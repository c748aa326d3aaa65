"""`odeint`: initial value problems by the method of Dormand and Prince, with steps of its choosing.

In: the rate of change of a state, and times. Out: the state at these times. Two ideas: a polynomial
through each step gives the state between its ends, so that steps need not end at the times asked
for; and in reverse mode the cotangent of the state follows an equation of its own, which is solved
backwards in time beside the state, so that no step is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import numpy as fnp
from .. import tree
from ..api.mapping import vmap
from ..api.reverse import vjp
from ..control.closure import closure_convert
from ..control.custom_vjp import custom_vjp
from ..control.loops import while_loop
from ..control.scan import scan
from ..core.sources import user_line
from ..flatten_util import ravel_pytree
from ..ir import dtypes
from ..ir.avals import is_value
from ..numpy.promotion import dtype_of, is_array, promote_dtypes_inexact, to_array

# Each row: when a stage is evaluated, as a share of the step, and what of the stages before it is
# added. The last row is the solution of order 5. Source: Dormand & Prince, J. Comput. Appl. Math.
# 6(1), 1980.
STAGES = (
    (1 / 5, (1 / 5,)),
    (3 / 10, (3 / 40, 9 / 40)),
    (4 / 5, (44 / 45, -56 / 15, 32 / 9)),
    (8 / 9, (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729)),
    (1.0, (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)),
    (1.0, (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)),
)
# The solution of order 5 less that of order 4.
ERROR = (
    35 / 384 - 1951 / 21600,
    0,
    500 / 1113 - 22642 / 50085,
    125 / 192 - 451 / 720,
    -2187 / 6784 + 12231 / 42400,
    11 / 84 - 649 / 6300,
    -1 / 60,
)
# The state in the middle of a step, to order 4. Source: Shampine, Math. Comp. 46(173), 1986.
MIDDLE = (
    6025192743 / 30085553152 / 2,
    0,
    51252292925 / 65400821598 / 2,
    -2691868925 / 45128329728 / 2,
    187940372067 / 1594534317056 / 2,
    -1776094331 / 19743644256 / 2,
    11237099 / 235043384 / 2,
)
# Row k holds the coefficients of θ⁴⁻ᵏ in the quartic with given state at the start, middle and end
# of a step (θ = 0, ½, 1), and given slopes h f at the start and the end.
QUARTIC = (
    (-8, 16, -8, -2, 2),
    (18, -32, 14, 5, -3),
    (-11, 16, -5, -4, 1),
    (0, 0, 0, 1, 0),
    (1, 0, 0, 0, 0),
)
# How a step follows the one before it: aim below the tolerance, and change by bounded factors.
SAFETY, LEAST_FACTOR, GREATEST_FACTOR = 0.9, 0.2, 10.0

Rate = Callable[[Any, Any], Any]


class Limits(NamedTuple):
    """How exact, how many steps from one time to the next, and how long these may be."""

    rtol: Any
    atol: Any
    mxstep: Any
    hmax: Any


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: Any = 1.4e-8,
    atol: Any = 1.4e-8,
    mxstep: Any = np.inf,
    hmax: Any = np.inf,
) -> Any:
    """The y with dy/dt = func(y, t, *args) and y(t[0]) = y0, at the times t.

    Derivatives in reverse mode are with respect to y0, t, args and what func closes over. They
    come from the adjoint equation dλ/dt = −λ ∂f/∂y, solved backwards with the same tolerances.

    Args:
        func: takes y, t and *args, returns a tree like y0.
        y0: the first state, a pytree of arrays.
        t: times, f[m], increasing; the first is that of y0.
        args: pytrees of arrays.
        rtol, atol: a step is taken where the mean square of its error, each element divided by
            atol + rtol |y|, is at most 1.
        mxstep: how many steps may be tried from one time to the next.
        hmax: the longest step.
    Returns:
        A tree like y0 with a first axis of m; NaN from the first time that was not reached.
    Raises:
        TypeError: t is not of floats, args holds no arrays, or func gives another tree than y0.
        ValueError: t is no vector of one time or more, or func gives other shapes than y0.
    Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, II.4-II.6; the
        adjoint: Chen et al., arXiv:1806.07366, appendix C.
    """
    for x in tree.leaves(args):
        if not (is_array(x) or is_value(x)):
            raise TypeError(
                f"The contents of odeint *args must be arrays or scalars, but got {x!r}.\n"
                f"  {user_line()}\n  Let func close over values of other kinds."
            )
    times = to_array(t) if is_array(t) else fnp.asarray(t)
    if not dtypes.issubdtype(times.dtype, np.floating):
        raise TypeError(
            f"t must be an array of floats, but got {times.dtype.name}[{times.shape}].\n"
            f"  {user_line()}\n  Convert it with astype(float)."
        )
    if times.ndim != 1 or not times.size:
        raise ValueError(
            f"t must be a vector of one time or more, but has shape {times.shape}.\n  {user_line()}"
        )
    state = tree.map(lambda x: to_array(promote_dtypes_inexact(x)[0]), y0)
    converted, hidden = closure_convert(func, state, times[0], *args)
    leaves, treedef = tree.flatten((args, hidden))
    start, unravel = ravel_pytree(state)

    def rate(y: Any, time: Any, leaves: Sequence[Any]) -> Any:
        given, consts = tree.unflatten(treedef, leaves)
        return raveled_like(state, converted(unravel(y), time, *given, *consts), y.dtype)

    limits = Limits(rtol, atol, mxstep, hmax)
    return vmap(unravel)(solution(rate, limits, start, times, leaves))


def raveled_like(state: Any, slope: Any, dtype: Any) -> Any:
    """What func returned as one vector, checked to be a tree like the state."""
    expected, got = tree.structure(state), tree.structure(slope)
    if got != expected:
        raise TypeError(
            f"odeint: func must return a tree like y0, {expected}, but gave {got}. "
            f"{tree.structure_difference(expected, got)}\n  {user_line()}"
        )
    slopes = [to_array(x) for x in tree.leaves(slope)]
    shapes, wanted = [x.shape for x in slopes], [x.shape for x in tree.leaves(state)]
    if shapes != wanted:
        raise ValueError(
            f"odeint: func must return the shapes of y0, {wanted}, but gave {shapes}.\n"
            f"  {user_line()}"
        )
    parts = [x.astype(dtype).reshape(-1) for x in slopes]
    return fnp.concatenate(parts) if parts else fnp.zeros(0, dtype)


# Forwards.


class Step(NamedTuple):
    """Where the integration stands: after the step from `before` to `time`, which `nodes` describe.

    `nodes` [5, n] are what `QUARTIC` is given; `length` is that of the next step.
    """

    count: Any
    state: Any
    slope: Any
    time: Any
    length: Any
    before: Any
    nodes: Any


@partial(custom_vjp, nondiff_argnums=(0, 1))
def solution(rate: Any, limits: Limits, y0: Any, times: Any, leaves: Sequence[Any]) -> Any:
    """The states [m, n] at times [m]."""
    y0, times = to_array(y0), to_array(times)

    def f(y: Any, time: Any) -> Any:
        return rate(y, time, leaves)

    def go_to(step: Step, target: Any) -> tuple[Step, Any]:
        def going(step: Step) -> Any:
            return (step.time < target) & (step.count < limits.mxstep) & (step.length > 0)

        step = while_loop(going, partial(advance, f, limits), step._replace(count=fnp.asarray(0)))
        return step, between(step, target)

    slope = f(y0, times[0])
    length = fnp.clip(first_length(f, limits, y0, slope, times[0]), 0.0, limits.hmax)
    nodes = fnp.stack([y0, y0, y0, fnp.zeros_like(y0), fnp.zeros_like(y0)])
    begin = Step(fnp.asarray(0), y0, slope, times[0], length, times[0], nodes)
    _, later = scan(go_to, begin, times[1:])
    return fnp.concatenate([y0[None], later])


def weighted(weights: Sequence[float], slopes: Sequence[Any]) -> Any:
    """The sum of slopes by weights, those that are 0 left out."""
    terms = [w * k for w, k in zip(weights, slopes, strict=True) if w]
    return sum(terms[1:], terms[0])


def advance(f: Rate, limits: Limits, step: Step) -> Step:
    """One step tried: taken where its error is small enough, and the length of the next."""
    y, h = step.state, step.length.astype(step.state.dtype)
    slopes = [step.slope]
    after = y
    for share, weights in STAGES:
        after = y + h * weighted(weights, slopes)
        slopes.append(f(after, step.time + share * step.length))
    error = h * weighted(ERROR, slopes)
    ratio = error_ratio(error, limits, y, after).astype(step.length.dtype)
    # Where the rate is not finite the step was too long as well.
    ratio = fnp.where(fnp.isfinite(ratio), ratio, fnp.inf)
    least = fnp.where(ratio < 1, 1.0, LEAST_FACTOR)
    factor = fnp.clip(SAFETY * ratio ** (-1 / 5), least, GREATEST_FACTOR)
    length = fnp.clip(step.length * factor.astype(step.length.dtype), 0.0, limits.hmax)
    middle = y + h * weighted(MIDDLE, slopes)
    nodes = fnp.stack([y, middle, after, h * slopes[0], h * slopes[-1]])
    end = step.time + step.length
    taken = Step(step.count + 1, after, slopes[-1], end, length, step.time, nodes)
    refused = step._replace(count=step.count + 1, length=length)
    return Step(*(fnp.where(ratio <= 1, a, b) for a, b in zip(taken, refused, strict=True)))


def error_ratio(error: Any, limits: Limits, before: Any, after: Any) -> Any:
    """The root of the mean square of an error, in units of what is tolerated."""
    size = fnp.maximum(fnp.abs(before), fnp.abs(after))
    share = fnp.abs(error) / (limits.atol + limits.rtol * size)
    return fnp.sqrt(fnp.mean(share**2))


def first_length(f: Rate, limits: Limits, y: Any, slope: Any, time: Any) -> Any:
    """A first step for which an explicit Euler step shows little change of the slope.

    Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, II.4.
    """
    scale = limits.atol + limits.rtol * fnp.abs(y)

    def size(x: Any) -> Any:
        return fnp.linalg.norm(x / scale.astype(x.dtype)).astype(time.dtype)

    of_state, of_slope = size(y), size(slope)
    tiny = (of_state < 1e-5) | (of_slope < 1e-5)
    guess = fnp.where(tiny, 1e-6, 0.01 * of_state / fnp.where(tiny, 1, of_slope))
    moved = f(y + guess.astype(y.dtype) * slope, time + guess)
    bend = size(moved - slope) / guess
    largest = fnp.maximum(of_slope, bend)
    still = largest <= 1e-15
    other = (0.01 / fnp.where(still, 1, largest)) ** (1 / 5)
    return fnp.minimum(100 * guess, fnp.where(still, fnp.maximum(1e-6, guess * 1e-3), other))


def between(step: Step, target: Any) -> Any:
    """The state at a time inside the last step; NaN where the integration ended before it."""
    length = step.time - step.before
    share = (target - step.before) / fnp.where(length > 0, length, 1)
    powers = fnp.stack([share**k for k in (4, 3, 2, 1, 0)])
    weights = powers @ fnp.asarray(QUARTIC, powers.dtype)
    state = weights.astype(step.nodes.dtype) @ step.nodes
    return fnp.where(step.time < target, fnp.asarray(fnp.nan, state.dtype), state)


# Backwards.


def forward(rate: Any, limits: Limits, y0: Any, times: Any, leaves: Sequence[Any]) -> Any:
    """The states, and what the adjoint equation needs: the states again, and the inputs."""
    states = solution(rate, limits, y0, times, leaves)
    return states, (states, times, leaves)


def backward(rate: Any, limits: Limits, res: Any, ct: Any) -> Any:
    """Cotangents of the first state, the times and the leaves.

    From each time to the one before it, three things are integrated against −t: the state, its
    cotangent λ with dλ/d(−t) = λ ∂f/∂y, and the cotangents of the leaves, of rate λ ∂f/∂leaf.
    """
    states, times, leaves = res
    moving = [dtypes.issubdtype(dtype_of(x), np.inexact) for x in leaves]
    inexact = [fnp.asarray(x) for x, m in zip(leaves, moving, strict=True) if m]

    def f(y: Any, time: Any, *given: Any) -> Any:
        values = iter(given)
        return rate(
            y, time, [next(values) if m else x for x, m in zip(leaves, moving, strict=True)]
        )

    def augmented(joint: Any, reversed_time: Any, *given: Any) -> Any:
        y, adjoint, _ = joint

        def moved(y: Any, *given: Any) -> Any:
            return f(y, -reversed_time, *given)

        slope, pull = vjp(moved, y, *given)
        of_state, *of_leaves = pull(adjoint)
        return -slope, of_state, of_leaves

    def back(carry: Any, of_time: Any) -> Any:
        adjoint, of_leaves = carry
        state, time, before, own = of_time
        of_this_time = fnp.real(fnp.dot(f(state, time, *inexact), own)).astype(times.dtype)
        joint = odeint(
            augmented,
            (state, adjoint + own, of_leaves),
            fnp.stack([-time, -before]),
            *inexact,
            **limits._asdict(),
        )
        _, adjoint, of_leaves = tree.map(lambda x: x[1], joint)
        return (adjoint, of_leaves), of_this_time

    nothing = (fnp.zeros_like(states[0]), [fnp.zeros_like(x) for x in inexact])
    rows = (states[1:], times[1:], times[:-1], ct[1:])
    (adjoint, found), of_times = scan(back, nothing, rows, reverse=True)
    # A later start with the same state is what going back along the first slope would be.
    of_first = -fnp.real(fnp.dot(f(states[0], times[0], *inexact), adjoint)).astype(times.dtype)
    found = iter(found)
    of_leaves = [next(found) if m else None for m in moving]
    return adjoint + ct[0], fnp.concatenate([of_first[None], of_times]), of_leaves


solution.defvjp(forward, backward)
