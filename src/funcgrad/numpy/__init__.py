"""NumPy's functions on arrays that can be traced: same names, same arguments, new arrays.

In: arrays, NumPy arrays, numbers; never lists where an array is meant. Out: arrays, or tracers
under a transform. Importing this module gives arrays their operators and methods.
"""

from __future__ import annotations

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING

import numpy as _np

from ..ir.avals import AnyArray as Array
from ..ir.dtypes import finfo as finfo
from ..ir.dtypes import iinfo as iinfo
from ..ir.dtypes import promote_types as promote_types
from ..ir.dtypes import result_type as result_type
from . import namespace_info as namespace_info
from . import operators as operators
from .arithmetic import abs as abs
from .arithmetic import absolute as absolute
from .arithmetic import cbrt as cbrt
from .arithmetic import clip as clip
from .arithmetic import divmod as divmod
from .arithmetic import fabs as fabs
from .arithmetic import modf as modf
from .arithmetic import positive as positive
from .arithmetic import reciprocal as reciprocal
from .arithmetic import sign as sign
from .arithmetic import sqrt as sqrt
from .arithmetic import square as square
from .contraction import convolve as convolve
from .contraction import correlate as correlate
from .contraction import cross as cross
from .contraction import dot as dot
from .contraction import inner as inner
from .contraction import kron as kron
from .contraction import matmul as matmul
from .contraction import matvec as matvec
from .contraction import outer as outer
from .contraction import tensordot as tensordot
from .contraction import vdot as vdot
from .contraction import vecdot as vecdot
from .contraction import vecmat as vecmat
from .creation import array as array
from .creation import asarray as asarray
from .creation import astype as astype
from .creation import copy as copy
from .creation import empty as empty
from .creation import empty_like as empty_like
from .creation import from_dlpack as from_dlpack
from .creation import frombuffer as frombuffer
from .creation import fromfunction as fromfunction
from .creation import full as full
from .creation import full_like as full_like
from .creation import isscalar as isscalar
from .creation import ndim as ndim
from .creation import ones as ones
from .creation import ones_like as ones_like
from .creation import shape as shape
from .creation import size as size
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like
from .cumulation import cumprod as cumprod
from .cumulation import cumsum as cumsum
from .cumulation import cumulative_prod as cumulative_prod
from .cumulation import cumulative_sum as cumulative_sum
from .diagonals import diag as diag
from .diagonals import diag_indices as diag_indices
from .diagonals import diag_indices_from as diag_indices_from
from .diagonals import diagflat as diagflat
from .diagonals import diagonal as diagonal
from .diagonals import eye as eye
from .diagonals import fill_diagonal as fill_diagonal
from .diagonals import identity as identity
from .diagonals import mask_indices as mask_indices
from .diagonals import trace as trace
from .diagonals import tri as tri
from .diagonals import tril as tril
from .diagonals import tril_indices as tril_indices
from .diagonals import tril_indices_from as tril_indices_from
from .diagonals import triu as triu
from .diagonals import triu_indices as triu_indices
from .diagonals import triu_indices_from as triu_indices_from
from .diagonals import vander as vander
from .einsum import einsum as einsum
from .einsum import einsum_path as einsum_path
from .elementary import acos as acos
from .elementary import acosh as acosh
from .elementary import arccos as arccos
from .elementary import arccosh as arccosh
from .elementary import arcsin as arcsin
from .elementary import arcsinh as arcsinh
from .elementary import arctan as arctan
from .elementary import arctanh as arctanh
from .elementary import asin as asin
from .elementary import asinh as asinh
from .elementary import atan as atan
from .elementary import atanh as atanh
from .elementary import cos as cos
from .elementary import cosh as cosh
from .elementary import deg2rad as deg2rad
from .elementary import degrees as degrees
from .elementary import exp as exp
from .elementary import exp2 as exp2
from .elementary import expm1 as expm1
from .elementary import log as log
from .elementary import log1p as log1p
from .elementary import log2 as log2
from .elementary import log10 as log10
from .elementary import rad2deg as rad2deg
from .elementary import radians as radians
from .elementary import sin as sin
from .elementary import sinc as sinc
from .elementary import sinh as sinh
from .elementary import tan as tan
from .elementary import tanh as tanh
from .elementary import unwrap as unwrap
from .extremes import amax as amax
from .extremes import amin as amin
from .extremes import argmax as argmax
from .extremes import argmin as argmin
from .extremes import max as max
from .extremes import min as min
from .extremes import minmax as minmax
from .extremes import ptp as ptp
from .families import homes as _homes
from .indexing import compress as compress
from .indexing import extract as extract
from .indexing import place as place
from .indexing import put as put
from .indexing import put_along_axis as put_along_axis
from .indexing import take as take
from .indexing import take_along_axis as take_along_axis
from .integers import packbits as packbits
from .integers import unpackbits as unpackbits
from .joining import append as append
from .joining import array_split as array_split
from .joining import block as block
from .joining import column_stack as column_stack
from .joining import concat as concat
from .joining import concatenate as concatenate
from .joining import delete as delete
from .joining import dsplit as dsplit
from .joining import dstack as dstack
from .joining import hsplit as hsplit
from .joining import hstack as hstack
from .joining import insert as insert
from .joining import repeat as repeat
from .joining import split as split
from .joining import stack as stack
from .joining import tile as tile
from .joining import unstack as unstack
from .joining import vsplit as vsplit
from .joining import vstack as vstack
from .logic import allclose as allclose
from .logic import angle as angle
from .logic import array_equal as array_equal
from .logic import array_equiv as array_equiv
from .logic import bitwise_count as bitwise_count
from .logic import bitwise_invert as bitwise_invert
from .logic import bitwise_not as bitwise_not
from .logic import conj as conj
from .logic import conjugate as conjugate
from .logic import imag as imag
from .logic import invert as invert
from .logic import isclose as isclose
from .logic import iscomplex as iscomplex
from .logic import iscomplexobj as iscomplexobj
from .logic import isfinite as isfinite
from .logic import isinf as isinf
from .logic import isnan as isnan
from .logic import isneginf as isneginf
from .logic import isposinf as isposinf
from .logic import isreal as isreal
from .logic import isrealobj as isrealobj
from .logic import logical_not as logical_not
from .logic import nan_to_num as nan_to_num
from .logic import real as real
from .manipulation import atleast_1d as atleast_1d
from .manipulation import atleast_2d as atleast_2d
from .manipulation import atleast_3d as atleast_3d
from .manipulation import broadcast_arrays as broadcast_arrays
from .manipulation import broadcast_shapes as broadcast_shapes
from .manipulation import broadcast_to as broadcast_to
from .manipulation import expand_dims as expand_dims
from .manipulation import flip as flip
from .manipulation import fliplr as fliplr
from .manipulation import flipud as flipud
from .manipulation import matrix_transpose as matrix_transpose
from .manipulation import moveaxis as moveaxis
from .manipulation import permute_dims as permute_dims
from .manipulation import ravel as ravel
from .manipulation import reshape as reshape
from .manipulation import resize as resize
from .manipulation import roll as roll
from .manipulation import rollaxis as rollaxis
from .manipulation import rot90 as rot90
from .manipulation import squeeze as squeeze
from .manipulation import swapaxes as swapaxes
from .manipulation import transpose as transpose
from .manipulation import trim_zeros as trim_zeros
from .ranges import arange as arange
from .ranges import geomspace as geomspace
from .ranges import indices as indices
from .ranges import ix_ as ix_
from .ranges import linspace as linspace
from .ranges import logspace as logspace
from .ranges import meshgrid as meshgrid
from .reductions import all as all
from .reductions import any as any
from .reductions import average as average
from .reductions import count_nonzero as count_nonzero
from .reductions import mean as mean
from .reductions import prod as prod
from .reductions import std as std
from .reductions import sum as sum
from .reductions import var as var
from .rounding import around as around
from .rounding import ceil as ceil
from .rounding import fix as fix
from .rounding import floor as floor
from .rounding import frexp as frexp
from .rounding import rint as rint
from .rounding import round as round
from .rounding import signbit as signbit
from .rounding import spacing as spacing
from .rounding import trunc as trunc
from .scalar_types import bfloat16 as bfloat16
from .scalar_types import bool_ as bool_
from .scalar_types import can_cast as can_cast
from .scalar_types import cdouble as cdouble
from .scalar_types import complex64 as complex64
from .scalar_types import complex128 as complex128
from .scalar_types import complex_ as complex_
from .scalar_types import csingle as csingle
from .scalar_types import double as double
from .scalar_types import float4_e2m1fn as float4_e2m1fn
from .scalar_types import float6_e2m3fn as float6_e2m3fn
from .scalar_types import float6_e3m2fn as float6_e3m2fn
from .scalar_types import float8_e3m4 as float8_e3m4
from .scalar_types import float8_e4m3 as float8_e4m3
from .scalar_types import float8_e4m3b11fnuz as float8_e4m3b11fnuz
from .scalar_types import float8_e4m3fn as float8_e4m3fn
from .scalar_types import float8_e4m3fnuz as float8_e4m3fnuz
from .scalar_types import float8_e5m2 as float8_e5m2
from .scalar_types import float8_e5m2fnuz as float8_e5m2fnuz
from .scalar_types import float8_e8m0fnu as float8_e8m0fnu
from .scalar_types import float16 as float16
from .scalar_types import float32 as float32
from .scalar_types import float64 as float64
from .scalar_types import float_ as float_
from .scalar_types import int1 as int1
from .scalar_types import int2 as int2
from .scalar_types import int4 as int4
from .scalar_types import int8 as int8
from .scalar_types import int16 as int16
from .scalar_types import int32 as int32
from .scalar_types import int64 as int64
from .scalar_types import int_ as int_
from .scalar_types import isdtype as isdtype
from .scalar_types import issubdtype as issubdtype
from .scalar_types import single as single
from .scalar_types import uint as uint
from .scalar_types import uint1 as uint1
from .scalar_types import uint2 as uint2
from .scalar_types import uint4 as uint4
from .scalar_types import uint8 as uint8
from .scalar_types import uint16 as uint16
from .scalar_types import uint32 as uint32
from .scalar_types import uint64 as uint64
from .search import argwhere as argwhere
from .search import bincount as bincount
from .search import digitize as digitize
from .search import flatnonzero as flatnonzero
from .search import interp as interp
from .search import isin as isin
from .search import nonzero as nonzero
from .search import ravel_multi_index as ravel_multi_index
from .search import searchsorted as searchsorted
from .search import unravel_index as unravel_index
from .selection import choose as choose
from .selection import piecewise as piecewise
from .selection import select as select
from .selection import where as where
from .sorting import argpartition as argpartition
from .sorting import argsort as argsort
from .sorting import lexsort as lexsort
from .sorting import partition as partition
from .sorting import sort as sort
from .sorting import sort_complex as sort_complex
from .sorting import top_k as top_k
from .ufuncs import add as add
from .ufuncs import arctan2 as arctan2
from .ufuncs import atan2 as atan2
from .ufuncs import bitwise_and as bitwise_and
from .ufuncs import bitwise_left_shift as bitwise_left_shift
from .ufuncs import bitwise_or as bitwise_or
from .ufuncs import bitwise_right_shift as bitwise_right_shift
from .ufuncs import bitwise_xor as bitwise_xor
from .ufuncs import copysign as copysign
from .ufuncs import divide as divide
from .ufuncs import equal as equal
from .ufuncs import float_power as float_power
from .ufuncs import floor_divide as floor_divide
from .ufuncs import fmax as fmax
from .ufuncs import fmin as fmin
from .ufuncs import fmod as fmod
from .ufuncs import frompyfunc as frompyfunc
from .ufuncs import gcd as gcd
from .ufuncs import greater as greater
from .ufuncs import greater_equal as greater_equal
from .ufuncs import heaviside as heaviside
from .ufuncs import hypot as hypot
from .ufuncs import lcm as lcm
from .ufuncs import ldexp as ldexp
from .ufuncs import left_shift as left_shift
from .ufuncs import less as less
from .ufuncs import less_equal as less_equal
from .ufuncs import logaddexp as logaddexp
from .ufuncs import logaddexp2 as logaddexp2
from .ufuncs import logical_and as logical_and
from .ufuncs import logical_or as logical_or
from .ufuncs import logical_xor as logical_xor
from .ufuncs import maximum as maximum
from .ufuncs import minimum as minimum
from .ufuncs import mod as mod
from .ufuncs import multiply as multiply
from .ufuncs import negative as negative
from .ufuncs import nextafter as nextafter
from .ufuncs import not_equal as not_equal
from .ufuncs import pow as pow
from .ufuncs import power as power
from .ufuncs import remainder as remainder
from .ufuncs import right_shift as right_shift
from .ufuncs import subtract as subtract
from .ufuncs import true_divide as true_divide
from .ufuncs import ufunc as ufunc

