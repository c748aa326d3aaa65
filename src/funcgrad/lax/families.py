"""Which module each name of `funcgrad.lax` is from."""

from __future__ import annotations

families = {
    "control.associative": """
        associative_scan
    """,
    "control.collectives": """
        all_gather all_to_all axis_index axis_size pcast pmax pmean pmin ppermute pshuffle psum
        psum_scatter pswapaxes pvary
    """,
    "control.composite": """
        composite composite_p
    """,
    "control.cond": """
        cond cond_p switch
    """,
    "control.exchanges": """
        all_gather_p all_to_all_p axis_index_p pmax_p pmin_p ppermute_p psum_p pvary_p
    """,
    "control.folds": """
        reduce reduce_p reduce_window reduce_window_p select_and_scatter_p
    """,
    "control.layouts": """
        with_sharding_constraint
    """,
    "control.loops": """
        fori_loop while_loop while_p
    """,
    "control.platforms": """
        platform_dependent platform_index_p
    """,
    "control.scan": """
        map scan scan_p
    """,
    "control.sinks": """
        dce_sink dce_sink_p rng_uniform rng_uniform_p
    """,
    "control.solves": """
        custom_linear_solve custom_root
    """,
    "ir.dtypes": """
        dtype
    """,
    "numpy.formulas": """
        log2 one_minus_square polynomial
    """,
    "primitives.arithmetic": """
        abs abs_p add add_p cbrt cbrt_p div div_p max max_p min min_p mul mul_p neg neg_p rem rem_p
        rsqrt rsqrt_p sqrt sqrt_p square square_p sub sub_p
    """,
    "primitives.barriers": """
        optimization_barrier optimization_barrier_p
    """,
    "primitives.bit_generator": """
        RandomAlgorithm rng_bit_generator rng_bit_generator_p
    """,
    "primitives.bits": """
        and_p bitwise_and bitwise_not bitwise_or bitwise_xor clz clz_p mulhi mulhi_p nextafter
        nextafter_p not_p or_p population_count population_count_p shift_left shift_left_p
        shift_right_arithmetic shift_right_arithmetic_p shift_right_logical shift_right_logical_p
        xor_p
    """,
    "primitives.broadcasting": """
        broadcast broadcast_in_dim broadcast_in_dim_p broadcast_like broadcast_shapes
        broadcast_to_rank expand_dims
    """,
    "primitives.casting": """
        bitcast_convert_type bitcast_convert_type_p convert_element_type convert_element_type_p
        reduce_precision reduce_precision_p
    """,
    "primitives.comparison": """
        eq eq_p eq_to_p ge ge_p gt gt_p le le_p le_to_p lt lt_p lt_to_p ne ne_p
    """,
    "primitives.complexes": """
        complex complex_p conj conj_p imag imag_p real real_p
    """,
    "primitives.contraction": """
        Precision batch_matmul dot dot_general dot_general_p
    """,
    "primitives.convolution": """
        conv conv_general_dilated conv_general_dilated_p conv_transpose conv_with_general_padding
    """,
    "primitives.creation": """
        broadcasted_iota copy_p full full_like iota iota_p
    """,
    "primitives.cumulative": """
        cumlogsumexp cumlogsumexp_p cummax cummax_p cummin cummin_p cumprod cumprod_p cumsum
        cumsum_p
    """,
    "primitives.fourier": """
        FftType fft fft_p
    """,
    "primitives.gathering": """
        GatherDimensionNumbers GatherScatterMode gather gather_p
    """,
    "primitives.indexing": """
        dynamic_index_in_dim dynamic_slice dynamic_slice_in_dim dynamic_slice_p
        dynamic_update_index_in_dim dynamic_update_slice dynamic_update_slice_in_dim
        dynamic_update_slice_p index_in_dim index_take
    """,
    "primitives.joining": """
        concatenate concatenate_p split split_p stack tile tile_p unstack
    """,
    "primitives.movement": """
        collapse reshape reshape_p rev rev_p squeeze squeeze_p transpose transpose_p
    """,
    "primitives.patches": """
        conv_general_dilated_local conv_general_dilated_patches
    """,
    "primitives.powers": """
        integer_pow integer_pow_p pow pow_p reciprocal
    """,
    "primitives.ragged": """
        DotDimensionNumbers PrecisionLike ragged_dot ragged_dot_general ragged_dot_general_p
    """,
    "primitives.ragged_numbers": """
        RaggedDotDimensionNumbers
    """,
    "primitives.reduction": """
        argmax argmax_p argmin argmin_p reduce_and reduce_and_p reduce_max reduce_max_p reduce_min
        reduce_min_p reduce_or reduce_or_p reduce_prod reduce_prod_p reduce_sum reduce_sum_p
        reduce_xor reduce_xor_p
    """,
    "primitives.rounding": """
        RoundingMethod ceil ceil_p floor floor_p is_finite is_finite_p round round_p sign sign_p
        stop_gradient stop_gradient_p
    """,
    "primitives.scaled": """
        scaled_dot scaled_dot_p
    """,
    "primitives.scatter": """
        scatter scatter_add scatter_apply scatter_max scatter_min scatter_mul scatter_sub
    """,
    "primitives.scatter_places": """
        ScatterDimensionNumbers
    """,
    "primitives.scattering": """
        scatter_add_p scatter_max_p scatter_min_p scatter_mul_p scatter_p scatter_sub_p
    """,
    "primitives.selection": """
        clamp clamp_p select select_n select_n_p
    """,
    "primitives.slicing": """
        pad pad_p slice slice_in_dim slice_p
    """,
    "primitives.sorting": """
        approx_max_k approx_min_k sort sort_key_val sort_p top_k top_k_p
    """,
    "primitives.special": """
        bessel_i0e bessel_i0e_p bessel_i1e bessel_i1e_p betainc digamma digamma_p erf erf_inv
        erf_inv_p erf_p erfc erfc_p igamma igamma_grad_a igamma_grad_a_p igamma_p igammac igammac_p
        lgamma lgamma_p polygamma polygamma_p random_gamma_grad regularized_incomplete_beta_p zeta
        zeta_p
    """,
    "primitives.tokens": """
        after_all after_all_p create_token create_token_p
    """,
    "primitives.transcendental": """
        AccuracyMode Tolerance acos acos_p acosh acosh_p asin asin_p asinh asinh_p atan atan2
        atan2_p atan_p atanh atanh_p cos cos_p cosh cosh_p exp exp2 exp2_p exp_p expm1 expm1_p log
        log1p log1p_p log_p logistic logistic_p sin sin_p sinh sinh_p tan tan_p tanh tanh_p
    """,
    "primitives.values": """
        empty shape_as_value stage
    """,
    "primitives.window_shapes": """
        ConvGeneralDilatedDimensionNumbers conv_general_shape_tuple conv_shape_tuple
        conv_transpose_shape_tuple reduce_window_shape_tuple
    """,
    "primitives.windowing": """
        ConvDimensionNumbers conv_dimension_numbers conv_general_permutations padtype_to_pads
    """,
    "primitives.windows": """
        reduce_window_max_p reduce_window_min_p reduce_window_sum_p select_and_gather_add_p
        select_and_scatter_add_p
    """,
}
