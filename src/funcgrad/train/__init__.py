"""Training loops that go on where they were stopped: checkpoints, logs, early stopping, curves.

`fit` is a loop that can as well be written by hand from the other names here. A run is a function
of its state, and a checkpoint is all of that state.
"""

from __future__ import annotations

from .checkpoints import CheckpointError as CheckpointError
from .checkpoints import load as load
from .checkpoints import save as save
from .curves import plot as plot
from .folders import Checkpoints as Checkpoints
from .logs import CsvLog as CsvLog
from .logs import JsonLinesLog as JsonLinesLog
from .logs import Log as Log
from .logs import TensorBoardLog as TensorBoardLog
from .loop import Run as Run
from .loop import fit as fit
from .loop import restore as restore
from .progress import Progress as Progress
from .steps import Model as Model
from .steps import gradient_step as gradient_step
from .stopping import EarlyStopping as EarlyStopping
