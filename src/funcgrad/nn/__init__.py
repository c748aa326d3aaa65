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
from .attention import dot_product_attention as dot_product_attention
from .attention_layers import multi_head_attention as multi_head_attention
from .attention_layers import padding_mask as padding_mask
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
from .pooling import avg_pool as avg_pool
from .pooling import max_pool as max_pool
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
from .shaping import concat as concat
from .shaping import flatten as flatten
