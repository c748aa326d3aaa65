"""Line search for the strong Wolfe conditions: find an interval, then zoom into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as fnp
from .. import tree as pytree
from ..api.reverse import value_and_grad
from .base import GradientTransformationExtraArgs, Params
from .checks import check_not_negative, check_positive
from .linesearch import line_search, moved, real_dtype, slope_along
from .tree import cast_like, where, zeros_like


class ZoomLinesearchInfo(NamedTuple):
    """Points that were tried, i32[], and by how much the last misses the two conditions."""

    num_linesearch_steps: Any
    decrease_error: Any
    curvature_error: Any


class ScaleByZoomLinesearchState(NamedTuple):
    """The last step size, the loss and its gradient there, and how the search went."""

    learning_rate: Any
    value: Any
    grad: Any
    info: ZoomLinesearchInfo


class _Point(NamedTuple):
    """A place on the line: step, and loss and slope there."""

    step: Any
    value: Any
    slope: Any


class _Search(NamedTuple):
    """Where a search stands.

    Attributes:
        count: points tried.
        at: the last point.
        grad: the gradient there.
        decrease_error, curvature_error: by how much it misses the two conditions.
        has_interval: whether low and high enclose a good step.
        done, failed: whether and how the search has ended.
        low, high: the ends of the interval; low has the lower value.
        third: an earlier point, for cubic interpolation.
        safe, safe_grad: the best point that meets the decrease condition.
    """

    count: Any
    at: _Point
    grad: Any
    decrease_error: Any
    curvature_error: Any
    has_interval: Any
    done: Any
    failed: Any
    low: _Point
    high: _Point
    third: _Point
    safe: _Point
    safe_grad: Any


class _Settings(NamedTuple):
    max_steps: Any
    max_step: Any
    tol: Any
    increase_factor: Any
    slope_rtol: Any
    curv_rtol: Any
    approx_dec_rtol: Any
    precision: Any


def _cubic_minimum(a: _Point, b: _Point, c: _Point) -> Any:
    """The minimiser of the cubic through three points with the slope of the first; else NaN."""
    to_b, to_c = b.step - a.step, c.step - a.step
    rest_b = b.value - a.value - a.slope * to_b
    rest_c = c.value - a.value - a.slope * to_c
    divisor = (to_b * to_c) ** 2 * (to_b - to_c)
    third = (to_c**2 * rest_b - to_b**2 * rest_c) / divisor
    second = (-(to_c**3) * rest_b + to_b**3 * rest_c) / divisor
    radical = second * second - 3.0 * third * a.slope
    return a.step + (-second + fnp.sqrt(radical)) / (3.0 * third)


def _square_minimum(a: _Point, b: _Point) -> Any:
    """The minimiser of the parabola through two points with the slope of the first."""
    apart = b.step - a.step
    second = (b.value - a.value - a.slope * apart) / apart**2
    return a.step - a.slope / (2.0 * second)


def _errors(at: _Point, start: _Point, s: _Settings) -> tuple[Any, Any]:
    """By how much a point misses the decrease condition and the curvature condition."""
    rise = at.value - start.value
    decrease = rise - s.slope_rtol * at.step * start.slope
    if s.approx_dec_rtol is not None:
        # Near a minimum differences of values are rounding errors; slopes still tell.
        by_slope = at.slope - (2 * s.slope_rtol - 1.0) * start.slope
        by_value = rise - s.approx_dec_rtol * fnp.abs(start.value)
        decrease = fnp.minimum(fnp.maximum(by_slope, by_value), decrease)
    curvature = fnp.abs(at.slope) - s.curv_rtol * fnp.abs(start.slope)

    def bounded(x: Any) -> Any:
        return fnp.where(fnp.isnan(x), fnp.inf, fnp.maximum(x, 0.0))

    return bounded(decrease), bounded(curvature)


def _next_step(state: _Search, guess: Any, s: _Settings) -> tuple[Any, Any]:
    """The step to try, and whether it is the largest that is allowed."""
    larger = fnp.where(state.count == 0, guess, s.increase_factor * state.at.step)
    at_bound = fnp.array(False) if s.max_step is None else larger >= s.max_step
    if s.max_step is not None:
        larger = fnp.minimum(larger, s.max_step)
    low, high = state.low.step, state.high.step
    width, left, right = fnp.abs(high - low), fnp.minimum(low, high), fnp.maximum(low, high)

    def fits(step: Any, margin: float) -> Any:
        return (step > left + margin * width) & (step < right - margin * width)

    cubic = _cubic_minimum(state.low, state.high, state.third)
    square = _square_minimum(state.low, state.high)
    middle = fnp.where(fits(square, 0.1), square, (low + high) / 2.0)
    middle = fnp.where(fits(cubic, 0.2), cubic, middle)
    return fnp.where(state.has_interval, middle, larger), at_bound & ~state.has_interval


def _outer(state: _Search, at: _Point, error: Any, decrease: Any, s: _Settings) -> Any:
    """Ends of the interval after a point beyond the last, and whether they enclose a good step."""
    passed = (decrease > 0.0) | ((at.value >= state.at.value) & (state.count > 0))
    turned = (at.slope >= 0.0) & ~passed
    low, high = where(turned, (at, state.at), (state.at, at))
    return low, high, low, passed | turned | (error <= s.tol)


def _inner(state: _Search, at: _Point, decrease: Any) -> Any:
    """Ends of the interval after a point inside, with the end that was given up."""
    low, high = state.low, state.high
    is_high = (decrease > 0.0) | (at.value >= low.value)
    flips = (at.slope * (high.step - low.step) >= 0.0) & ~is_high
    new_high = where(flips, low, where(is_high, at, high))
    return where(is_high, low, at), new_high, where(is_high | flips, high, low)


def _advance(
    state: _Search, value_and_slope: Callable[[Any], Any], start: _Point, guess: Any, s: _Settings
) -> _Search:
    """One more point."""
    step, at_bound = _next_step(state, guess, s)
    value, grad, slope = value_and_slope(step)
    at = _Point(step, value, slope)
    decrease, curvature = _errors(at, start, s)
    error = fnp.maximum(decrease, curvature)
    zooming = state.has_interval
    is_safe = (decrease <= s.tol) & (~zooming | (value < state.safe.value))
    safe, safe_grad = where(is_safe, (at, grad), (state.safe, state.safe_grad))

    low, high, third, found = _outer(state, at, error, decrease, s)
    low, high, third = where(zooming, _inner(state, at, decrease), (low, high, third))
    found = zooming | found
    done = (error <= s.tol) | (at_bound & ~found)
    narrow = zooming & (fnp.abs(state.high.step - state.low.step) <= s.precision)
    out_of_steps = state.count + 1 >= s.max_steps
    failed = (out_of_steps | (narrow & (safe.step > 0.0))) & ~done
    # The best safe point is the way out; without one, whatever is finite.
    use_safe = failed & ((safe.step > 0.0) | fnp.isinf(decrease))
    at, grad = where(use_safe, (safe, safe_grad), (at, grad))
    new = _Search(
        count=state.count + 1,
        at=at,
        grad=grad,
        decrease_error=decrease,
        curvature_error=curvature,
        has_interval=found,
        done=done,
        failed=failed,
        low=low,
        high=high,
        third=third,
        safe=safe,
        safe_grad=safe_grad,
    )
    return cast_like(new, state)


def _begin(start: _Point, grad: Any) -> _Search:
    no, far = fnp.array(False), fnp.full_like(start.step, np.inf)
    return _Search(
        count=fnp.zeros((), int),
        at=start,
        grad=grad,
        decrease_error=far,
        curvature_error=far,
        has_interval=no,
        done=no,
        failed=no,
        low=start,
        high=start,
        third=start,
        safe=start,
        safe_grad=grad,
    )


def scale_by_zoom_linesearch(
    max_linesearch_steps: int,
    max_learning_rate: Any = None,
    tol: Any = 0.0,
    increase_factor: Any = 2.0,
    slope_rtol: Any = 1e-4,
    curv_rtol: Any = 0.9,
    approx_dec_rtol: Any = 1e-6,
    stepsize_precision: Any = 1e-5,
    initial_guess_strategy: str = "keep",
    verbose: bool = False,
) -> GradientTransformationExtraArgs:
    """s · updates, with s such that the loss falls enough and its slope along the line does too.

    f(p + s·u) ≤ f(p) + slope_rtol·s·slope and |slope at s| ≤ curv_rtol·|slope|.

    Args:
        max_linesearch_steps: values of the loss at most.
        max_learning_rate: bound on s, or None.
        tol: by how much the conditions may be missed.
        increase_factor: growth of s while no interval is found.
        approx_dec_rtol: tolerance of the approximate decrease near a minimum, or None.
        stepsize_precision: width of the interval at which the search ends.
        initial_guess_strategy: "one" to begin each search at 1, "keep" at the last s.
        verbose: print the result of each search.
    Raises:
        ValueError: another strategy, numbers out of range; in update, when a keyword is missing.
        TypeError: in update, for keywords that value_fn does not take.
    Source: Nocedal & Wright, Numerical Optimization, algorithm 3.5; Hager & Zhang, TOMS 32, 2006.
    """
    what = "scale_by_zoom_linesearch"
    if initial_guess_strategy not in ("one", "keep"):
        raise ValueError(f"{what} begins at 'one' or 'keep', got {initial_guess_strategy!r}.")
    check_positive(what, max_linesearch_steps=max_linesearch_steps, increase_factor=increase_factor)
    check_not_negative(what, tol=tol, slope_rtol=slope_rtol, curv_rtol=curv_rtol)
    settings = _Settings(
        max_linesearch_steps,
        max_learning_rate,
        tol,
        increase_factor,
        slope_rtol,
        curv_rtol,
        approx_dec_rtol,
        stepsize_precision,
    )

    keep = initial_guess_strategy == "keep"

    def search(f: Any, updates: Any, state: Any, params: Any, value: Any, grad: Any) -> Any:
        guess = state.learning_rate if keep else 1.0
        end = _run(f, updates, params, value, grad, guess, settings)
        info = ZoomLinesearchInfo(end.count, end.decrease_error, end.curvature_error)
        return ScaleByZoomLinesearchState(end.at.step, end.at.value, end.grad, info)

    return line_search(what, _init, search, verbose)


def _init(params: Params) -> ScaleByZoomLinesearchState:
    own = real_dtype(params)
    far = fnp.array(np.inf, own)
    info = ZoomLinesearchInfo(fnp.zeros((), int), far, far)
    return ScaleByZoomLinesearchState(fnp.ones((), own), far, zeros_like(params), info)


def _run(
    f: Any, updates: Any, params: Any, value: Any, grad: Any, guess: Any, settings: _Settings
) -> _Search:
    """The search, to its end."""
    own = real_dtype(params)
    slope = fnp.asarray(slope_along(grad, updates)).astype(own)
    start = _Point(fnp.zeros((), own), fnp.asarray(value).astype(own), slope)

    def value_and_slope(step: Any) -> tuple[Any, Any, Any]:
        found, there = value_and_grad(f)(moved(params, step, updates))
        return found, there, slope_along(there, updates)

    return lax.while_loop(
        lambda state: ~(state.done | state.failed),
        lambda state: _advance(state, value_and_slope, start, guess, settings),
        _begin(start, pytree.map(fnp.asarray, grad)),
    )
