"""The checkpoints of a run: one file for each step that was saved, the last few of them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..core.sources import user_line
from .checkpoints import CheckpointError, StrPath, load, save


class Checkpoints:
    """A folder of checkpoints `step-00000100.safetensors`, of which the last `keep` stay.

    Raises:
        ValueError: keep below 1.
    """

    def __init__(self, folder: StrPath, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(
                f"train.Checkpoints: keep={keep}.\n  {user_line()}\n  Keep at least 1."
            )
        self.folder = Path(folder)
        self.keep = keep

    @property
    def steps(self) -> list[int]:
        """The steps that there are checkpoints of, in increasing order."""
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        found = [re.fullmatch(r"step-(\d+)\.safetensors", name) for name in names]
        return sorted(int(match[1]) for match in found if match)

    def path(self, step: int) -> Path:
        """The file of a step."""
        return self.folder / f"step-{step:08d}.safetensors"

    def save(self, step: int, values: Any, also: Collection[int] = ()) -> Path:
        """Write a pytree as the checkpoint of a step, then remove those before the last `keep`.

        Args:
            also: steps whose checkpoints stay besides.
        """
        place = self.path(step)
        save(place, values)
        older = [n for n in self.steps if n <= step]
        for n in older[: -self.keep]:
            if n not in also:
                self.path(n).unlink(missing_ok=True)
        # What a killed process left half written. The file of this step has its name by now.
        for left in self.folder.glob(".step-*.safetensors.tmp"):
            left.unlink(missing_ok=True)
        return place

    def clear(self) -> None:
        """Remove all checkpoints of the folder, for a run that starts anew."""
        for n in self.steps:
            self.path(n).unlink(missing_ok=True)

    def restore(self, like: Any, step: int | None = None) -> tuple[int, Any]:
        """The step and the pytree of the last checkpoint, or of that of a step.

        Raises:
            CheckpointError: there is none, or it is refused by `load`; the text names the others.
        """
        steps = self.steps
        if step is None and not steps:
            raise CheckpointError(f"there are no checkpoints in {self.folder}.\n  {user_line()}")
        chosen = steps[-1] if step is None else step
        if chosen not in steps:
            raise CheckpointError(
                f"there is no checkpoint of step {chosen} in {self.folder}, but of {steps}.\n"
                f"  {user_line()}"
            )
        try:
            return chosen, load(self.path(chosen), like)
        except CheckpointError as error:
            others = [n for n in steps if n != chosen]
            raise CheckpointError(
                f"{error}\n  There are checkpoints of steps {others or 'none'} besides; to go on "
                "from the last of them, move this file away."
            ) from error
