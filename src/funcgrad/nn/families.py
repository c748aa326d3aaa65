"""Which module each name of `funcgrad.nn` is from."""

from __future__ import annotations

families = {
    "activations": """
        celu elu gelu glu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log1mexp
        log_sigmoid log_softmax logmeanexp logsumexp mish one_hot relu relu6 selu sigmoid silu
        soft_sign softmax softplus sparse_plus sparse_sigmoid squareplus standardize swish tanh
    """,
    "attention": """
        dot_product_attention
    """,
    "attention_layers": """
        multi_head_attention padding_mask
    """,
    "combinators": """
        branch parallel repeat residual serial
    """,
    "compression": """
        decompress factorize fold_batch_norm magnitude_masks prune quantize
    """,
    "convolution": """
        conv conv_transpose depthwise_conv separable_conv
    """,
    "layer": """
        Layer activation stateless
    """,
    "linear": """
        bilinear dense embedding
    """,
    "losses_classification": """
        multinomial_logistic_loss poly_loss_cross_entropy safe_softmax_cross_entropy
        sigmoid_binary_cross_entropy sigmoid_focal_loss smooth_labels softmax_cross_entropy
        softmax_cross_entropy_with_integer_labels softmax_focal_loss
    """,
    "losses_ctc": """
        ctc_loss
    """,
    "losses_divergence": """
        generalized_kl_divergence jensen_shannon_divergence kl_divergence
        kl_divergence_with_log_targets
    """,
    "losses_gan": """
        gradient_penalty least_squares_critic_loss least_squares_generator_loss
        minimax_critic_loss minimax_generator_loss non_saturating_generator_loss
        wasserstein_critic_loss wasserstein_generator_loss
    """,
    "losses_margin": """
        contrastive_loss cosine_embedding_loss hinge_loss multi_margin_loss multiclass_hinge_loss
        multiclass_perceptron_loss ntxent one_vs_all_hinge_loss perceptron_loss squared_hinge_loss
        triplet_margin_loss
    """,
    "losses_perceptual": """
        gram_loss gram_matrix perceptual_loss
    """,
    "losses_regression": """
        absolute_error cosine_distance cosine_similarity euclidean_loss huber_loss l2_loss
        log_cosh smooth_l1_loss squared_error total_variation_loss
    """,
    "metrics": """
        accuracy confusion_matrix contrastive_accuracy f1_score precision recall top_k_accuracy
    """,
    "normalization": """
        batch_norm group_norm instance_norm layer_norm local_response_norm rms_norm spectral_norm
    """,
    "pooling": """
        adaptive_avg_pool adaptive_max_pool avg_pool global_avg_pool global_max_pool lp_pool
        max_pool max_pool_indices max_unpool spatial_pyramid_pool stochastic_pool upsample
    """,
    "positions": """
        add_sinusoidal_positions learned_positions rotary sinusoidal_positions
    """,
    "recurrent": """
        gru gru_cell lstm lstm_cell rnn rnn_cell
    """,
    "regularization": """
        drop_path dropout
    """,
    "shaping": """
        channel_shuffle concat elementwise_max elementwise_product elementwise_sum flatten
        pixel_shuffle pixel_unshuffle prelu reshape scale_and_shift slice_along split
    """,
    "transformers": """
        decoder_block encoder_block feed_forward gated_feed_forward
    """,
}
