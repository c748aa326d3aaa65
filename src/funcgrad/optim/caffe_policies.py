"""Caffe's learning-rate policies: as schedules of their own, and by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import numpy as fnp
from ..core.sources import user_line
from .base import Schedule
from .schedules import (
    constant_schedule,
    exponential_decay,
    piecewise_constant_schedule,
    polynomial_schedule,
)


def step_schedule(init_value: Any, gamma: Any, stepsize: int) -> Schedule:
    """init · gamma^⌊step / stepsize⌋; Caffe's "step"."""
    return exponential_decay(init_value, _positive("stepsize", stepsize), gamma, staircase=True)


def multistep_schedule(init_value: Any, gamma: Any, stepvalues: Sequence[int]) -> Schedule:
    """init · gammaᵏ, with k of the stepvalues reached; Caffe's "multistep".

    Raises:
        ValueError: stepvalues that do not rise.
    """
    if sorted({*stepvalues}) != [*stepvalues]:
        raise ValueError(f"multistep_schedule: stepvalues must rise, got {[*stepvalues]}.")
    return piecewise_constant_schedule(init_value, dict.fromkeys(stepvalues, gamma))


def inverse_schedule(init_value: Any, gamma: Any, power: Any) -> Schedule:
    """init · (1 + gamma · step)^−power; Caffe's "inv".

    Raises:
        ValueError: a negative gamma.
    """
    if gamma < 0:
        raise ValueError(
            f"inverse_schedule: gamma must be at least 0, got {gamma}.\n  {user_line()}"
        )
    return lambda count: init_value * (1 + gamma * count) ** (-power)


def sigmoid_schedule(init_value: Any, gamma: Any, stepsize: Any) -> Schedule:
    """init / (1 + exp(−gamma · (step − stepsize))); Caffe's "sigmoid". A negative gamma falls."""
    return lambda count: init_value / (1 + fnp.exp(-gamma * (count - stepsize)))


def caffe_schedule(
    lr_policy: str,
    base_lr: Any,
    *,
    gamma: Any = None,
    power: Any = None,
    stepsize: Any = None,
    stepvalue: Sequence[int] | None = None,
    max_iter: Any = None,
) -> Schedule:
    """The schedule that a solver of Caffe has under these settings.

    | lr_policy | rate at step t | settings |
    |---|---|---|
    | fixed | base_lr | |
    | step | base_lr · gamma^⌊t / stepsize⌋ | gamma, stepsize |
    | exp | base_lr · gammaᵗ | gamma |
    | inv | base_lr · (1 + gamma · t)^−power | gamma, power |
    | multistep | base_lr · gammaᵏ, k stepvalues reached | gamma, stepvalue |
    | poly | base_lr · (1 − t / max_iter)ᵖᵒʷᵉʳ | power, max_iter |
    | sigmoid | base_lr / (1 + exp(−gamma · (t − stepsize))) | gamma, stepsize |

    Raises:
        ValueError: another policy, or a setting that it needs and does not get.
    """
    given = {
        "gamma": gamma,
        "power": power,
        "stepsize": stepsize,
        "stepvalue": stepvalue,
        "max_iter": max_iter,
    }
    needs: dict[str, tuple[str, ...]] = {
        "fixed": (),
        "step": ("gamma", "stepsize"),
        "exp": ("gamma",),
        "inv": ("gamma", "power"),
        "multistep": ("gamma", "stepvalue"),
        "poly": ("power", "max_iter"),
        "sigmoid": ("gamma", "stepsize"),
    }
    if lr_policy not in needs:
        raise ValueError(f"caffe_schedule knows the policies {[*needs]}, got {lr_policy!r}.")
    missing = [name for name in needs[lr_policy] if given[name] is None]
    if missing:
        raise ValueError(f"caffe_schedule: lr_policy {lr_policy!r} needs {', '.join(missing)}.")
    if lr_policy == "fixed":
        return constant_schedule(base_lr)
    if lr_policy == "step":
        return step_schedule(base_lr, gamma, stepsize)
    if lr_policy == "exp":
        return exponential_decay(base_lr, 1, gamma)
    if lr_policy == "inv":
        return inverse_schedule(base_lr, gamma, power)
    if lr_policy == "multistep":
        return multistep_schedule(base_lr, gamma, [] if stepvalue is None else stepvalue)
    if lr_policy == "poly":
        return polynomial_schedule(base_lr, 0.0, power, _positive("max_iter", max_iter))
    return sigmoid_schedule(base_lr, gamma, stepsize)


def _positive(name: str, value: Any) -> Any:
    if value <= 0:
        raise ValueError(f"{name} must be positive, got {value}.\n  {user_line()}")
    return value
