"""How far to go along a direction: a step that satisfies the strong Wolfe conditions.

In: a function, a point, a direction of descent. Out: a step and the function there. The one idea:
an interval [low, high] that holds a good step; high is infinite until a step has gone too far.
Finding the interval and narrowing it are then one loop, with one evaluation of the function in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ... import numpy as fnp
from ...api.reverse import value_and_grad
from ...control.loops import while_loop
from ...ir import dtypes

# Nocedal and Wright's constants for quasi-Newton directions.
SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
# An interpolated step is used where it is this fraction of the interval away from its ends.
CUBIC_MARGIN = 0.2
QUADRATIC_MARGIN = 0.1
MAX_NARROWINGS = 30

# Why a search ended.
FOUND, NARROWED_TO_NOTHING, TOO_MANY_STEPS = 0, 1, 3


class Point(NamedTuple):
    """The function along the direction: at a step, its value and its slope there, real scalars."""

    step: Any
    value: Any
    slope: Any


class Search(NamedTuple):
    """What the loop carries.

    `low` is the best step so far with a sufficient decrease, `gradient` the gradient there, `old`
    the end of the interval that was given up last.
    """

    low: Point
    gradient: Any
    high: Point
    old: Point
    doublings: Any
    narrowings: Any
    found: Any
    failed: Any


class Step(NamedTuple):
    """The step found, and the function there; `evaluations` counts values with gradients."""

    step: Any
    value: Any
    gradient: Any
    failed: Any
    status: Any
    evaluations: Any


def line_search(
    fun: Callable[[Any], Any],
    x: Any,
    direction: Any,
    value: Any,
    gradient: Any,
    first: Any,
    max_steps: int,
) -> Step:
    """A step a with f(x + a p) ≤ f(x) + c₁ a f′ and |f′(x + a p)| ≤ c₂ |f′|, f′ the slope along p.

    Args:
        fun: from arrays like x to a real scalar.
        x: the point [n]; direction: p [n], along which fun falls.
        value, gradient: of fun at x.
        first: the first step to try.
        max_steps: how often the step is doubled before the search is given up.
    Returns:
        The step; where the search failed, the best one that was met, maybe 0.
    Source: Nocedal & Wright, Numerical Optimization (2nd edition), algorithms 3.5 and 3.6.
    """
    real = value.dtype
    zero, infinity = fnp.zeros((), real), fnp.full((), fnp.inf, real)
    start = Point(zero, value, slope_along(gradient, direction).astype(real))

    def evaluate(step: Any) -> tuple[Point, Any]:
        moved = x + step.astype(x.dtype) * direction
        there, slopes = value_and_grad(fun)(moved)
        slopes = slopes.astype(x.dtype)
        slope = slope_along(slopes, direction)
        return Point(step, there.astype(real), slope.astype(real)), slopes

    def advance(search: Search) -> Search:
        doubled = fnp.where(search.doublings == 0, first, 2 * search.low.step)
        bracketed = fnp.isfinite(search.high.step)
        step = fnp.where(bracketed, interpolated(search), doubled)
        return narrowed(search, start, *evaluate(step.astype(real)))

    def going(search: Search) -> Any:
        return ~search.found & ~search.failed & (search.doublings < max_steps)

    no, none = fnp.asarray(False), fnp.asarray(0)
    beyond = Point(infinity, value, zero)
    search = Search(start, gradient, beyond, beyond, none, none, no, no)
    end = while_loop(going, advance, search)
    status = fnp.where(end.failed, NARROWED_TO_NOTHING, TOO_MANY_STEPS)
    return Step(
        end.low.step,
        end.low.value,
        end.gradient,
        ~end.found,
        fnp.where(end.found, FOUND, status),
        end.doublings + end.narrowings,
    )


def slope_along(gradient: Any, direction: Any) -> Any:
    """The derivative along a direction: Re gᵀ p, g as `grad` gives it for complex variables."""
    return fnp.real(fnp.dot(gradient, direction))


def narrowed(search: Search, start: Point, point: Point, gradient: Any) -> Search:
    """The search after the function was evaluated at one more step."""
    low, high = search.low, search.high
    bracketed = fnp.isfinite(high.step)
    bound = start.value + SUFFICIENT_DECREASE * point.step * start.slope
    # Not "above": a step at which the function is NaN has gone too far as well.
    too_far = ~((point.value <= bound) & (point.value < low.value))
    flat = fnp.abs(point.slope) <= -CURVATURE * start.slope
    found = ~too_far & flat
    # The minimum lies between the new step and the low end: that end becomes the high one.
    turned = ~too_far & (point.slope * (high.step - low.step) >= 0)
    new_low = chosen(too_far, low, point)
    new_high = chosen(too_far, point, chosen(turned, low, high))
    gave_up = chosen(too_far | turned, high, low)
    # At the first narrowing there is no third point: the middle of the interval stands for it.
    middle = Point(
        (new_low.step + new_high.step) / 2, (new_low.value + new_high.value) / 2, low.slope
    )
    narrowings = search.narrowings + bracketed
    ends = fnp.maximum(new_low.step, new_high.step)
    width = fnp.abs(new_high.step - new_low.step)
    exhausted = (width <= dtypes.finfo(width.dtype).eps * ends) | (narrowings >= MAX_NARROWINGS)
    return Search(
        new_low,
        fnp.where(too_far, search.gradient, gradient),
        new_high,
        chosen(bracketed, gave_up, middle),
        search.doublings + ~bracketed,
        narrowings,
        found,
        ~found & exhausted & fnp.isfinite(new_high.step),
    )


def chosen(condition: Any, yes: Point, no: Point) -> Point:
    """One of two points."""
    return Point(*(fnp.where(condition, a, b) for a, b in zip(yes, no, strict=True)))


def interpolated(search: Search) -> Any:
    """A step inside the interval: the minimum of a cubic, else of a parabola, else the middle."""
    low, high, old = search.low, search.high, search.old
    left, right = fnp.minimum(low.step, high.step), fnp.maximum(low.step, high.step)
    width = right - left

    def inside(step: Any, margin: float) -> Any:
        return (step > left + margin * width) & (step < right - margin * width)

    cubic, parabola = cubic_minimum(low, high, old), parabola_minimum(low, high)
    use_cubic = (search.narrowings > 0) & inside(cubic, CUBIC_MARGIN)
    use_parabola = inside(parabola, QUADRATIC_MARGIN)
    middle = fnp.where(use_parabola, parabola, (left + right) / 2)
    return fnp.where(use_cubic, cubic, middle)


def parabola_minimum(low: Point, high: Point) -> Any:
    """Where the parabola through two points, with the slope at the first, is least."""
    width = high.step - low.step
    bend = (high.value - low.value - low.slope * width) / width**2
    return low.step - low.slope / (2 * bend)


def cubic_minimum(low: Point, high: Point, old: Point) -> Any:
    """Where the cubic through three points, with the slope at the first, is least; NaN if nowhere.

    With d the distance to a point and r what it lies above the tangent at the first, the cubic
    a d³ + b d² + slope·d has r = a d³ + b d² at both other points.
    """
    d, e = high.step - low.step, old.step - low.step
    r = (high.value - low.value - low.slope * d) / d**2
    s = (old.value - low.value - low.slope * e) / e**2
    a = (r - s) / (d - e)
    b = r - a * d
    return low.step + (fnp.sqrt(b * b - 3 * a * low.slope) - b) / (3 * a)
