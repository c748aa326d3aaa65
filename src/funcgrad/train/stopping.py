"""When to stop early: a rule, and its memory as a plain dict that goes into checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..core.sources import user_line


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a metric has not improved for `patience` evaluations.

    Args:
        metric: its name among the results of the evaluation.
        patience: evaluations without improvement after which to stop.
        min_delta: how much better than the best so far counts as an improvement.
        mode: "min" where less is better, "max" where more is.
    Raises:
        ValueError: another mode, patience below 1, a negative min_delta.
    """

    metric: str = "loss"
    patience: int = 5
    min_delta: float = 0.0
    mode: str = "min"

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max") or self.patience < 1 or self.min_delta < 0:
            raise ValueError(f"train.EarlyStopping: {self} cannot be.\n  {user_line()}")

    def init(self) -> dict[str, Any]:
        """The memory before the first evaluation."""
        return {"best": None, "step": 0, "waited": 0}

    def update(self, memory: dict[str, Any], step: int, value: float) -> dict[str, Any]:
        """The memory after an evaluation; NaN is no improvement."""
        best = memory["best"]
        sign = 1.0 if self.mode == "min" else -1.0
        first = best is None and not math.isnan(value)
        if first or (best is not None and sign * (best - value) > self.min_delta):
            return {"best": value, "step": step, "waited": 0}
        return {**memory, "waited": memory["waited"] + 1}

    def is_over(self, memory: dict[str, Any]) -> bool:
        """Whether it is time to stop."""
        return memory["waited"] >= self.patience
