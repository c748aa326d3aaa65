"""The table of calls that the numpy namespace is compared on.

`n` is the namespace; the other names are arrays, made by `data`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4)).astype(np.float32)
    nans = x.copy()
    nans[0, 1] = nans[2, 2] = np.nan
    nans[:, 3] = [np.inf, -np.inf, 0.0]
    return {
        "x": x,
        "y": rng.normal(size=(3, 4)).astype(np.float32),
        "p": rng.uniform(0.1, 0.9, size=(3, 4)).astype(np.float32),
        "row": rng.normal(size=4).astype(np.float32),
        "col": rng.normal(size=(3, 1)).astype(np.float32),
        "cube": rng.normal(size=(2, 3, 4)).astype(np.float32),
        "sq": rng.normal(size=(4, 4)).astype(np.float32),
        "nans": nans,
        "k": rng.integers(-9, 9, size=(3, 4)).astype(np.int32),
        "pos": rng.integers(1, 5, size=(3, 4)).astype(np.int32),
        "idx": np.array([2, 0, 1, 1], np.int32),
        "u": rng.integers(0, 200, size=(3, 4)).astype(np.uint8),
        "i8": rng.integers(-100, 100, size=(3, 4)).astype(np.int8),
        "m": rng.integers(0, 2, size=(3, 4)).astype(bool),
        "z": (rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))).astype(np.complex64),
        "h": rng.normal(size=(3, 4)).astype(np.float16),
        "s": np.float32(0.7),
        "empty": np.zeros((0, 4), np.float32),
        "edges": np.array([-1.0, -0.25, 0.0, 0.5, 1.5], np.float32),
    }


UNARY = """
sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh exp exp2 expm1 log log2 log10 log1p
sqrt cbrt square reciprocal negative positive absolute abs fabs sign floor ceil trunc rint round
isnan isfinite isinf isposinf isneginf signbit logical_not sinc deg2rad rad2deg degrees radians
real imag conj conjugate angle iscomplex isreal nan_to_num i0 spacing
""".replace("i0 spacing", "").split()

BINARY = """
add subtract multiply divide true_divide floor_divide remainder mod fmod maximum minimum fmax fmin
power float_power hypot arctan2 logaddexp logaddexp2 heaviside copysign equal not_equal less
less_equal greater greater_equal logical_and logical_or logical_xor nextafter
""".split()

CALLS = [
    *(f"n.{name}(p)" for name in UNARY),
    *(f"n.{name}(p)" for name in ("asin", "acos", "atan", "asinh", "atanh")),
    *(f"n.{name}(nans)" for name in ("isnan", "isinf", "isfinite", "nan_to_num", "sign", "abs")),
    *(f"n.{name}(k)" for name in ("sin", "sqrt", "sign", "abs", "square", "negative", "floor")),
    *(f"n.{name}(z)" for name in ("exp", "log", "abs", "real", "imag", "conj", "angle", "square")),
    *(f"n.{name}(x, y)" for name in BINARY),
    *(f"n.{name}(k, pos)" for name in ("add", "divide", "floor_divide", "remainder", "fmod")),
    *(f"n.{name}(u, u)" for name in ("add", "multiply", "divide", "maximum", "floor_divide")),
    *(f"n.{name}(m, m)" for name in ("add", "multiply", "logical_and", "maximum", "bitwise_xor")),
    *(f"n.{name}(x, row)" for name in ("add", "maximum", "less", "logaddexp")),
    *(f"n.{name}(x, col)" for name in ("subtract", "power", "arctan2")),
    *(f"n.{name}(k, pos)" for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift",
                                      "right_shift", "power", "equal", "less")),
    "x + 1", "1 - x", "x * 2.5", "x / 3", "k / 2", "k // 4", "-k // 4", "k % 4", "x // 0.7",
    "x % 0.3", "2 ** pos", "x ** 2", "x ** 3", "p ** 0.5", "p ** -1", "k * 1.5", "k + True",
    "m + 1", "m * 2.0", "u + 1", "i8 + u", "h + x", "z + x", "x + 1j", "x < 0", "x == x", "~m",
    "~k", "m & m", "k ^ 3", "k << 1", "k >> 1", "abs(x)", "-x", "+x", "x @ x.T", "row @ row",
    "x @ row", "cube @ row", "cube @ sq", "x.T", "s + 1", "s * k", "h * 2", "pos ** pos",
    "divmod(x, 0.7)[0]", "divmod(x, 0.7)[1]", "divmod(k, pos)[0]", "divmod(k, pos)[1]",
    "n.bitwise_count(u)", "n.invert(k)", "n.modf(x)[0]", "n.modf(x)[1]", "n.frexp(x)[0]",
    "n.frexp(x)[1]", "n.ldexp(x, pos)", "n.clip(x, -0.5, 0.5)", "n.clip(x, None, 0.5)",
    "n.clip(k, 0, 3)", "n.round(x, 1)", "n.round(k, -1)", "n.round(z, 1)", "n.around(x, 2)",
    "n.where(m, x, y)", "n.where(m, x, 0)", "n.where(m, 1, 2.0)", "n.where(m, k, x)",
    "n.where(m, row, col)", "n.where(k, x, y)", "n.where(True, x, 0)",
    "n.select([x > 0.5, x > 0], [x, y], 7)", "n.choose(idx, [row, row * 2, row * 3])",
    "n.piecewise(x, [x < 0, x > 1], [-1, lambda v: v * 2])",
    "n.isclose(x, x + 1e-7)", "n.allclose(x, y)", "n.array_equal(x, x)", "n.array_equal(x, row)",
    "n.array_equiv(row, n.stack([row, row]))", "n.isclose(nans, nans, equal_nan=True)",
    # creation
    "n.zeros((2, 3))", "n.ones(4, dtype='int32')", "n.full((2, 2), 3)", "n.full(3, 2.5)",
    "n.full((2, 4), row)", "n.zeros_like(k)", "n.ones_like(x, dtype='int32')", "n.eye(3)",
    "n.full_like(x, 2)", "n.eye(3, 4, 1)", "n.identity(2)", "n.tri(3, 4, -1)", "n.tril(sq)",
    "n.triu(sq, 1)", "n.tril(cube, -1)", "n.diag(row)", "n.diag(row, 1)", "n.diag(sq, -1)",
    "n.diagflat(x)", "n.diagonal(cube, 1, 1, 2)", "n.trace(sq)", "n.trace(cube, 1, 1, 2)",
    "n.arange(5)", "n.arange(2, 9, 3)", "n.arange(5.0)", "n.arange(0, 1, 0.3)", "n.arange(5, 0, -2)",
    "n.linspace(0, 1, 5)", "n.linspace(0, 1, 5, endpoint=False)", "n.linspace(row, row + 1, 3)",
    "n.linspace(0, 10, 4, dtype='int32')", "n.linspace(0, 1, 1)", "n.linspace(0, 1, 5, retstep=True)[1]",
    "n.linspace(row, 2, 3, axis=1)", "n.logspace(0, 2, 4)", "n.geomspace(1, 8, 4)",
    "n.meshgrid(row, edges)[0]", "n.meshgrid(row, edges, indexing='ij')[1]",
    "n.meshgrid(row, edges, sparse=True)[0]", "n.indices((2, 3))", "n.indices((2, 3), sparse=True)[1]",
    "n.array([1, 2, 3])", "n.array([[1.0, 2], [3, 4]])", "n.array(3)", "n.array([True, False])",
    "n.array([1, 2.5])", "n.asarray(x)", "n.array([x, y])", "n.array(x, ndmin=3)", "n.array([1j, 2])",
    "n.array([s, 2.0])", "n.array([], dtype='float32')", "n.vander(row, 3)", "n.astype(x, 'int32')",
    "n.tril_indices(3)[0]", "n.triu_indices(3, 1)[1]", "n.diag_indices(3)[0]",
    "n.fromfunction(lambda i, j: i + j, (2, 3), dtype='int32')",
    # reductions
    *(f"n.{f}(x)" for f in ("sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin",
                            "median", "ptp", "all", "any", "count_nonzero", "average")),
    *(f"n.{f}(cube, axis=1)" for f in ("sum", "prod", "mean", "var", "std", "max", "min", "argmax",
                                       "median", "ptp", "all", "any", "count_nonzero")),
    *(f"n.{f}(cube, axis=(0, -1), keepdims=True)" for f in ("sum", "mean", "var", "max", "any",
                                                           "median", "ptp")),
    *(f"n.{f}(nans, axis=0)" for f in ("nansum", "nanprod", "nanmean", "nanmax", "nanmin",
                                       "nanargmax", "nancumsum", "nanmedian")),
    *(f"n.{f}(nans[:, :3], axis=1)" for f in ("nanvar", "nanstd", "max", "median")),
    "n.sum(k)", "n.sum(m)", "n.sum(u)", "n.sum(i8, axis=0)", "n.mean(k)", "n.mean(m, axis=0)",
    "n.sum(h)", "n.mean(h)", "n.sum(z)", "n.var(z)", "n.std(k, ddof=1)", "n.max(k, axis=0)",
    "n.sum(x, where=m)", "n.mean(x, where=m)", "n.max(x, initial=0.0, where=m)", "n.var(x, where=m)",
    "n.sum(x, initial=2.0)", "n.sum(empty)", "n.prod(empty, axis=0)", "n.sum(empty, axis=1)",
    "n.sum(x, dtype='int32')", "n.min(x, axis=1, initial=-1)", "n.any(m, axis=1, where=m)",
    "n.average(x, axis=1, weights=row)", "n.average(x, weights=p)", "n.argmax(x, axis=1, keepdims=True)",
    "n.cumsum(x)", "n.cumsum(x, axis=1)", "n.cumprod(k, axis=0)", "n.cumsum(m, axis=0)",
    "n.cumulative_sum(row, include_initial=True)", "n.quantile(x, 0.3)", "n.quantile(x, 0.3, axis=1)",
    "n.quantile(x, n.array([0.1, 0.9]), axis=0)", "n.percentile(x, 30, axis=0)",
    *(f"n.quantile(x, 0.4, axis=1, method='{f}')" for f in ("lower", "higher", "midpoint", "nearest")),
    "n.nanquantile(nans[:, :3], 0.4, axis=0)", "n.histogram(x, 4)[0]", "n.histogram(x, 4)[1]",
    "n.histogram(x, edges)[0]", "n.cov(x)", "n.cov(x, rowvar=False)", "n.corrcoef(x)", "n.cov(row)",
    # shapes
    "n.reshape(x, (2, 6))", "n.reshape(x, -1)", "n.reshape(x, (6, 2), order='F')", "n.ravel(cube)",
    "n.ravel(x, order='F')", "n.transpose(cube)", "n.transpose(cube, (1, 0, 2))", "n.swapaxes(cube, 0, 2)",
    "n.moveaxis(cube, 0, -1)", "n.moveaxis(cube, (0, 1), (-1, 0))", "n.rollaxis(cube, 2)",
    "n.expand_dims(x, 1)", "n.expand_dims(x, (0, -1))", "n.squeeze(col)", "n.squeeze(col, 1)",
    "n.broadcast_to(row, (3, 4))", "n.broadcast_arrays(x, col)[1]", "n.concatenate([x, y])",
    "n.concatenate([x, k], axis=1)", "n.concatenate([x, y], axis=None)", "n.stack([x, y], axis=1)",
    "n.stack([row, idx])", "n.hstack([x, y])", "n.hstack([row, row])", "n.vstack([x, row])",
    "n.dstack([x, y])", "n.column_stack([row, row])", "n.block([[x, col], [row, s]])",
    "n.split(row, 2)[1]", "n.split(x, [1, 3], axis=1)[1]", "n.array_split(row, 3)[0]",
    "n.array_split(edges, 3)[2]", "n.hsplit(x, 2)[1]", "n.vsplit(x, 3)[0]", "n.tile(x, 2)",
    "n.tile(row, (2, 3))", "n.tile(cube, (2, 1))", "n.repeat(x, 2)", "n.repeat(x, 2, axis=1)",
    "n.repeat(row, n.array([1, 0, 2, 3]))", "n.roll(x, 1)", "n.roll(x, -2, axis=1)",
    "n.roll(x, (1, 2), axis=(0, 1))", "n.flip(x)", "n.flip(x, 1)", "n.fliplr(x)", "n.flipud(x)",
    "n.rot90(x)", "n.rot90(x, 2)", "n.rot90(x, 3)", "n.rot90(cube, 1, (1, 2))", "n.atleast_1d(s)",
    "n.atleast_2d(row)", "n.atleast_3d(row)", "n.append(x, y)", "n.append(x, y, axis=0)",
    "n.insert(row, 1, 5.0)", "n.insert(x, 1, row, axis=0)", "n.insert(row, n.array([0, 2]), 1.0)",
    "n.delete(row, 1)", "n.delete(x, 0, axis=1)", "n.delete(row, n.array([0, 2]))", "n.resize(x, (2, 3))",
    "n.unstack(x)[1]", "n.matrix_transpose(cube)", "n.trim_zeros(n.array([0, 0, 1, 2, 0]))",
    *(f"n.pad(x, 2, mode='{f}')" for f in ("constant", "edge", "reflect", "symmetric", "wrap",
                                           "linear_ramp", "maximum", "mean", "minimum", "median")),
    "n.pad(x, ((0, 1), (2, 0)), constant_values=3)", "n.pad(row, (1, 2), constant_values=(4, 5))",
    "n.pad(x, 3, mode='reflect', reflect_type='odd')", "n.pad(row, 6, mode='symmetric')",
    # search and order
    "n.take(x, idx)", "n.take(x, idx, axis=1)", "n.take(x, 1, axis=0)", "n.take(x, n.array([5, -9]), mode='wrap')",
    "n.take(x, n.array([50, -9]), mode='clip')", "n.take_along_axis(x, n.argsort(x, axis=1), axis=1)",
    "n.nonzero(k)[0]", "n.nonzero(m)[1]", "n.argwhere(m)", "n.flatnonzero(k)", "n.where(m)[0]",
    "n.unique(k)", "n.unique(k, return_counts=True)[1]", "n.unique(k, return_inverse=True)[1]",
    "n.unique(k, return_index=True)[1]", "n.unique(m, axis=0)", "n.searchsorted(edges, x)",
    "n.searchsorted(edges, x, side='right')", "n.searchsorted(edges, nans)", "n.digitize(x, edges)",
    "n.digitize(x, edges[::-1], right=True)", "n.bincount(idx)", "n.bincount(idx, weights=row)",
    "n.bincount(idx, minlength=6)", "n.interp(x, edges, edges * 2)", "n.interp(x, edges, edges, left=9)",
    "n.interp(x, edges, edges, period=2.0)", "n.sort(x)", "n.sort(x, axis=0)", "n.sort(x, axis=None)",
    "n.sort(nans)", "n.sort(z)", "n.argsort(k, axis=0, stable=True)", "n.lexsort((row, idx))",
    "n.isin(k, n.array([1, 2, 3]))", "n.union1d(idx, idx + 1)", "n.intersect1d(k, pos)",
    "n.setdiff1d(k, pos)", "n.setxor1d(k, pos)", "n.unravel_index(idx, (3, 4))[1]",
    "n.ravel_multi_index((idx, idx), (3, 4))", "n.compress(n.array([True, False, True]), x, axis=0)",
    "n.extract(m, x)", "n.ix_(idx, idx)[0]", "x[n.ix_(idx, idx)]",
    # products
    "n.dot(x, row)", "n.dot(x, sq)", "n.dot(s, x)", "n.dot(cube, sq)", "n.dot(x, n.moveaxis(cube, 1, 2))",
    "n.matmul(cube, sq)", "n.matmul(cube, n.stack([sq, sq]))", "n.matmul(x, n.stack([sq, sq]))",
    "n.matmul(k, k.T)", "n.vdot(z, z)", "n.vdot(x, y)", "n.inner(x, y)", "n.outer(row, edges)",
    "n.tensordot(cube, x, 1 + 1)", "n.tensordot(cube, x, ((2,), (1,)))", "n.tensordot(x, sq, 1)",
    "n.kron(x, col)", "n.kron(row, row)", "n.cross(x[:, :3], y[:, :3])", "n.vecdot(z, z)",
    "n.matvec(cube, row)", "n.vecmat(row, sq)", "n.convolve(row, edges)", "n.convolve(row, edges, mode='same')",
    "n.convolve(edges, row, mode='valid')", "n.correlate(edges, row)", "n.correlate(edges, row, mode='full')",
    "n.einsum('ij,jk->ik', x, sq)", "n.einsum('ij->ji', x)", "n.einsum('ij->', x)", "n.einsum('ii->i', sq)",
    "n.einsum('ii', sq)", "n.einsum('bij,jk,kl->bil', cube, sq, sq)", "n.einsum('...ij,j->...i', cube, row)",
    "n.einsum('i,j', row, edges)", "n.einsum('bij,bij->b', cube, cube)", "n.einsum('ij,ij->ij', x, y)",
    "n.einsum('ij,kj->ki', x, y)", "n.einsum(x, [0, 1], sq, [1, 2], [0, 2])", "n.einsum('ij,jk', x, sq, optimize=False)",
    "n.einsum('bij,kj->bki', cube, y)",
    *(f"n.linalg.norm(x, {o})" for o in ("None", "'fro'", "1", "-1", "n.inf", "-n.inf")),
    *(f"n.linalg.norm(row, {o})" for o in ("None", "1", "2", "3", "0", "n.inf", "-n.inf")),
    "n.linalg.norm(cube)", "n.linalg.norm(cube, axis=1)", "n.linalg.norm(cube, axis=(0, 2), keepdims=True)",
    "n.linalg.norm(z, axis=0)", "n.linalg.norm(k)", "n.linalg.matrix_power(sq, 3)", "n.linalg.vector_norm(x)",
    "n.linalg.multi_dot([x, sq, row])",
    # calculus
    "n.diff(x)", "n.diff(x, 2, axis=0)", "n.diff(row, prepend=0.0)", "n.diff(m)", "n.ediff1d(x)",
    "n.ediff1d(row, to_begin=1.0, to_end=2.0)", "n.gradient(row)", "n.gradient(x)[0]", "n.gradient(x, axis=1)",
    "n.gradient(row, 0.5)", "n.gradient(edges, edges * 2 + 1)", "n.trapezoid(x)", "n.trapezoid(x, row)",
    "n.polyval(row, x)", "n.polyadd(row, edges)", "n.polymul(row, edges)", "n.polyder(row)", "n.polyint(row)",
    "n.unwrap(row * 9)", "n.apply_along_axis(lambda v: v.sum(), 1, x)", "n.apply_along_axis(lambda v: v[:2], 0, x)",
    "n.vectorize(lambda a, b: a + b)(x, row)", "n.vectorize(lambda a, b: a @ b, signature='(n,m),(m)->(n)')(cube, row)",
    "n.vectorize(lambda a: a.sum(), signature='(k)->()')(cube)",
    # methods
    "x.sum(0)", "x.mean()", "x.reshape(4, 3)", "x.reshape((2, -1))", "x.T.ravel()", "x.transpose(1, 0)",
    "cube.transpose((2, 0, 1))", "x.astype('int32')", "x.flatten()", "z.real", "z.imag", "z.conj()",
    "x.max(axis=1)", "x.argmin()", "x.argsort()", "x.clip(0, 1)", "x.dot(row)", "x.squeeze()", "x.std(0)",
    "x.cumsum(1)", "x.diagonal()", "x.trace()", "x.take(idx)", "x.repeat(2, 0)", "x.round(1)", "k.nonzero()[0]",
    "x.prod(1)", "m.any(0)", "m.all()", "x.var()", "x.swapaxes(0, 1)", "k.ptp() if hasattr(k, 'ptp') else n.ptp(k)",
    "edges.searchsorted(x)", "cube.mT", "n.isscalar(3)", "n.ndim(x)", "n.shape(x)", "n.size(x, 1)",
    "n.result_type(x, k)", "n.promote_types('int8', 'uint8')", "n.can_cast('int32', 'int64')",
    "n.iscomplexobj(z)", "n.issubdtype(x.dtype, n.floating)", "n.isdtype(x.dtype, 'real floating')",
    "n.finfo(n.float32).eps", "n.iinfo(n.int8).max", "n.float32(1.5)", "n.int32(7)", "n.bool_(0)",
]  # fmt: skip
