"""custom_root and custom_linear_solve: derivatives of solutions, not of how they are found.

In: functions that state an equation, and one that solves it. Out: the solution. The one idea:
differentiate the equation at its solution and solve the linear equation that gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from .. import tree
from ..core.axes import move_axis, to_front
from ..core.evaluate import eval_closed, eval_jaxpr, run_numpy
from ..core.primitive import AxisData, add_tangents
from ..core.sources import user_line
from ..core.zeros import UndefinedPrimal, Zero, instantiate
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Effects, Eqn, Var
from ..primitives.arithmetic import neg
from ..transforms.batch import batch_jaxpr
from ..transforms.jvp import jvp_flat
from ..transforms.linearize import linearize_flat
from ..transforms.transpose import transpose_jaxpr
from .flat import FlatFunction, check_leaves
from .jit import simplified
from .tracing import Body, ControlPrimitive, avals_of_leaves, split_at, trace_body


class Root(NamedTuple):
    """What belongs to each function of a root: the equation, its solver, its linear solver."""

    f: Any
    solve: Any
    tangent_solve: Any


class LinearSolve(NamedTuple):
    """What belongs to each function of a linear solve; those of the transpose may be `None`."""

    matvec: Any
    vecmat: Any
    solve: Any
    transpose_solve: Any

    def transpose(self) -> LinearSolve:
        """The same for the transposed equation."""
        return LinearSolve(self.vecmat, self.matvec, self.transpose_solve, self.solve)


class SolvePrimitive(ControlPrimitive):
    """Params are `jaxprs` and `const_lengths`, a tuple each; operands: all captures, then b."""

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["jaxprs"].solve.out_avals

    def effects(self, params: dict[str, Any]) -> Effects:
        return params["jaxprs"].solve.effects

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        captured, b = grouped(arrays, params)
        return run_numpy(simplified(params["jaxprs"].solve), [*captured.solve, *b])

    def inlined(self, eqn: Eqn) -> ClosedJaxpr:
        """The solution alone, which simplification puts in place of the eqn."""
        closed: ClosedJaxpr = eqn.params["jaxprs"].solve
        captured, b = grouped(range(len(eqn.invars)), eqn.params)
        invars = [Var(a.aval) for a in eqn.invars]
        for position, var in zip([*captured.solve, *b], closed.jaxpr.invars, strict=True):
            invars[position] = var
        return ClosedJaxpr(closed.jaxpr.replace(invars=invars), closed.consts)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        """One equation for each element; right-hand sides and solutions count as batched."""
        flags, _ = grouped([d is not None for d in dims], params)
        count = sum(params["const_lengths"])
        jaxprs = [
            None
            if closed is None
            else batch_jaxpr(
                closed, axis, [*own, *[True] * (len(closed.in_avals) - len(own))], True
            )[0]
            for closed, own in zip(params["jaxprs"], flags, strict=True)
        ]
        pairs = list(zip(args, dims, strict=True))
        moved = [
            *[x if d is None else move_axis(x, d, 0) for x, d in pairs[:count]],
            *[to_front(x, d, axis.size) for x, d in pairs[count:]],
        ]
        outs = self.bind(*moved, **{**params, "jaxprs": type(params["jaxprs"])(*jaxprs)})
        return outs, [0] * len(outs)


def grouped(values: Sequence[Any], params: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Values of operands as captures of each function, and the rest."""
    *parts, rest = split_at(values, *params["const_lengths"])
    return type(params["jaxprs"])(*parts), rest


