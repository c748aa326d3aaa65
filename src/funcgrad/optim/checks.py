"""Refusals of numbers and arguments that cannot be meant.

Only what is known when a transformation is made is checked: traced values and arrays (as
`inject_hyperparams` hands in) pass, for their values belong to the compiled program.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.sources import user_line


def _known(value: Any) -> float | None:
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    number: Any = value
    return float(number) if is_number and not isinstance(value, bool) else None


def _refuse(what: str, name: str, wanted: str, value: Any, advice: str) -> ValueError:
    return ValueError(
        f"{what}: {name} must be {wanted}, got {value!r}.\n  {user_line()}\n  {advice}"
    )


def check_rate(what: str, value: Any, name: str = "learning_rate") -> None:
    """A rate is a number that is not negative; schedules and arrays pass.

    Raises:
        ValueError: a negative rate, or NaN.
    """
    number = _known(value)
    if number is not None and not number >= 0:
        raise _refuse(
            what,
            name,
            "at least 0",
            value,
            "Steps go down the gradient; to go up, negate the gradients or add scale(-1).",
        )


def check_decay_rates(what: str, *, closed: bool = False, **rates: Any) -> None:
    """Decay rates of running averages lie in [0, 1), or in [0, 1] when closed.

    Raises:
        ValueError: one of them does not.
    """
    wanted = "in [0, 1]" if closed else "in [0, 1)"
    for name, value in rates.items():
        number = _known(value)
        if number is None or 0 <= number < 1 or (closed and number == 1):
            continue
        raise _refuse(
            what, name, wanted, value, "It is the share of the old average that each step keeps."
        )


def check_not_negative(what: str, **values: Any) -> None:
    """Each value is at least 0.

    Raises:
        ValueError: one of them is not.
    """
    for name, value in values.items():
        number = _known(value)
        if number is not None and not number >= 0:
            raise _refuse(what, name, "at least 0", value, "Give 0 to be without it.")


def check_positive(what: str, **values: Any) -> None:
    """Each value is greater than 0, and finite or infinite but no NaN.

    Raises:
        ValueError: one of them is not.
    """
    for name, value in values.items():
        number = _known(value)
        if number is not None and (math.isnan(number) or number <= 0):
            raise _refuse(what, name, "greater than 0", value, "Give a positive number.")


def need_params(what: str, params: Any) -> None:
    """The params are there.

    Raises:
        ValueError: they are None.
    """
    if params is None:
        raise ValueError(
            f"{what} needs the params: update(updates, state, params).\n  {user_line()}\n"
            "  Its steps depend on the weights themselves, not on the gradients alone."
        )


def need_extra(what: str, **values: Any) -> None:
    """The keywords of update that this transformation cannot do without.

    Raises:
        ValueError: one of them is None.
    """
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise ValueError(
            f"{what} needs {', '.join(missing)}: update(updates, state, params, "
            f"{', '.join(f'{name}=...' for name in values)}).\n  {user_line()}"
        )
