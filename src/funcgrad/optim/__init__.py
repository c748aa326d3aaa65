"""Optimizers as pairs of pure functions over pytrees, in optax's protocol."""

from __future__ import annotations

from .base import GradientTransformation as GradientTransformation
from .base import apply_updates as apply_updates
from .base import chain as chain
from .base import global_norm as global_norm
from .methods import adam as adam
from .methods import add_decayed_weights as add_decayed_weights
from .methods import clip_by_global_norm as clip_by_global_norm
from .methods import scale as scale
from .methods import scale_by_adam as scale_by_adam
from .methods import sgd as sgd
from .methods import trace as trace
