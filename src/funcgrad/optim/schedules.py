"""Schedules: functions from the step number, i32[], to a number, in optax's names.

Steps are counted from 0. A schedule goes wherever a rate goes: `adam(cosine_decay_schedule(...))`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..core.sources import user_line
from .base import Schedule


def constant_schedule(value: Any) -> Schedule:
    """The same value at each step."""
    return lambda count: value


def _check_steps(what: str, **steps: Any) -> None:
    for name, value in steps.items():
        if value < 0:
            raise ValueError(
                f"{what}: {name} must be at least 0, got {value}.\n  {user_line()}\n"
                "  Steps are counted from 0."
            )


def polynomial_schedule(
    init_value: Any,
    end_value: Any,
    power: Any,
    transition_steps: Any,
    transition_begin: Any = 0,
) -> Schedule:
    """(init − end) · (1 − t)ᵖᵒʷᵉʳ + end, with t from 0 to 1 over transition_steps.

    Args:
        transition_steps: 0 stands for init_value throughout.
        transition_begin: steps before it starts.
    Raises:
        ValueError: a negative number of steps.
    """
    _check_steps(
        "polynomial_schedule", transition_steps=transition_steps, transition_begin=transition_begin
    )
    if transition_steps == 0:
        return constant_schedule(init_value)

    def schedule(count: Any) -> Any:
        done = fnp.clip(count - transition_begin, 0, transition_steps) / transition_steps
        return (init_value - end_value) * (1 - done) ** power + end_value

    return schedule


def linear_schedule(
    init_value: Any, end_value: Any, transition_steps: Any, transition_begin: Any = 0
) -> Schedule:
    """From init_value to end_value in a straight line over transition_steps.

    Raises:
        ValueError: a negative number of steps.
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def _check_scales(what: str, scales: Iterable[Any]) -> None:
    bad = [scale for scale in scales if not scale >= 0]
    if bad:
        raise ValueError(f"{what}: scales must be at least 0, got {bad}.\n  {user_line()}")


def piecewise_constant_schedule(
    init_value: Any, boundaries_and_scales: Mapping[int, Any] | None = None
) -> Schedule:
    """init_value, times the scale of each boundary from that step on.

    Args:
        boundaries_and_scales: from step to factor.
    Raises:
        ValueError: a negative step or factor.
    """
    marks = sorted((boundaries_and_scales or {}).items())
    _check_scales("piecewise_constant_schedule", (scale for _, scale in marks))
    for boundary, _ in marks:
        _check_steps("piecewise_constant_schedule", boundary=boundary)

    def schedule(count: Any) -> Any:
        value = init_value
        for boundary, scale in marks:
            value = fnp.where(fnp.asarray(count) < boundary, value, value * scale)
        return value

    return schedule


