"""Densities estimated from samples, by a normal kernel about each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import numpy as fnp
from ... import random
from ...core.sources import user_line
from ...numpy.promotion import check_arraylike, dtype_of, promote_dtypes_inexact, to_array
from ...primitives import factor
from ...tree_util import register_pytree_node
from ...typing import Array, ArrayLike
from ..special import logsumexp, ndtr

if TYPE_CHECKING:
    from jaxtyping import Shaped


class gaussian_kde:
    """The density estimated from samples, a mixture of normal ones of one covariance.

    Attributes:
        dataset: the samples [d, n].
        weights: what each counts for [n]; their sum is 1.
        neff: the effective number of samples, 1 / Σ weights².
        covariance: that of the kernels [d, d]; inv_cov is its inverse.
    """

    def __init__(
        self,
        dataset: Shaped[ArrayLike, "..."],
        bw_method: str | float | Callable[[Any], Any] | None = None,
        weights: Shaped[ArrayLike, "n"] | None = None,
    ) -> None:
        """Estimate from samples, in columns, or along the one axis there is.

        Args:
            bw_method: the bandwidth: "scott" (the default), "silverman", a number, or a function
                of this object that gives one.
        """
        check_arraylike("gaussian_kde", dataset, *([] if weights is None else [weights]))
        samples = fnp.atleast_2d(dataset)
        if dtype_of(samples).kind == "c":
            raise ValueError("gaussian_kde does not support complex data.")
        if samples.size <= 1:
            raise ValueError("`dataset` input should have multiple elements: one was given.")
        if weights is None:
            (samples,) = promote_dtypes_inexact(samples)
            share = fnp.full(samples.shape[1], 1.0 / samples.shape[1], samples.dtype)
        else:
            samples, share = map(to_array, promote_dtypes_inexact(samples, weights))
            share = fnp.atleast_1d(share)
            if share.shape != (samples.shape[1],):
                raise ValueError(
                    f"`weights` input should be one-dimensional, of length {samples.shape[1]}: got "
                    f"shape {share.shape}."
                )
            share = share / share.sum()
        self.dataset: Any = samples
        self.weights: Any = share
        self.neff: Any = 1 / (share * share).sum()
        factor_of = self._bandwidth(bw_method)
        spread = fnp.atleast_2d(fnp.cov(samples, aweights=share)) * factor_of**2
        self.covariance: Any = spread
        root = factor.cholesky(spread)
        half = factor.triangular_solve(
            root, fnp.eye(self.d, dtype=spread.dtype), left_side=True, lower=True
        )
        self.inv_cov: Any = half.T @ half

    def _bandwidth(self, method: Any) -> Any:
        if method is None or (isinstance(method, str) and method == "scott"):
            return self.neff ** (-1.0 / (self.d + 4))
        if isinstance(method, str) and method == "silverman":
            return (self.neff * (self.d + 2) / 4.0) ** (-1.0 / (self.d + 4))
        if callable(method):
            return method(self)
        if not isinstance(method, str) and fnp.isscalar(method):
            return method
        raise ValueError(
            "`bw_method` should be 'scott', 'silverman', a scalar, or a callable, got "
            f"{method!r}.\n  {user_line()}"
        )

    @property
    def d(self) -> int:
        """The number of dimensions."""
        return self.dataset.shape[0]

    @property
    def n(self) -> int:
        """The number of samples."""
        return self.dataset.shape[1]

    def evaluate(self, points: Shaped[ArrayLike, "..."]) -> Array:
        """The density at points [d, m], or [m] in one dimension."""
        return fnp.exp(self.logpdf(points))

    def __call__(self, points: Shaped[ArrayLike, "..."]) -> Array:
        return self.evaluate(points)

    def pdf(self, x: Shaped[ArrayLike, "..."]) -> Array:
        """The density at points; see `evaluate`."""
        return self.evaluate(x)

    def logpdf(self, x: Shaped[ArrayLike, "..."]) -> Array:
        """The logarithm of the density at points."""
        points, samples = promote_dtypes_inexact(self._points(x), self.dataset)
        root = factor.cholesky(self.covariance)
        white = [
            factor.triangular_solve(root, v.astype(root.dtype), left_side=True, lower=True)
            for v in (to_array(points), to_array(samples))
        ]
        gaps = white[0][:, :, None] - white[1][:, None, :]
        volume = fnp.log(fnp.diagonal(root)).sum() + 0.5 * self.d * math.log(2 * math.pi)
        terms = fnp.log(self.weights) - 0.5 * (gaps * gaps).sum(axis=0)
        return logsumexp(terms, axis=1) - volume

    def _points(self, points: Any) -> Any:
        check_arraylike("gaussian_kde", points)
        if dtype_of(points).kind == "c":
            raise ValueError("gaussian_kde does not support complex coordinates.")
        found = fnp.atleast_2d(points)
        if found.shape[0] == self.d:
            return found
        if found.shape == (1, self.d):
            return found.reshape((self.d, 1))
        raise ValueError(
            f"points have dimension {found.shape[0]}, dataset has dimension {self.d}.\n"
            f"  {user_line()}"
        )

    def integrate_gaussian(
        self, mean: Shaped[ArrayLike, "..."], cov: Shaped[ArrayLike, "..."]
    ) -> Array:
        """The integral of the density times a normal one of this mean and covariance."""
        centre = fnp.atleast_1d(fnp.squeeze(mean))
        spread = fnp.atleast_2d(cov)
        if centre.shape != (self.d,) or spread.shape != (self.d, self.d):
            raise ValueError(
                f"mean and covariance do not have dimension {self.d}: got shapes {centre.shape} "
                f"and {spread.shape}."
            )
        return (self._overlaps(centre[:, None], spread) @ self.weights)[0]

    def _overlaps(self, centres: Any, spread: Any) -> Any:
        """Integrals of each kernel times normal densities about the centres: [centres, n]."""
        root = factor.cholesky(self.covariance + spread)
        gaps = centres[:, :, None] - self.dataset[:, None, :]
        flat = gaps.reshape((self.d, -1)).astype(root.dtype)
        white = factor.triangular_solve(root, flat, left_side=True, lower=True)
        squares = (white * white).sum(axis=0).reshape(gaps.shape[1:])
        norm = fnp.prod(fnp.diagonal(root)) * (2 * math.pi) ** (0.5 * self.d)
        return fnp.exp(-0.5 * squares) / norm

    def integrate_box_1d(self, low: Shaped[ArrayLike, ""], high: Shaped[ArrayLike, ""]) -> Array:
        """The probability of the interval from low to high, in one dimension."""
        if self.d != 1:
            raise ValueError(
                f"integrate_box_1d() only handles 1D pdfs, not of {self.d} dimensions."
            )
        if fnp.ndim(low) or fnp.ndim(high):
            raise ValueError("the limits of integration in integrate_box_1d must be scalars.")
        deviation = fnp.sqrt(self.covariance[0, 0])
        ends = [(to_array(v) - self.dataset[0]) / deviation for v in (low, high)]
        return (self.weights * (ndtr(ends[1]) - ndtr(ends[0]))).sum()

    def integrate_kde(self, other: gaussian_kde) -> Array:
        """The integral of the product of two estimated densities."""
        if other.d != self.d:
            raise ValueError(f"KDEs are not the same dimensionality: {self.d} and {other.d}.")
        return other.weights @ self._overlaps(other.dataset, other.covariance) @ self.weights

    def resample(self, key: Any, shape: tuple[int, ...] = ()) -> Array:
        """Samples of the density: [d, *shape]."""
        which, noise = random.split(key)
        index = random.choice(which, self.n, shape=shape, p=self.weights)
        steps = random.multivariate_normal(
            noise,
            fnp.zeros(self.d, self.covariance.dtype),
            self.covariance,
            shape=shape,
            dtype=self.dataset.dtype,
        )
        return self.dataset[:, index] + fnp.moveaxis(steps, -1, 0)


def _children(estimate: gaussian_kde) -> tuple[Any, None]:
    found = estimate
    return (found.neff, found.dataset, found.weights, found.covariance, found.inv_cov), None


def _rebuilt(_: None, children: Any) -> gaussian_kde:
    estimate = gaussian_kde.__new__(gaussian_kde)
    estimate.neff, estimate.dataset, estimate.weights, estimate.covariance, estimate.inv_cov = (
        children
    )
    return estimate


register_pytree_node(gaussian_kde, _children, _rebuilt)
