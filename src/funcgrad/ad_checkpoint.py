"""Recomputation in reverse mode: checkpoint, its policies, and what is kept."""

from __future__ import annotations

from .control.checkpoint import checkpoint as checkpoint
from .control.checkpoint import remat as remat
from .control.checkpoint import remat_p as remat_p
from .control.policies import checkpoint_name as checkpoint_name
from .control.policies import checkpoint_policies as checkpoint_policies
from .control.policies import name_p as name_p
from .control.saved import print_saved_residuals as print_saved_residuals
from .control.saved import saved_residuals as saved_residuals