def exponential_decay(
    init_value: Any,
    transition_steps: Any,
    decay_rate: Any,
    transition_begin: Any = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """init · decay_rate^(step / transition_steps).

    Args:
        transition_steps: 0 stands for init_value throughout, as does a decay_rate of 0.
        transition_begin: steps before it starts.
        staircase: whether the exponent is rounded down.
        end_value: a bound: below for rates under 1, above for others.
    Raises:
        ValueError: a negative number of steps or rate.
    """
    what = "exponential_decay"
    _check_steps(what, transition_steps=transition_steps, transition_begin=transition_begin)
    _check_scales(what, [decay_rate])
    if transition_steps == 0 or decay_rate == 0:
        return constant_schedule(init_value)
    bound = fnp.maximum if decay_rate < 1.0 else fnp.minimum

    def schedule(count: Any) -> Any:
        past = count - transition_begin
        exponent = past / transition_steps
        if staircase:
            exponent = fnp.floor(exponent)
        decayed = fnp.where(past <= 0, init_value, init_value * fnp.power(decay_rate, exponent))
        return decayed if end_value is None else bound(decayed, end_value)

    return schedule


def cosine_decay_schedule(
    init_value: Any, decay_steps: Any, alpha: Any = 0.0, exponent: Any = 1.0
) -> Schedule:
    """init · ((1 − alpha) · (½ · (1 + cos(π · step / decay_steps)))ᵉˣᵖᵒⁿᵉⁿᵗ + alpha).

    Args:
        alpha: the share of init_value that stays after decay_steps.
    Raises:
        ValueError: decay_steps not positive.
    Source: Loshchilov & Hutter, arXiv:1608.03983.
    """
    if not decay_steps > 0:
        raise ValueError(
            f"cosine_decay_schedule: decay_steps must be positive, got {decay_steps}.\n"
            f"  {user_line()}"
        )

    def schedule(count: Any) -> Any:
        done = fnp.minimum(count, decay_steps) / decay_steps
        fall = 0.5 * (1 + fnp.cos(np.pi * done))
        return init_value * ((1 - alpha) * fall**exponent + alpha)

    return schedule


def _straight(start: Any, end: Any, share: Any) -> Any:
    return (end - start) * share + start


def _half_wave(start: Any, end: Any, share: Any) -> Any:
    return end + (start - end) / 2.0 * (fnp.cos(np.pi * share) + 1)


_INTERPOLATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "linear": _straight,
    "cosine": _half_wave,
}


def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Any, boundaries_and_scales: Mapping[int, Any] | None = None
) -> Schedule:
    """Between boundaries a line or half a cosine wave; at each the value times its scale.

    Args:
        interpolate_type: "linear" or "cosine".
        boundaries_and_scales: from step to factor.
    Raises:
        ValueError: another type, or a negative step or factor.
    """
    what = "piecewise_interpolate_schedule"
    if interpolate_type not in _INTERPOLATIONS:
        raise ValueError(f"{what} knows 'linear' and 'cosine', got {interpolate_type!r}.")
    between = _INTERPOLATIONS[interpolate_type]
    marks = sorted((boundaries_and_scales or {}).items())
    _check_scales(what, (scale for _, scale in marks))
    for boundary, _ in marks:
        _check_steps(what, boundary=boundary)
    bounds = [0, *(boundary for boundary, _ in marks)]

    def schedule(count: Any) -> Any:
        value = fnp.asarray(init_value, dtype=fnp.result_type(float))
        result = fnp.zeros_like(value)
        for start, stop, (_, scale) in zip(bounds, bounds[1:], marks, strict=False):
            share = (count - start) / max(stop - start, 1)
            inside = (start <= count) & (count < stop)
            result = fnp.where(inside, between(value, value * scale, share), result)
            value = value * scale
        return fnp.where(bounds[-1] <= count, value, result)

    return schedule


