"""The operators of the library, under the names of `jax.lax`.

A family is loaded when one of its names is first asked for, so that `import funcgrad` does not wait
for all of them. `tests/test_lax_names.py` holds the two lists below together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..control.associative import associative_scan as associative_scan
    from ..control.collectives import all_gather as all_gather
    from ..control.collectives import all_gather_p as all_gather_p
    from ..control.collectives import all_to_all as all_to_all
    from ..control.collectives import all_to_all_p as all_to_all_p
    from ..control.collectives import axis_index as axis_index
    from ..control.collectives import axis_index_p as axis_index_p
    from ..control.collectives import axis_size as axis_size
    from ..control.collectives import pmax as pmax
    from ..control.collectives import pmax_p as pmax_p
    from ..control.collectives import pmean as pmean
    from ..control.collectives import pmin as pmin
    from ..control.collectives import pmin_p as pmin_p
    from ..control.collectives import ppermute as ppermute
    from ..control.collectives import ppermute_p as ppermute_p
    from ..control.collectives import pshuffle as pshuffle
    from ..control.collectives import psum as psum
    from ..control.collectives import psum_p as psum_p
    from ..control.collectives import psum_scatter as psum_scatter
    from ..control.collectives import pswapaxes as pswapaxes
    from ..control.cond import cond as cond
    from ..control.cond import cond_p as cond_p
    from ..control.cond import switch as switch
    from ..control.folds import reduce as reduce
    from ..control.folds import reduce_p as reduce_p
    from ..control.folds import reduce_window as reduce_window
    from ..control.folds import reduce_window_p as reduce_window_p
    from ..control.folds import select_and_scatter_p as select_and_scatter_p
    from ..control.loops import fori_loop as fori_loop
    from ..control.loops import while_loop as while_loop
    from ..control.loops import while_p as while_p
    from ..control.scan import map as map
    from ..control.scan import scan as scan
    from ..control.scan import scan_p as scan_p
    from ..control.solves import custom_linear_solve as custom_linear_solve
    from ..control.solves import custom_root as custom_root
    from ..primitives.arithmetic import abs as abs
    from ..primitives.arithmetic import abs_p as abs_p
    from ..primitives.arithmetic import add as add
    from ..primitives.arithmetic import add_p as add_p
    from ..primitives.arithmetic import cbrt as cbrt
    from ..primitives.arithmetic import cbrt_p as cbrt_p
    from ..primitives.arithmetic import div as div
    from ..primitives.arithmetic import div_p as div_p
    from ..primitives.arithmetic import integer_pow as integer_pow
    from ..primitives.arithmetic import integer_pow_p as integer_pow_p
    from ..primitives.arithmetic import max as max
    from ..primitives.arithmetic import max_p as max_p
    from ..primitives.arithmetic import min as min
    from ..primitives.arithmetic import min_p as min_p
    from ..primitives.arithmetic import mul as mul
    from ..primitives.arithmetic import mul_p as mul_p
    from ..primitives.arithmetic import neg as neg
    from ..primitives.arithmetic import neg_p as neg_p
    from ..primitives.arithmetic import pow as pow
    from ..primitives.arithmetic import pow_p as pow_p
    from ..primitives.arithmetic import reciprocal as reciprocal
    from ..primitives.arithmetic import rem as rem
    from ..primitives.arithmetic import rem_p as rem_p
    from ..primitives.arithmetic import rsqrt as rsqrt
    from ..primitives.arithmetic import rsqrt_p as rsqrt_p
    from ..primitives.arithmetic import sqrt as sqrt
    from ..primitives.arithmetic import sqrt_p as sqrt_p
    from ..primitives.arithmetic import square as square
    from ..primitives.arithmetic import square_p as square_p
    from ..primitives.arithmetic import sub as sub
    from ..primitives.arithmetic import sub_p as sub_p
    from ..primitives.barriers import optimization_barrier as optimization_barrier
    from ..primitives.barriers import optimization_barrier_p as optimization_barrier_p
    from ..primitives.bit_generator import RandomAlgorithm as RandomAlgorithm
    from ..primitives.bit_generator import rng_bit_generator as rng_bit_generator
    from ..primitives.bit_generator import rng_bit_generator_p as rng_bit_generator_p
    from ..primitives.bits import and_p as and_p
    from ..primitives.bits import bitwise_and as bitwise_and
    from ..primitives.bits import bitwise_not as bitwise_not
    from ..primitives.bits import bitwise_or as bitwise_or
    from ..primitives.bits import bitwise_xor as bitwise_xor
    from ..primitives.bits import clz as clz
    from ..primitives.bits import clz_p as clz_p
    from ..primitives.bits import mulhi as mulhi
    from ..primitives.bits import mulhi_p as mulhi_p
    from ..primitives.bits import nextafter as nextafter
    from ..primitives.bits import nextafter_p as nextafter_p
    from ..primitives.bits import not_p as not_p
    from ..primitives.bits import or_p as or_p
    from ..primitives.bits import population_count as population_count
    from ..primitives.bits import population_count_p as population_count_p
    from ..primitives.bits import shift_left as shift_left
    from ..primitives.bits import shift_left_p as shift_left_p
    from ..primitives.bits import shift_right_arithmetic as shift_right_arithmetic
    from ..primitives.bits import shift_right_arithmetic_p as shift_right_arithmetic_p
    from ..primitives.bits import shift_right_logical as shift_right_logical
    from ..primitives.bits import shift_right_logical_p as shift_right_logical_p
    from ..primitives.bits import xor_p as xor_p
    from ..primitives.casting import bitcast_convert_type as bitcast_convert_type
    from ..primitives.casting import bitcast_convert_type_p as bitcast_convert_type_p
    from ..primitives.casting import convert_element_type as convert_element_type
    from ..primitives.casting import convert_element_type_p as convert_element_type_p
    from ..primitives.casting import reduce_precision as reduce_precision
    from ..primitives.casting import reduce_precision_p as reduce_precision_p
    from ..primitives.comparison import eq as eq
    from ..primitives.comparison import eq_p as eq_p
    from ..primitives.comparison import eq_to_p as eq_to_p
    from ..primitives.comparison import ge as ge
    from ..primitives.comparison import ge_p as ge_p
    from ..primitives.comparison import gt as gt
    from ..primitives.comparison import gt_p as gt_p
    from ..primitives.comparison import le as le
    from ..primitives.comparison import le_p as le_p
    from ..primitives.comparison import le_to_p as le_to_p
    from ..primitives.comparison import lt as lt
    from ..primitives.comparison import lt_p as lt_p
    from ..primitives.comparison import lt_to_p as lt_to_p
    from ..primitives.comparison import ne as ne
    from ..primitives.comparison import ne_p as ne_p
    from ..primitives.complexes import complex as complex
    from ..primitives.complexes import complex_p as complex_p
    from ..primitives.complexes import conj as conj
    from ..primitives.complexes import conj_p as conj_p
    from ..primitives.complexes import imag as imag
    from ..primitives.complexes import imag_p as imag_p
    from ..primitives.complexes import real as real
    from ..primitives.complexes import real_p as real_p
    from ..primitives.contraction import Precision as Precision
    from ..primitives.contraction import batch_matmul as batch_matmul
    from ..primitives.contraction import dot as dot
    from ..primitives.contraction import dot_general as dot_general
    from ..primitives.contraction import dot_general_p as dot_general_p
    from ..primitives.convolution import conv as conv
    from ..primitives.convolution import conv_general_dilated as conv_general_dilated
    from ..primitives.convolution import conv_general_dilated_p as conv_general_dilated_p
    from ..primitives.convolution import conv_transpose as conv_transpose
    from ..primitives.convolution import conv_with_general_padding as conv_with_general_padding
    from ..primitives.creation import broadcasted_iota as broadcasted_iota
    from ..primitives.creation import copy_p as copy_p
    from ..primitives.creation import full as full
    from ..primitives.creation import full_like as full_like
    from ..primitives.creation import iota as iota
    from ..primitives.creation import iota_p as iota_p
    from ..primitives.cumulative import cumlogsumexp as cumlogsumexp
    from ..primitives.cumulative import cumlogsumexp_p as cumlogsumexp_p
    from ..primitives.cumulative import cummax as cummax
    from ..primitives.cumulative import cummax_p as cummax_p
    from ..primitives.cumulative import cummin as cummin
    from ..primitives.cumulative import cummin_p as cummin_p
    from ..primitives.cumulative import cumprod as cumprod
    from ..primitives.cumulative import cumprod_p as cumprod_p
    from ..primitives.cumulative import cumsum as cumsum
    from ..primitives.cumulative import cumsum_p as cumsum_p
    from ..primitives.gathering import GatherDimensionNumbers as GatherDimensionNumbers
    from ..primitives.gathering import GatherScatterMode as GatherScatterMode
    from ..primitives.gathering import gather as gather
    from ..primitives.gathering import gather_p as gather_p
    from ..primitives.indexing import dynamic_index_in_dim as dynamic_index_in_dim
    from ..primitives.indexing import dynamic_slice as dynamic_slice
    from ..primitives.indexing import dynamic_slice_in_dim as dynamic_slice_in_dim
    from ..primitives.indexing import dynamic_slice_p as dynamic_slice_p
    from ..primitives.indexing import dynamic_update_index_in_dim as dynamic_update_index_in_dim
    from ..primitives.indexing import dynamic_update_slice as dynamic_update_slice
    from ..primitives.indexing import dynamic_update_slice_in_dim as dynamic_update_slice_in_dim
    from ..primitives.indexing import dynamic_update_slice_p as dynamic_update_slice_p
    from ..primitives.indexing import index_in_dim as index_in_dim
    from ..primitives.indexing import index_take as index_take
    from ..primitives.indexing import unstack as unstack
    from ..primitives.joining import concatenate as concatenate
    from ..primitives.joining import concatenate_p as concatenate_p
    from ..primitives.joining import pad as pad
    from ..primitives.joining import pad_p as pad_p
    from ..primitives.joining import slice as slice
    from ..primitives.joining import slice_in_dim as slice_in_dim
    from ..primitives.joining import slice_p as slice_p
    from ..primitives.joining import split as split
    from ..primitives.joining import split_p as split_p
    from ..primitives.joining import stack as stack
    from ..primitives.joining import tile as tile
    from ..primitives.joining import tile_p as tile_p
    from ..primitives.movement import broadcast as broadcast
    from ..primitives.movement import broadcast_in_dim as broadcast_in_dim
    from ..primitives.movement import broadcast_in_dim_p as broadcast_in_dim_p
    from ..primitives.movement import broadcast_like as broadcast_like
    from ..primitives.movement import broadcast_shapes as broadcast_shapes
    from ..primitives.movement import broadcast_to_rank as broadcast_to_rank
    from ..primitives.movement import collapse as collapse
    from ..primitives.movement import expand_dims as expand_dims
    from ..primitives.movement import reshape as reshape
    from ..primitives.movement import reshape_p as reshape_p
    from ..primitives.movement import rev as rev
    from ..primitives.movement import rev_p as rev_p
    from ..primitives.movement import squeeze as squeeze
    from ..primitives.movement import squeeze_p as squeeze_p
    from ..primitives.movement import transpose as transpose
    from ..primitives.movement import transpose_p as transpose_p
    from ..primitives.patches import conv_general_dilated_local as conv_general_dilated_local
    from ..primitives.patches import conv_general_dilated_patches as conv_general_dilated_patches
    from ..primitives.reduction import argmax as argmax
    from ..primitives.reduction import argmax_p as argmax_p
    from ..primitives.reduction import argmin as argmin
    from ..primitives.reduction import argmin_p as argmin_p
    from ..primitives.reduction import reduce_and as reduce_and
    from ..primitives.reduction import reduce_and_p as reduce_and_p
    from ..primitives.reduction import reduce_max as reduce_max
    from ..primitives.reduction import reduce_max_p as reduce_max_p
    from ..primitives.reduction import reduce_min as reduce_min
    from ..primitives.reduction import reduce_min_p as reduce_min_p
    from ..primitives.reduction import reduce_or as reduce_or
    from ..primitives.reduction import reduce_or_p as reduce_or_p
    from ..primitives.reduction import reduce_prod as reduce_prod
    from ..primitives.reduction import reduce_prod_p as reduce_prod_p
    from ..primitives.reduction import reduce_sum as reduce_sum
    from ..primitives.reduction import reduce_sum_p as reduce_sum_p
    from ..primitives.reduction import reduce_xor as reduce_xor
    from ..primitives.reduction import reduce_xor_p as reduce_xor_p
    from ..primitives.rounding import RoundingMethod as RoundingMethod
    from ..primitives.rounding import ceil as ceil
    from ..primitives.rounding import ceil_p as ceil_p
    from ..primitives.rounding import floor as floor
    from ..primitives.rounding import floor_p as floor_p
    from ..primitives.rounding import is_finite as is_finite
    from ..primitives.rounding import is_finite_p as is_finite_p
    from ..primitives.rounding import round as round
    from ..primitives.rounding import round_p as round_p
    from ..primitives.rounding import sign as sign
    from ..primitives.rounding import sign_p as sign_p
    from ..primitives.rounding import stop_gradient as stop_gradient
    from ..primitives.rounding import stop_gradient_p as stop_gradient_p
    from ..primitives.scatter import scatter as scatter
    from ..primitives.scatter import scatter_add as scatter_add
    from ..primitives.scatter import scatter_apply as scatter_apply
    from ..primitives.scatter import scatter_max as scatter_max
    from ..primitives.scatter import scatter_min as scatter_min
    from ..primitives.scatter import scatter_mul as scatter_mul
    from ..primitives.scatter import scatter_sub as scatter_sub
    from ..primitives.scattering import ScatterDimensionNumbers as ScatterDimensionNumbers
    from ..primitives.scattering import scatter_add_p as scatter_add_p
    from ..primitives.scattering import scatter_max_p as scatter_max_p
    from ..primitives.scattering import scatter_min_p as scatter_min_p
    from ..primitives.scattering import scatter_mul_p as scatter_mul_p
    from ..primitives.scattering import scatter_p as scatter_p
    from ..primitives.scattering import scatter_sub_p as scatter_sub_p
    from ..primitives.selection import clamp as clamp
    from ..primitives.selection import clamp_p as clamp_p
    from ..primitives.selection import select as select
    from ..primitives.selection import select_n as select_n
    from ..primitives.selection import select_n_p as select_n_p
    from ..primitives.sorting import approx_max_k as approx_max_k
    from ..primitives.sorting import approx_min_k as approx_min_k
    from ..primitives.sorting import sort as sort
    from ..primitives.sorting import sort_key_val as sort_key_val
    from ..primitives.sorting import sort_p as sort_p
    from ..primitives.sorting import top_k as top_k
    from ..primitives.sorting import top_k_p as top_k_p
    from ..primitives.special import bessel_i0e as bessel_i0e
    from ..primitives.special import bessel_i0e_p as bessel_i0e_p
    from ..primitives.special import bessel_i1e as bessel_i1e
    from ..primitives.special import bessel_i1e_p as bessel_i1e_p
    from ..primitives.special import betainc as betainc
    from ..primitives.special import digamma as digamma
    from ..primitives.special import digamma_p as digamma_p
    from ..primitives.special import erf as erf
    from ..primitives.special import erf_inv as erf_inv
    from ..primitives.special import erf_inv_p as erf_inv_p
    from ..primitives.special import erf_p as erf_p
    from ..primitives.special import erfc as erfc
    from ..primitives.special import erfc_p as erfc_p
    from ..primitives.special import igamma as igamma
    from ..primitives.special import igamma_grad_a as igamma_grad_a
    from ..primitives.special import igamma_grad_a_p as igamma_grad_a_p
    from ..primitives.special import igamma_p as igamma_p
    from ..primitives.special import igammac as igammac
    from ..primitives.special import igammac_p as igammac_p
    from ..primitives.special import lgamma as lgamma
    from ..primitives.special import lgamma_p as lgamma_p
    from ..primitives.special import polygamma as polygamma
    from ..primitives.special import polygamma_p as polygamma_p
    from ..primitives.special import random_gamma_grad as random_gamma_grad
    from ..primitives.special import regularized_incomplete_beta_p as regularized_incomplete_beta_p
    from ..primitives.special import zeta as zeta
    from ..primitives.special import zeta_p as zeta_p
    from ..primitives.transcendental import AccuracyMode as AccuracyMode
    from ..primitives.transcendental import Tolerance as Tolerance
    from ..primitives.transcendental import acos as acos
    from ..primitives.transcendental import acos_p as acos_p
    from ..primitives.transcendental import acosh as acosh
    from ..primitives.transcendental import acosh_p as acosh_p
    from ..primitives.transcendental import asin as asin
    from ..primitives.transcendental import asin_p as asin_p
    from ..primitives.transcendental import asinh as asinh
    from ..primitives.transcendental import asinh_p as asinh_p
    from ..primitives.transcendental import atan as atan
    from ..primitives.transcendental import atan2 as atan2
    from ..primitives.transcendental import atan2_p as atan2_p
    from ..primitives.transcendental import atan_p as atan_p
    from ..primitives.transcendental import atanh as atanh
    from ..primitives.transcendental import atanh_p as atanh_p
    from ..primitives.transcendental import cos as cos
    from ..primitives.transcendental import cos_p as cos_p
    from ..primitives.transcendental import cosh as cosh
    from ..primitives.transcendental import cosh_p as cosh_p
    from ..primitives.transcendental import exp as exp
    from ..primitives.transcendental import exp2 as exp2
    from ..primitives.transcendental import exp2_p as exp2_p
    from ..primitives.transcendental import exp_p as exp_p
    from ..primitives.transcendental import expm1 as expm1
    from ..primitives.transcendental import expm1_p as expm1_p
    from ..primitives.transcendental import log as log
    from ..primitives.transcendental import log1p as log1p
    from ..primitives.transcendental import log1p_p as log1p_p
    from ..primitives.transcendental import log_p as log_p
    from ..primitives.transcendental import logistic as logistic
    from ..primitives.transcendental import logistic_p as logistic_p
    from ..primitives.transcendental import sin as sin
    from ..primitives.transcendental import sin_p as sin_p
    from ..primitives.transcendental import sinh as sinh
    from ..primitives.transcendental import sinh_p as sinh_p
    from ..primitives.transcendental import tan as tan
    from ..primitives.transcendental import tan_p as tan_p
    from ..primitives.transcendental import tanh as tanh
    from ..primitives.transcendental import tanh_p as tanh_p
    from ..primitives.windowing import ConvDimensionNumbers as ConvDimensionNumbers
    from ..primitives.windowing import conv_dimension_numbers as conv_dimension_numbers
    from ..primitives.windowing import conv_general_permutations as conv_general_permutations
    from ..primitives.windowing import padtype_to_pads as padtype_to_pads
    from ..primitives.windows import reduce_window_max_p as reduce_window_max_p
    from ..primitives.windows import reduce_window_min_p as reduce_window_min_p
    from ..primitives.windows import reduce_window_sum_p as reduce_window_sum_p
    from ..primitives.windows import select_and_gather_add_p as select_and_gather_add_p
    from ..primitives.windows import select_and_scatter_add_p as select_and_scatter_add_p

_families = {
    "control.associative": """
        associative_scan
    """,
    "control.collectives": """
        all_gather all_gather_p all_to_all all_to_all_p axis_index axis_index_p axis_size pmax
        pmax_p pmean pmin pmin_p ppermute ppermute_p pshuffle psum psum_p psum_scatter pswapaxes
    """,
    "control.cond": """
        cond cond_p switch
    """,
    "control.folds": """
        reduce reduce_p reduce_window reduce_window_p select_and_scatter_p
    """,
    "control.loops": """
        fori_loop while_loop while_p
    """,
    "control.scan": """
        map scan scan_p
    """,
    "control.solves": """
        custom_linear_solve custom_root
    """,
    "primitives.arithmetic": """
        abs abs_p add add_p cbrt cbrt_p div div_p integer_pow integer_pow_p max max_p min min_p mul
        mul_p neg neg_p pow pow_p reciprocal rem rem_p rsqrt rsqrt_p sqrt sqrt_p square square_p sub
        sub_p
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
    "primitives.gathering": """
        GatherDimensionNumbers GatherScatterMode gather gather_p
    """,
    "primitives.indexing": """
        dynamic_index_in_dim dynamic_slice dynamic_slice_in_dim dynamic_slice_p
        dynamic_update_index_in_dim dynamic_update_slice dynamic_update_slice_in_dim
        dynamic_update_slice_p index_in_dim index_take unstack
    """,
    "primitives.joining": """
        concatenate concatenate_p pad pad_p slice slice_in_dim slice_p split split_p stack tile
        tile_p
    """,
    "primitives.movement": """
        broadcast broadcast_in_dim broadcast_in_dim_p broadcast_like broadcast_shapes
        broadcast_to_rank collapse expand_dims reshape reshape_p rev rev_p squeeze squeeze_p
        transpose transpose_p
    """,
    "primitives.patches": """
        conv_general_dilated_local conv_general_dilated_patches
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
    "primitives.scatter": """
        scatter scatter_add scatter_apply scatter_max scatter_min scatter_mul scatter_sub
    """,
    "primitives.scattering": """
        ScatterDimensionNumbers scatter_add_p scatter_max_p scatter_min_p scatter_mul_p scatter_p
        scatter_sub_p
    """,
    "primitives.selection": """
        clamp clamp_p select select_n select_n_p
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
    "primitives.transcendental": """
        AccuracyMode Tolerance acos acos_p acosh acosh_p asin asin_p asinh asinh_p atan atan2
        atan2_p atan_p atanh atanh_p cos cos_p cosh cosh_p exp exp2 exp2_p exp_p expm1 expm1_p log
        log1p log1p_p log_p logistic logistic_p sin sin_p sinh sinh_p tan tan_p tanh tanh_p
    """,
    "primitives.windowing": """
        ConvDimensionNumbers conv_dimension_numbers conv_general_permutations padtype_to_pads
    """,
    "primitives.windows": """
        reduce_window_max_p reduce_window_min_p reduce_window_sum_p select_and_gather_add_p
        select_and_scatter_add_p
    """,
}
_homes = {name: family for family, names in _families.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    family = _homes.get(name)
    if family is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"..{family}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_homes)