def flattened(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """The parts joined."""
    return [x for part in parts for x in part]


class CustomRoot(SolvePrimitive):
    """A u with F(m, u) = 0: along dm it moves by du = −(∂F/∂u)⁻¹ (∂F/∂m) dm."""

    name = "custom_root"
    tested_in = "tests/control/test_solves.py"

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        jaxprs: Root = params["jaxprs"]
        outs = self.bind(*primals, **params)
        captured, _ = grouped(primals, params)
        captured_dot, _ = grouped(tangents, params)
        count = len(jaxprs.f.out_avals)
        solution = outs[:count]
        zeros = [Zero(aval_of(x).to_tangent()) for x in outs]
        _, moved = jvp_flat(
            lambda *m: eval_closed(jaxprs.f, *m, *solution), captured.f, captured_dot.f
        )
        if all(isinstance(t, Zero) for t in moved):
            return outs, zeros
        right = [instantiate(t) for t in moved]
        solved = eval_closed(jaxprs.tangent_solve, *captured.tangent_solve, *solution, *right)
        return outs, [*[neg(x) for x in solved], *zeros[count:]]


class CustomLinearSolve(SolvePrimitive):
    """The x with A x = b, linear in b: along dA and db it moves by dx = A⁻¹ (db − dA x)."""

    name = "custom_linear_solve"
    tested_in = "tests/control/test_solves.py"

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        jaxprs: LinearSolve = params["jaxprs"]
        outs = self.bind(*primals, **params)
        captured, b = grouped(primals, params)
        captured_dot, right = grouped(tangents, params)
        solution = outs[: len(b)]
        if not all(isinstance(t, Zero) for t in captured_dot.matvec):
            _, moved = jvp_flat(
                lambda *m: eval_closed(jaxprs.matvec, *m, *solution),
                captured.matvec,
                captured_dot.matvec,
            )
            minus = [t if isinstance(t, Zero) else neg(t) for t in moved]
            right = [add_tangents(db, m) for db, m in zip(right, minus, strict=True)]
        zeros = [Zero(aval_of(x).to_tangent()) for x in outs]
        if all(isinstance(t, Zero) for t in right):
            return outs, zeros
        given = [instantiate(t) for t in right]
        solved = self.bind(*flattened(captured), *given, **params)
        return outs, [*solved[: len(b)], *zeros[len(b) :]]

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        """Aᵀ y = ct gives the cotangent y of b."""
        jaxprs: LinearSolve = params["jaxprs"]
        lengths: LinearSolve = params["const_lengths"]
        captured, b = grouped(args, params)
        if jaxprs.transpose_solve is None:
            raise TypeError(
                "transpose_solve required for backwards mode automatic differentiation of "
                f"custom_linear_solve.\n  {user_line()}\n"
                "  Give transpose_solve, or symmetric=True where the map is its own transpose."
            )
        if any(isinstance(x, UndefinedPrimal) for x in flattened(captured)):
            raise TypeError(
                "custom_linear_solve is linear in b only, not in what matvec and solve close "
                f"over.\n  {user_line()}\n  Differentiate it with grad or vjp instead."
            )
        given = [instantiate(c) for c in ct[: len(b)]]
        outs = self.bind(
            *flattened(captured.transpose()),
            *given,
            jaxprs=jaxprs.transpose(),
            const_lengths=lengths.transpose(),
        )
        cts = [
            y if isinstance(x, UndefinedPrimal) else None
            for x, y in zip(b, outs[: len(b)], strict=True)
        ]
        return [*[None] * sum(lengths), *cts]


custom_root_p = CustomRoot()
custom_linear_solve_p = CustomLinearSolve()


# The functions users call.


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[..., Any], Any], Any],
    tangent_solve: Callable[[Callable[..., Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """A root of f, with derivatives by the implicit function theorem.

    f(u) = 0; derivatives are taken with respect to what f closes over.

    Args:
        f: takes and returns a tree like initial_guess.
        initial_guess: where solve starts.
        solve: takes f and initial_guess, returns u.
        tangent_solve: takes g (f linearized at u) and y, returns the x with g(x) = y; for scalars
            `lambda g, y: y / g(1.0)`.
        has_aux: solve returns a pair (u, auxiliary data).
    Returns:
        What solve returns.
    Raises:
        TypeError: f, solve or tangent_solve gives another tree than initial_guess.
        ValueError: has_aux, and solve returns no pair.
    """
    leaves, treedef = tree.flatten(initial_guess)
    avals = avals_of_leaves("the initial guess of custom_root", initial_guess, leaves)
    args_tree = tree.structure((initial_guess,))
    equation = trace_body(f, args_tree, avals)
    check_tree("f", "initial_guess", equation.out_tree, treedef)
    solver = trace_body(partial(solve, f), args_tree, avals, "solve")
    check_tree("solve", "initial_guess", solver.out_tree, treedef, has_aux)

    def linearized_solve(u: Any, y: Any) -> Any:
        return tangent_solve(linearized(f, u), y)

    pair_tree = tree.structure((initial_guess, initial_guess))
    linear = trace_body(linearized_solve, pair_tree, [*avals, *avals], "tangent_solve")
    check_tree("tangent_solve", "initial_guess", linear.out_tree, treedef)
    bodies = Root(equation, solver, linear)
    return tree.unflatten(solver.out_tree, bind_solve(custom_root_p, bodies, leaves))


def linearized(f: Callable[[Any], Any], u: Any) -> Callable[[Any], Any]:
    """The linear function a function is to first order at a point."""
    leaves, in_tree = tree.flatten(((u,), {}))
    flat = FlatFunction(f, in_tree)
    _, linear = linearize_flat(flat, leaves)

    def apply(tangent: Any) -> Any:
        given = tree.leaves(tangent)
        check_leaves(tangent, given, "the argument of the linearized function")
        outs = iter(eval_jaxpr(linear.jaxpr, linear.residuals, *given))
        whole = [
            next(outs) if nonzero else instantiate(Zero(aval.to_tangent()))
            for nonzero, aval in zip(linear.nonzero_outs, linear.out_avals, strict=True)
        ]
        return tree.unflatten(flat.out_tree, whole)

    return apply


def bind_solve(primitive: SolvePrimitive, bodies: Any, leaves: Sequence[Any]) -> list[Any]:
    """Bind a solve with the captures of all its functions."""
    kind: Any = cast(Any, type(bodies))
    captured: list[list[Any]] = [[] if body is None else body.captured for body in bodies]
    return primitive.bind(
        *flattened(captured),
        *leaves,
        const_lengths=kind(*map(len, captured)),
        jaxprs=kind(*[None if body is None else body.closed for body in bodies]),
    )


def check_tree(
    name: str, expected_name: str, got: Any, expected: Any, has_aux: bool = False
) -> None:
    """Check the tree of what a user's function returned.

    Raises:
        TypeError: it is another tree.
        ValueError: has_aux, and it is no pair.
    """
    if has_aux:
        children = got.children()
        if got.type not in (tuple, list) or len(children) != 2:
            raise ValueError(
                f"{name}() produced a pytree with structure {got}, but a pair (result, auxiliary "
                f"data) was expected because has_aux was set to True.\n  {user_line()}"
            )
        got = children[0]
    if got != expected:
        raise TypeError(
            f"{name}() output pytree structure must match {expected_name}, got {got} and "
            f"{expected}. {tree.structure_difference(expected, got)}\n  {user_line()}"
        )


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[..., Any], Any], Any],
    transpose_solve: Callable[[Callable[..., Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """The x with matvec(x) = b, differentiated as an equation.

    dx = A⁻¹ (db − dA x), and b̄ = A⁻ᵀ x̄, whatever `solve` does inside.

    Args:
        matvec: a linear function from trees like b to trees like b.
        b: the right-hand side, a pytree of arrays.
        solve: takes matvec and b, returns x.
        transpose_solve: takes the transpose of matvec and a right-hand side; needed for reverse
            mode unless symmetric.
        symmetric: matvec is its own transpose.
        has_aux: solve and transpose_solve return pairs (x, auxiliary data).
    Returns:
        What solve returns.
    Raises:
        TypeError: a function gives another tree than b; or in reverse mode, no transpose_solve.
        ValueError: a function gives other shapes than b; or has_aux, and solve returns no pair.
    """
    if transpose_solve is None and symmetric:
        transpose_solve = solve
    leaves, treedef = tree.flatten(b)
    avals = avals_of_leaves("the right-hand side of custom_linear_solve", b, leaves)
    args_tree = tree.structure((b,))

    def trace(name: str, fun: Callable[[Any], Any], aux: bool) -> Body:
        body = trace_body(fun, args_tree, avals, name)
        check_tree(name, "b", body.out_tree, treedef, aux)
        check_shapes(name, body.out_avals[: len(avals)], avals)
        return body

    forward = trace("matvec", matvec, False)
    solver = trace("solve", partial(solve, matvec), has_aux)
    backward = transpose_solver = None
    if transpose_solve is not None:
        backward = forward if symmetric else transposed(forward)
        vecmat = matvec if symmetric else function_of(backward)
        transpose_solver = trace("transpose_solve", partial(transpose_solve, vecmat), has_aux)
    bodies = LinearSolve(forward, backward, solver, transpose_solver)
    return tree.unflatten(solver.out_tree, bind_solve(custom_linear_solve_p, bodies, leaves))


def check_shapes(name: str, got: Sequence[ShapedArray], expected: Sequence[ShapedArray]) -> None:
    """Raise ValueError unless a function of b gave back the shapes of b."""
    shapes, wanted = [a.shape for a in got], [a.shape for a in expected]
    if shapes != wanted:
        raise ValueError(
            f"{name}() output shapes must match b, got {shapes} and {wanted}.\n  {user_line()}"
        )


def transposed(forward: Body) -> Body:
    """The transpose of a linear function in its arguments, with the same captures."""
    count = len(forward.captured)
    linear = [i >= count for i in range(len(forward.closed.in_avals))]
    outs = [True] * len(forward.out_avals)
    closed: ClosedJaxpr = transpose_jaxpr(forward.closed, linear, outs, True)[0]
    return Body(closed, forward.captured, forward.out_tree)


def function_of(body: Body) -> Callable[[Any], Any]:
    """A traced function as a function again."""

    def call(x: Any) -> Any:
        outs = eval_closed(body.closed, *body.captured, *tree.leaves(x))
        return tree.unflatten(body.out_tree, outs)

    return call
