"""`minimize` and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import numpy as fnp
from ...core.sources import user_line
from ...numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ...typing import ArrayLike
from .bfgs import minimize_bfgs
from .lbfgs import minimize_lbfgs

if TYPE_CHECKING:
    from jaxtyping import Shaped

LBFGS_NAMES = ("l-bfgs", "l-bfgs-experimental-do-not-rely-on-this")


class OptimizeResults(NamedTuple):
    """What a minimization ended with.

    Attributes:
        x: the point, f[n].
        success: whether the gradient is small there.
        status: 0, converged; 1, maxiter was reached. BFGS: 3 and 5, the line search failed.
            L-BFGS: 2 and 3, maxfun or maxgrad was reached; 4, the function fell by less than ftol;
            5, the line search failed.
        fun: the function at x; jac: its gradient, f[n].
        hess_inv: an estimate of the inverse Hessian, f[n, n]; None of L-BFGS.
        nfev: how often the function was evaluated; njev: its gradient.
        nit: iterations.
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


def minimize(
    fun: Callable[..., Any],
    x0: Shaped[ArrayLike, "..."],
    args: Any = (),
    *,
    method: str,
    tol: Any = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """A minimum of fun near x0; the whole search can be traced by `jit` and `vmap`.

    The result is not differentiated: put `lax.custom_root` around it for derivatives.

    Args:
        fun: takes x and *args, returns a real scalar.
        x0: where to start, [n].
        args: what fun takes besides.
        method: "BFGS", or "L-BFGS", which JAX calls "l-bfgs-experimental-do-not-rely-on-this".
        tol: ends where the gradient is smaller (and where L-BFGS falls by less).
        options: of BFGS: maxiter, norm, gtol, line_search_maxiter. Of L-BFGS: maxiter, norm, gtol,
            ftol, maxcor, maxfun, maxgrad, maxls.
    Raises:
        TypeError: args is no tuple, or an option is unknown.
        ValueError: x0 is no vector, or the method is unknown.
    """
    if not isinstance(args, tuple):
        raise TypeError(
            f"minimize takes args as a tuple, got {args!r}.\n  {user_line()}\n"
            "  Write args=(value,) for a single one."
        )
    check_arraylike("minimize", x0)
    start = to_array(promote_dtypes_inexact(x0)[0])
    if start.ndim != 1:
        raise ValueError(
            f"minimize takes x0 of shape (n,), got {start.shape}.\n  {user_line()}\n"
            "  flatten_util.ravel_pytree makes one vector of any arrays."
        )
    given = dict(options or {})

    def of_x(x: Any) -> Any:
        return fun(x, *args)

    if method.lower() == "bfgs":
        chosen = given if tol is None else {"gtol": tol, **given}
        end, status = minimize_bfgs(of_x, start, **chosen)
        inverse = end.inverse_hessian
    elif method.lower() in LBFGS_NAMES:
        chosen = given if tol is None else {"gtol": tol, "ftol": tol, **given}
        end = minimize_lbfgs(of_x, start, **chosen)
        status, inverse = end.status, None
    else:
        raise ValueError(f"Method {method} not recognized. Give 'BFGS' or 'L-BFGS'.")
    counts = (end.evaluations, end.evaluations, end.iterations)
    success = end.converged & fnp.isfinite(end.value)
    return OptimizeResults(end.x, success, status, end.value, end.gradient, inverse, *counts)
