"""Networks as pairs of pure functions over plain pytrees.

A `Layer` is `init(key, shape) -> params` and `apply(params, x) -> y`; `serial` makes one layer of
several. jit, vmap and grad act on `apply` directly; params are dicts and tuples of arrays.
"""

from __future__ import annotations

from . import initializers as initializers
from .activations import elu as elu
from .activations import gelu as gelu
from .activations import leaky_relu as leaky_relu
from .activations import log_sigmoid as log_sigmoid
from .activations import log_softmax as log_softmax
from .activations import one_hot as one_hot
from .activations import relu as relu
from .activations import sigmoid as sigmoid
from .activations import silu as silu
from .activations import softmax as softmax
from .activations import softplus as softplus
from .activations import swish as swish
from .activations import tanh as tanh
from .layers import Layer as Layer
from .layers import activation as activation
from .layers import avg_pool as avg_pool
from .layers import conv as conv
from .layers import dense as dense
from .layers import flatten as flatten
from .layers import max_pool as max_pool
from .layers import serial as serial
from .losses import accuracy as accuracy
from .losses import softmax_cross_entropy as softmax_cross_entropy
from .losses import squared_error as squared_error
