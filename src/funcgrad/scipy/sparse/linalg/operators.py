"""Trees as vectors, matrices as functions, and the equation every solver here is given.

In: what a user calls a solver with. Out: a `System` that a solver can iterate on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .... import numpy as fnp
from .... import tree
from ....control.solves import custom_linear_solve
from ....core.sources import user_line
from ....core.trace import as_array
from ....ir import dtypes
from ....numpy.promotion import is_array, promote_dtypes_inexact, to_array

Operator = Callable[[Any], Any]


def identity(x: Any) -> Any:
    """x itself: the preconditioner when there is none."""
    return x


def operator(name: str, matrix: Any) -> Operator:
    """A matrix as a function.

    Raises:
        TypeError: it is no array, no function, and has no `@`.
        ValueError: it is not square.
    """
    if callable(matrix):
        return matrix
    if not is_array(matrix) and not hasattr(matrix, "__matmul__"):
        raise TypeError(
            f"{name}: linear operator must be either a function or ndarray, got {matrix!r}.\n"
            f"  {user_line()}"
        )
    shape = getattr(matrix, "shape", None)
    if shape is not None and (len(shape) != 2 or shape[0] != shape[1]):
        raise ValueError(
            f"{name}: linear operator must be a square matrix, but has shape: {shape}.\n"
            f"  {user_line()}"
        )
    return partial(fnp.matmul, matrix) if is_array(matrix) else matrix.__matmul__


def add(x: Any, y: Any) -> Any:
    """x + y, leaf by leaf."""
    return tree.map(lambda a, b: a + b, x, y)


def subtract(x: Any, y: Any) -> Any:
    """x − y, leaf by leaf."""
    return tree.map(lambda a, b: a - b, x, y)


def scale(factor: Any, x: Any) -> Any:
    """factor · x; each leaf keeps its dtype."""
    return tree.map(lambda a: factor.astype(a.dtype) * a, x)


def inner(x: Any, y: Any) -> Any:
    """xᴴ y, over all leaves."""
    terms = tree.leaves(tree.map(fnp.vdot, x, y))
    return sum(terms[1:], terms[0])


def real_inner(x: Any, y: Any) -> Any:
    """The real part of xᴴ y, over all leaves."""
    return fnp.real(inner(x, y))


def norm(x: Any) -> Any:
    """‖x‖₂, over all leaves."""
    return fnp.sqrt(real_inner(x, x))


def choose(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y."""
    return tree.map(partial(fnp.where, condition), x, y)


class System(NamedTuple):
    """What a solver gets besides the matrix and the right-hand side.

    Attributes:
        guess: the tree to start from.
        precondition: a function near the inverse of the matrix.
        tol, atol: ends where ‖b − A x‖ ≤ max(tol ‖b‖, atol).
        maxiter: how many iterations at most.
    """

    guess: Any
    precondition: Operator
    tol: Any
    atol: Any
    maxiter: Any

    def tolerance(self, b: Any) -> Any:
        """The norm of a residual that is small enough."""
        size = norm(b)
        return fnp.maximum(self.tol * size, self.atol).astype(size.dtype)


Solver = Callable[[System, Operator, Any], Any]


def solve(
    name: str,
    solver: Solver,
    A: Any,
    b: Any,
    x0: Any,
    M: Any,
    limits: tuple[Any, Any, Any],
    hermitian: bool = False,
) -> Any:
    """The x with A x = b, by a solver, with the derivatives of `custom_linear_solve`.

    Args:
        limits: tol, atol and maxiter of `System`; of the last, None is ten times the size of b.
        hermitian: A is hermitian.
    Raises:
        TypeError: A or M is no operator.
        ValueError: A or M is not square, or x0 is not like b.
    """
    matvec, precondition = operator(name, A), identity if M is None else operator(name, M)
    leaves, treedef = tree.flatten(b)
    right = [to_array(promote_dtypes_inexact(as_array(x))[0]) for x in leaves]
    guess = like_right_side(name, x0, right, treedef)
    tol, atol, maxiter = limits
    size = sum(x.size for x in right)
    system = System(guess, precondition, tol, atol, 10 * size if maxiter is None else maxiter)
    # The guess and the preconditioner are for A; from a matrix M that for Aᵀ is known.
    nowhere = tree.unflatten(treedef, [fnp.zeros_like(x) for x in right])
    reverse = system._replace(guess=nowhere)
    if M is not None and not callable(M) and is_array(M):
        reverse = reverse._replace(precondition=operator(name, fnp.transpose(M)))
    real = all(x.dtype.kind != "c" for x in right)
    return custom_linear_solve(
        matvec,
        tree.unflatten(treedef, right),
        solve=partial(solver, system),
        transpose_solve=partial(solver, reverse),
        symmetric=hermitian and real,
    )


def like_right_side(name: str, x0: Any, right: list[Any], treedef: Any) -> Any:
    """The guess as a tree like b, in its dtypes; zeros where none is given."""
    if x0 is None:
        return tree.unflatten(treedef, [fnp.zeros_like(x) for x in right])
    leaves, given = tree.flatten(x0)
    if given != treedef:
        raise ValueError(
            f"{name}: x0 and b must have matching tree structure: {given} vs {treedef}.\n"
            f"  {user_line()}"
        )
    guesses = [to_array(as_array(x)) for x in leaves]
    shapes, wanted = [x.shape for x in guesses], [x.shape for x in right]
    if shapes != wanted:
        raise ValueError(
            f"{name}: arrays in x0 and b must have matching shapes: {shapes} vs {wanted}.\n"
            f"  {user_line()}"
        )
    cast = [x.astype(y.dtype) for x, y in zip(guesses, right, strict=True)]
    return tree.unflatten(treedef, cast)


def common_dtype(x: Any) -> Any:
    """The dtype in which the coefficients of a tree are computed."""
    return dtypes.result_type(*tree.leaves(x))
