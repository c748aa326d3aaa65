"""Which kernel written by hand serves a `Library` node on this machine.

In: what a primitive asks for by name, its eqn, and along which axes its operands are read
backwards. Out: a `LibraryKernel`; None where none serves, and the node's substitute is used. The
one idea: `library/` knows shapes and dtypes only; what it needs of an eqn is read here.
"""

from __future__ import annotations

from math import prod

from ..ir.avals import ShapedArray
from ..ir.jaxpr import Eqn
from ..ir.loops import Library
from .items import Backwards, LibraryBuilder
from .library import (
    LibraryKernel,
    blocked_cholesky,
    blocked_lu,
    blocked_triangles,
    conv,
    fft,
    lapack,
    lapack_spectral,
    pool,
    small_cholesky,
    small_lu,
    small_qr,
    sort,
    top_k,
)
from .library.sort_plan import SortSpec
from .parts import part_dtype
from .runtime.toolchain import machine


def library_kernel(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    """The kernel for a node whose operands are read backwards along some axes.

    Returns:
        None where there is no kernel for its spec, or none that reads so.
    """
    return _builders[what.name](what, eqn, backwards)


def _convolution(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    lhs, rhs = (atom.aval for atom in eqn.invars)
    out = eqn.outvars[0].aval
    spatial = what.spec["dimension_numbers"].rhs_spec[2:]
    if lhs.dtype != out.dtype or rhs.dtype != out.dtype:
        return None
    if backwards[0] or not set(backwards[1]) <= set(spatial):
        return None
    flipped = [axis in backwards[1] for axis in spatial]
    spec = conv.spec_of(lhs.shape, rhs.shape, out.dtype, what.spec, flipped)
    return conv.build(spec, machine())


def _pool(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    op, params = what.spec
    operand = eqn.invars[-1].aval
    if any(backwards) or prod(params["window_dimensions"]) == 1:
        return None
    return pool.build(pool.spec_of(op, operand.shape, operand.dtype, params), machine())


def _sort(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards):
        return None
    avals = [atom.aval for atom in eqn.invars]
    dtypes, params = tuple(a.dtype for a in avals), eqn.params
    spec = SortSpec(dtypes, avals[0].shape, params["dimension"], params["num_keys"])
    return sort.build(spec, machine())


def _top_k(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards):
        return None
    (atom,) = eqn.invars
    spec = top_k.TopSpec(atom.aval.dtype, atom.aval.shape, eqn.params["axis"], eqn.params["k"])
    return top_k.build(spec, machine())


def _matrices(aval: ShapedArray) -> lapack.Matrices:
    *lead, rows, columns = aval.shape
    return lapack.Matrices(aval.dtype.name, prod(lead), rows, columns)


def _lu(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards):
        return None
    x = _matrices(eqn.invars[0].aval)
    bits = machine().vector_bits
    return small_lu.lu(x, bits) or blocked_lu.lu(x, bits) or lapack.lu(x)


def _cholesky(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards):
        return None
    x = _matrices(eqn.invars[0].aval)
    bits = machine().vector_bits
    small = small_cholesky.cholesky(x, bits) or blocked_cholesky.cholesky(x, bits)
    return small or lapack.cholesky(x)


def _eigh(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards) or what.spec["subset_by_index"] is not None:
        return None
    return lapack_spectral.eigh(_matrices(eqn.invars[0].aval), what.spec["lower"])


def _eigh_values(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards) or what.spec["subset_by_index"] is not None:
        return None
    return lapack_spectral.eigh_values(_matrices(eqn.invars[0].aval), what.spec["lower"])


def _qr(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards) or what.spec["pivoting"]:
        return None
    x, full = _matrices(eqn.invars[0].aval), what.spec["full_matrices"]
    return small_qr.qr(x, full, machine().vector_bits) or lapack_spectral.qr(x, full)


def _svd(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    (x,), how = eqn.invars, what.spec
    if any(backwards) or how["subset_by_index"] is not None or how["algorithm"] is not None:
        return None
    return lapack_spectral.svd(_matrices(x.aval), how["full_matrices"], how["compute_uv"])


def _triangular_solve(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards):
        return None
    a, b = (_matrices(atom.aval) for atom in eqn.invars)
    how = ("left_side", "lower", "transpose_a", "unit_diagonal")
    system = lapack.Triangular(b, a.rows, *(eqn.params[k] for k in how))
    bits = machine().vector_bits
    small = small_lu.triangular_solve(system, bits)
    small = small or blocked_triangles.triangular_solve(system, bits)
    return small or lapack.triangular_solve(system)


def _fft(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    if any(backwards):
        return None
    aval, params = eqn.invars[0].aval, eqn.params
    kind, dtype = params["fft_type"].name, part_dtype(aval.dtype).name
    scale = params.get("scale", 1.0)
    return fft.build(fft.FftSpec(dtype, kind, aval.shape, params["fft_lengths"], scale), machine())


_builders: dict[str, LibraryBuilder] = {
    "cholesky": _cholesky,
    "convolution": _convolution,
    "eigh": _eigh,
    "eigh_values": _eigh_values,
    "fft": _fft,
    "lu": _lu,
    "pool": _pool,
    "qr": _qr,
    "sort": _sort,
    "svd": _svd,
    "top_k": _top_k,
    "triangular_solve": _triangular_solve,
}