def _check_cycle(what: str, transition_steps: Any, **shares: Any) -> None:
    if transition_steps <= 0:
        raise ValueError(
            f"{what}: transition_steps must be positive, got {transition_steps}.\n  {user_line()}"
        )
    values = list(shares.values())
    if not all(0 <= share <= 1 for share in values) or sorted(values) != values:
        raise ValueError(f"{what}: shares must rise within [0, 1], got {shares}.\n  {user_line()}")


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: Any,
    pct_start: Any = 0.3,
    pct_final: Any = 0.85,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
    """Up to peak_value, down again, and down to almost nothing, in straight lines.

    Args:
        pct_start: the share of steps that go up.
        pct_final: the share of steps after which the start, peak_value / div_factor, is reached.
        final_div_factor: by what the start is divided at the end.
    Raises:
        ValueError: transition_steps not positive, or shares that do not rise within [0, 1].
    Source: Smith & Topin, arXiv:1708.07120.
    """
    what = "linear_onecycle_schedule"
    _check_cycle(what, transition_steps, pct_start=pct_start, pct_final=pct_final)
    marks = {
        int(pct_start * transition_steps): div_factor,
        int(pct_final * transition_steps): 1.0 / div_factor,
        transition_steps: 1.0 / final_div_factor,
    }
    return piecewise_interpolate_schedule("linear", peak_value / div_factor, marks)


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: Any,
    pct_start: Any = 0.3,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
    """Up to peak_value, and down to almost nothing, in half waves of a cosine.

    Args:
        pct_start: the share of steps that go up, from peak_value / div_factor.
        final_div_factor: by what the start is divided at the end.
    Raises:
        ValueError: transition_steps not positive, or a share outside [0, 1].
    Source: Smith & Topin, arXiv:1708.07120.
    """
    _check_cycle("cosine_onecycle_schedule", transition_steps, pct_start=pct_start)
    marks = {
        int(pct_start * transition_steps): div_factor,
        int(transition_steps): 1.0 / (div_factor * final_div_factor),
    }
    return piecewise_interpolate_schedule("cosine", peak_value / div_factor, marks)


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another, each counting its steps from its own boundary.

    Args:
        boundaries: the first steps of the second schedule, the third, and so on.
    Raises:
        ValueError: no schedule, another number of boundaries than schedules less one, or
            boundaries that fall.
    """
    boundaries = list(boundaries)
    if not schedules or len(boundaries) != len(schedules) - 1 or sorted(boundaries) != boundaries:
        raise ValueError(
            f"join_schedules got {len(schedules)} schedules and the boundaries {boundaries}.\n"
            f"  {user_line()}\n"
            "  Give one boundary less than schedules, in rising order."
        )

    def schedule(count: Any) -> Any:
        value = schedules[0](count)
        for boundary, after in zip(boundaries, schedules[1:], strict=True):
            value = fnp.where(fnp.asarray(count) < boundary, value, after(count - boundary))
        return value

    return schedule


def warmup_constant_schedule(init_value: Any, peak_value: Any, warmup_steps: Any) -> Schedule:
    """From init_value to peak_value in a straight line over warmup_steps, then peak_value.

    Raises:
        ValueError: a negative number of steps.
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: Any,
    decay_steps: Any,
    end_value: Any = 0.0,
    exponent: Any = 1.0,
) -> Schedule:
    """Up to peak_value over warmup_steps, then half a cosine wave down to end_value.

    Args:
        decay_steps: all steps, those of the warm-up among them.
    Raises:
        ValueError: decay_steps not above warmup_steps.
    """
    if decay_steps <= warmup_steps:
        raise ValueError(
            f"warmup_cosine_decay_schedule: decay_steps ({decay_steps}) counts the warm-up too, "
            f"and must be above warmup_steps ({warmup_steps}).\n  {user_line()}"
        )
    alpha = 0.0 if peak_value == 0.0 else end_value / peak_value
    fall = cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)
    return join_schedules(
        [linear_schedule(init_value, peak_value, warmup_steps), fall], [warmup_steps]
    )


def warmup_exponential_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: Any,
    transition_steps: Any,
    decay_rate: Any,
    transition_begin: Any = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """Up to peak_value over warmup_steps, then `exponential_decay` of it.

    Raises:
        ValueError: a negative number of steps or rate.
    """
    fall = exponential_decay(
        peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value
    )
    return join_schedules(
        [linear_schedule(init_value, peak_value, warmup_steps), fall], [warmup_steps]
    )


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Warm restarts: one `warmup_cosine_decay_schedule` after another.

    Args:
        cosine_kwargs: the keywords of each.
    Raises:
        ValueError: no cycle, or one whose steps do not fit.
    Source: Loshchilov & Hutter, arXiv:1608.03983.
    """
    cycles = list(cosine_kwargs)
    ends = np.cumsum([cycle["decay_steps"] for cycle in cycles])
    parts = [warmup_cosine_decay_schedule(**cycle) for cycle in cycles]
    return join_schedules(parts, [int(end) for end in ends[:-1]])
