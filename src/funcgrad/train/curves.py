"""The curves of a run as a picture. In: its history. Out: a Matplotlib figure, or a file."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ..core.sources import user_line
from .checkpoints import StrPath
from .logs import Record


def plot(history: Sequence[Record], path: StrPath | None = None) -> Any:
    """Curves of all metrics over the steps, training and evaluation of one name together.

    A metric whose name ends in "loss" has a logarithmic axis while its values are positive.

    Args:
        history: records such as those of `Run.history`.
        path: where the picture is written, as the kind of file that the suffix says.
    Returns:
        The matplotlib Figure. It belongs to no window and need not be closed.
    Raises:
        ValueError: there is nothing to draw.
        ImportError: matplotlib is not installed.
    """
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError("train.plot needs matplotlib: pip install 'funcgrad[plot]'") from error
    names = list(dict.fromkeys(k for record in history for k in record if k != "step"))
    if not names:
        raise ValueError(f"train.plot: the history has no metric.\n  {user_line()}")
    charts = list(dict.fromkeys(name.removeprefix("eval/") for name in names))
    figure = figures.Figure(figsize=(4.5 * len(charts), 3.5), layout="constrained")
    for axes, chart in zip(figure.subplots(1, len(charts), squeeze=False)[0], charts, strict=True):
        values: list[float] = []
        for name, label in ((chart, "training"), (f"eval/{chart}", "evaluation")):
            points = [(record["step"], record[name]) for record in history if name in record]
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(x, y, label=label)
                values += y
        if chart.endswith("loss") and min(values) > 0:
            axes.set_yscale("log")
        axes.set(xlabel="step", title=chart)
        axes.legend()
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
