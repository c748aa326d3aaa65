"""Networks as pairs of pure functions over plain pytrees.

A `Layer` is `init(key, x) -> (params, state)` and `apply(params, state, x, train=False) -> (y,
state)`; `serial` and its kin make one layer of several. jit, vmap and grad act on `apply` directly;
params and state are dicts and lists of arrays.

A family is loaded when one of its names is first asked for: who wants an activation waits for
nothing else. `tests/test_public_names.py` holds the list below and `families.py` together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .families import families

if TYPE_CHECKING:
    from . import initializers as initializers
    from .activations import celu as celu
    from .activations import elu as elu
    from .activations import gelu as gelu
    from .activations import glu as glu
    from .activations import hard_sigmoid as hard_sigmoid
    from .activations import hard_silu as hard_silu
    from .activations import hard_swish as hard_swish
    from .activations import hard_tanh as hard_tanh
    from .activations import identity as identity
    from .activations import leaky_relu as leaky_relu
    from .activations import log1mexp as log1mexp
    from .activations import log_sigmoid as log_sigmoid
    from .activations import log_softmax as log_softmax
    from .activations import logmeanexp as logmeanexp
    from .activations import logsumexp as logsumexp
    from .activations import mish as mish
    from .activations import one_hot as one_hot
    from .activations import relu as relu
    from .activations import relu6 as relu6
    from .activations import selu as selu
    from .activations import sigmoid as sigmoid
    from .activations import silu as silu
    from .activations import soft_sign as soft_sign
    from .activations import softmax as softmax
    from .activations import softplus as softplus
    from .activations import sparse_plus as sparse_plus
    from .activations import sparse_sigmoid as sparse_sigmoid
    from .activations import squareplus as squareplus
    from .activations import standardize as standardize
    from .activations import swish as swish
    from .activations import tanh as tanh
    from .attention import dot_product_attention as dot_product_attention
    from .attention_layers import multi_head_attention as multi_head_attention
    from .attention_layers import padding_mask as padding_mask
    from .combinators import branch as branch
    from .combinators import parallel as parallel
    from .combinators import repeat as repeat
    from .combinators import residual as residual
    from .combinators import serial as serial
    from .compression import decompress as decompress
    from .compression import factorize as factorize
    from .compression import fold_batch_norm as fold_batch_norm
    from .compression import magnitude_masks as magnitude_masks
    from .compression import prune as prune
    from .compression import quantize as quantize
    from .convolution import conv as conv
    from .convolution import conv_transpose as conv_transpose
    from .convolution import depthwise_conv as depthwise_conv
    from .convolution import separable_conv as separable_conv
    from .layer import Layer as Layer
    from .layer import activation as activation
    from .layer import stateless as stateless
    from .linear import bilinear as bilinear
    from .linear import dense as dense
    from .linear import embedding as embedding
    from .losses_classification import multinomial_logistic_loss as multinomial_logistic_loss
    from .losses_classification import poly_loss_cross_entropy as poly_loss_cross_entropy
    from .losses_classification import safe_softmax_cross_entropy as safe_softmax_cross_entropy
    from .losses_classification import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
    from .losses_classification import sigmoid_focal_loss as sigmoid_focal_loss
    from .losses_classification import smooth_labels as smooth_labels
    from .losses_classification import softmax_cross_entropy as softmax_cross_entropy
    from .losses_classification import (
        softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
    )
    from .losses_classification import softmax_focal_loss as softmax_focal_loss
    from .losses_ctc import ctc_loss as ctc_loss
    from .losses_divergence import generalized_kl_divergence as generalized_kl_divergence
    from .losses_divergence import jensen_shannon_divergence as jensen_shannon_divergence
    from .losses_divergence import kl_divergence as kl_divergence
    from .losses_divergence import kl_divergence_with_log_targets as kl_divergence_with_log_targets
    from .losses_gan import gradient_penalty as gradient_penalty
    from .losses_gan import least_squares_critic_loss as least_squares_critic_loss
    from .losses_gan import least_squares_generator_loss as least_squares_generator_loss
    from .losses_gan import minimax_critic_loss as minimax_critic_loss
    from .losses_gan import minimax_generator_loss as minimax_generator_loss
    from .losses_gan import non_saturating_generator_loss as non_saturating_generator_loss
    from .losses_gan import wasserstein_critic_loss as wasserstein_critic_loss
    from .losses_gan import wasserstein_generator_loss as wasserstein_generator_loss
    from .losses_margin import contrastive_loss as contrastive_loss
    from .losses_margin import cosine_embedding_loss as cosine_embedding_loss
    from .losses_margin import hinge_loss as hinge_loss
    from .losses_margin import multi_margin_loss as multi_margin_loss
    from .losses_margin import multiclass_hinge_loss as multiclass_hinge_loss
    from .losses_margin import multiclass_perceptron_loss as multiclass_perceptron_loss
    from .losses_margin import ntxent as ntxent
    from .losses_margin import one_vs_all_hinge_loss as one_vs_all_hinge_loss
    from .losses_margin import perceptron_loss as perceptron_loss
    from .losses_margin import squared_hinge_loss as squared_hinge_loss
    from .losses_margin import triplet_margin_loss as triplet_margin_loss
    from .losses_perceptual import gram_loss as gram_loss
    from .losses_perceptual import gram_matrix as gram_matrix
    from .losses_perceptual import perceptual_loss as perceptual_loss
    from .losses_regression import absolute_error as absolute_error
    from .losses_regression import cosine_distance as cosine_distance
    from .losses_regression import cosine_similarity as cosine_similarity
    from .losses_regression import euclidean_loss as euclidean_loss
    from .losses_regression import huber_loss as huber_loss
    from .losses_regression import l2_loss as l2_loss
    from .losses_regression import log_cosh as log_cosh
    from .losses_regression import smooth_l1_loss as smooth_l1_loss
    from .losses_regression import squared_error as squared_error
    from .losses_regression import total_variation_loss as total_variation_loss
    from .metrics import accuracy as accuracy
    from .metrics import confusion_matrix as confusion_matrix
    from .metrics import contrastive_accuracy as contrastive_accuracy
    from .metrics import f1_score as f1_score
    from .metrics import precision as precision
    from .metrics import recall as recall
    from .metrics import top_k_accuracy as top_k_accuracy
    from .normalization import batch_norm as batch_norm
    from .normalization import group_norm as group_norm
    from .normalization import instance_norm as instance_norm
    from .normalization import layer_norm as layer_norm
    from .normalization import local_response_norm as local_response_norm
    from .normalization import rms_norm as rms_norm
    from .normalization import spectral_norm as spectral_norm
    from .pooling import adaptive_avg_pool as adaptive_avg_pool
    from .pooling import adaptive_max_pool as adaptive_max_pool
    from .pooling import avg_pool as avg_pool
    from .pooling import global_avg_pool as global_avg_pool
    from .pooling import global_max_pool as global_max_pool
    from .pooling import lp_pool as lp_pool
    from .pooling import max_pool as max_pool
    from .pooling import max_pool_indices as max_pool_indices
    from .pooling import max_unpool as max_unpool
    from .pooling import spatial_pyramid_pool as spatial_pyramid_pool
    from .pooling import stochastic_pool as stochastic_pool
    from .pooling import upsample as upsample
    from .positions import add_sinusoidal_positions as add_sinusoidal_positions
    from .positions import learned_positions as learned_positions
    from .positions import rotary as rotary
    from .positions import sinusoidal_positions as sinusoidal_positions
    from .recurrent import gru as gru
    from .recurrent import gru_cell as gru_cell
    from .recurrent import lstm as lstm
    from .recurrent import lstm_cell as lstm_cell
    from .recurrent import rnn as rnn
    from .recurrent import rnn_cell as rnn_cell
    from .regularization import drop_path as drop_path
    from .regularization import dropout as dropout
    from .shaping import channel_shuffle as channel_shuffle
    from .shaping import concat as concat
    from .shaping import elementwise_max as elementwise_max
    from .shaping import elementwise_product as elementwise_product
    from .shaping import elementwise_sum as elementwise_sum
    from .shaping import flatten as flatten
    from .shaping import pixel_shuffle as pixel_shuffle
    from .shaping import pixel_unshuffle as pixel_unshuffle
    from .shaping import prelu as prelu
    from .shaping import reshape as reshape
    from .shaping import scale_and_shift as scale_and_shift
    from .shaping import slice_along as slice_along
    from .shaping import split as split
    from .transformers import decoder_block as decoder_block
    from .transformers import encoder_block as encoder_block
    from .transformers import feed_forward as feed_forward
    from .transformers import gated_feed_forward as gated_feed_forward

_homes = {name: family for family, names in families.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in ("initializers", "zoo"):
        return importlib.import_module(f"{__name__}.{name}")
    family = _homes.get(name)
    if family is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{family}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*_homes, "initializers"})