if _TYPE_CHECKING:
    from . import fft as fft
    from . import linalg as linalg
    from .calculus import diff as diff
    from .calculus import ediff1d as ediff1d
    from .calculus import gradient as gradient
    from .calculus import trapezoid as trapezoid
    from .files import array_repr as array_repr
    from .files import array_str as array_str
    from .files import fromfile as fromfile
    from .files import fromiter as fromiter
    from .files import fromstring as fromstring
    from .files import get_printoptions as get_printoptions
    from .files import iterable as iterable
    from .files import load as load
    from .files import printoptions as printoptions
    from .files import save as save
    from .files import savez as savez
    from .files import set_printoptions as set_printoptions
    from .index_tricks import c_ as c_
    from .index_tricks import index_exp as index_exp
    from .index_tricks import mgrid as mgrid
    from .index_tricks import ogrid as ogrid
    from .index_tricks import r_ as r_
    from .index_tricks import s_ as s_
    from .mapping import apply_along_axis as apply_along_axis
    from .mapping import apply_over_axes as apply_over_axes
    from .mapping import vectorize as vectorize
    from .nan_reductions import nanargmax as nanargmax
    from .nan_reductions import nanargmin as nanargmin
    from .nan_reductions import nancumprod as nancumprod
    from .nan_reductions import nancumsum as nancumsum
    from .nan_reductions import nanmax as nanmax
    from .nan_reductions import nanmean as nanmean
    from .nan_reductions import nanmin as nanmin
    from .nan_reductions import nanprod as nanprod
    from .nan_reductions import nanstd as nanstd
    from .nan_reductions import nansum as nansum
    from .nan_reductions import nanvar as nanvar
    from .padding import pad as pad
    from .polynomials import poly as poly
    from .polynomials import polyadd as polyadd
    from .polynomials import polyder as polyder
    from .polynomials import polydiv as polydiv
    from .polynomials import polyfit as polyfit
    from .polynomials import polyint as polyint
    from .polynomials import polymul as polymul
    from .polynomials import polysub as polysub
    from .polynomials import polyval as polyval
    from .polynomials import roots as roots
    from .quantiles import median as median
    from .quantiles import nanmedian as nanmedian
    from .quantiles import nanpercentile as nanpercentile
    from .quantiles import nanquantile as nanquantile
    from .quantiles import percentile as percentile
    from .quantiles import quantile as quantile
    from .setops import intersect1d as intersect1d
    from .setops import setdiff1d as setdiff1d
    from .setops import setxor1d as setxor1d
    from .setops import union1d as union1d
    from .setops import unique as unique
    from .setops import unique_all as unique_all
    from .setops import unique_counts as unique_counts
    from .setops import unique_inverse as unique_inverse
    from .setops import unique_values as unique_values
    from .statistics import corrcoef as corrcoef
    from .statistics import cov as cov
    from .statistics import histogram as histogram
    from .statistics import histogram2d as histogram2d
    from .statistics import histogram_bin_edges as histogram_bin_edges
    from .statistics import histogramdd as histogramdd
    from .windows import bartlett as bartlett
    from .windows import blackman as blackman
    from .windows import hamming as hamming
    from .windows import hanning as hanning
    from .windows import i0 as i0
    from .windows import kaiser as kaiser

__array_namespace_info__ = namespace_info.namespace_info
__array_api_version__ = "2025.12"
pi: float = _np.pi
e: float = _np.e
euler_gamma: float = _np.euler_gamma
inf: float = _np.inf
nan: float = _np.nan
newaxis = None
dtype = _np.dtype
ndarray = Array
object_ = _np.object_
ComplexWarning = _np.exceptions.ComplexWarning
# The names of abstract classes of dtypes, for issubdtype.
generic = _np.generic
number = _np.number
integer = _np.integer
signedinteger = _np.signedinteger
unsignedinteger = _np.unsignedinteger
inexact = _np.inexact
floating = _np.floating
complexfloating = _np.complexfloating
flexible = _np.flexible
character = _np.character
bool = bool_


def __getattr__(name: str) -> object:
    # What few programs need is loaded when it is asked for: importing funcgrad stays quick.
    if name in ("fft", "linalg"):
        return _importlib.import_module(f"{__name__}.{name}")
    family = _homes.get(name)
    if family is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_importlib.import_module(f"{__name__}.{family}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_homes, "fft", "linalg"})
