"""Networks as pairs of pure functions over plain pytrees.

A `Layer` is `init(key, x) -> (params, state)` and `apply(params, state, x, train=False) -> (y,
state)`; `serial` and its kin make one layer of several. jit, vmap and grad act on `apply` directly;
params and state are dicts and lists of arrays.
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
from .combinators import branch as branch
from .combinators import parallel as parallel
from .combinators import repeat as repeat
from .combinators import residual as residual
from .combinators import serial as serial
from .convolution import conv as conv
from .layer import Layer as Layer
from .layer import activation as activation
from .layer import stateless as stateless
from .linear import dense as dense
from .losses import accuracy as accuracy
from .losses import softmax_cross_entropy as softmax_cross_entropy
from .losses import squared_error as squared_error
from .pooling import avg_pool as avg_pool
from .pooling import max_pool as max_pool
from .shaping import concat as concat
from .shaping import flatten as flatten
