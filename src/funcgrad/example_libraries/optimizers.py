"""Optimizers as three functions, by the names of `jax.example_libraries.optimizers`.

    start, update, params = adam(1e-3)
    state = start(tree)
    state = update(step, gradients, state)
    tree = params(state)

The one idea: a rule for one array becomes one for trees by keeping, for each leaf of the
parameters, the leaves of its state. `funcgrad.optim` has far more; these are here for programs that
use them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce, wraps
from typing import Any, NamedTuple, ParamSpec

from .. import numpy as fnp
from .. import tree
from ..tree import leaves
from ..tree_util import register_pytree_node

P = ParamSpec("P")
Step = int
Schedule = Callable[[Any], Any]
Rules = tuple[Callable[[Any], Any], Callable[[Any, Any, Any], Any], Callable[[Any], Any]]


class OptimizerState(NamedTuple):
    """The state of an optimizer: its leaves for each leaf of the parameters.

    Attributes:
        packed_state: for each parameter the leaves of its state.
        tree_def: the structure of the parameters.
        subtree_defs: for each parameter the structure of its state.
    """

    packed_state: tuple[list[Any], ...]
    tree_def: Any
    subtree_defs: tuple[Any, ...]


def _rebuilt(static: tuple[Any, Any], children: Any) -> OptimizerState:
    return OptimizerState(children[0], *static)


register_pytree_node(
    OptimizerState, lambda s: ((s.packed_state,), (s.tree_def, s.subtree_defs)), _rebuilt
)


class Optimizer(NamedTuple):
    """Three functions: the first state, the next one, and the parameters in it."""

    init_fn: Callable[[Any], OptimizerState]
    update_fn: Callable[[Any, Any, OptimizerState], OptimizerState]
    params_fn: Callable[[OptimizerState], Any]


def _packed(states: list[Any], structure: Any) -> OptimizerState:
    parts = [tree.flatten(state) for state in states]
    return OptimizerState(tuple(p[0] for p in parts), structure, tuple(p[1] for p in parts))


def _states(state: OptimizerState) -> list[Any]:
    """What each parameter has."""
    pairs = zip(state.subtree_defs, state.packed_state, strict=True)
    return [tree.unflatten(structure, leaves) for structure, leaves in pairs]


def optimizer(opt_maker: Callable[P, Rules]) -> Callable[P, Optimizer]:
    """Make optimizers of trees from a function that makes one of arrays.

    Args:
        opt_maker: returns (init, update, get_params): `init(x)` is the state of a parameter, a
            tree; `update(step, gradient, state)` the next one; `get_params(state)` the parameter.
    """

    @wraps(opt_maker)
    def make(*args: P.args, **kwargs: P.kwargs) -> Optimizer:
        init, update, get_params = opt_maker(*args, **kwargs)

        def start(params: Any) -> OptimizerState:
            leaves, structure = tree.flatten(params)
            return _packed([init(x) for x in leaves], structure)

        def updated(step: Any, gradients: Any, state: OptimizerState) -> OptimizerState:
            leaves, structure = tree.flatten(gradients)
            if structure != state.tree_def:
                raise TypeError(
                    f"The gradients are of the structure {structure}, the parameters that the "
                    f"optimizer was started with of {state.tree_def}. Give the gradient with "
                    "respect to those parameters."
                )
            pairs = zip(leaves, _states(state), strict=True)
            after = _packed([update(step, g, s) for g, s in pairs], structure)
            for old, new in zip(state.subtree_defs, after.subtree_defs, strict=True):
                if old != new:
                    raise TypeError(
                        f"{opt_maker.__name__} turned a state of the structure {old} into one of "
                        f"{new}. An update keeps the structure."
                    )
            return after

        def params(state: OptimizerState) -> Any:
            return tree.unflatten(state.tree_def, [get_params(s) for s in _states(state)])

        return Optimizer(start, updated, params)

    return make


# The rules. A state is the parameter, then what the rule remembers, at first zeros like it.


def _first(state: Any) -> Any:
    return state[0]


def _with_zeros(count: int) -> Callable[[Any], Any]:
    return lambda x: (x, *(fnp.zeros_like(x) for _ in range(count)))


def _inverse_root(squares: Any) -> Any:
    """1/√s, and 0 where s is 0."""
    return fnp.where(squares > 0, 1 / fnp.sqrt(fnp.where(squares > 0, squares, 1)), 0)


@optimizer
def sgd(step_size: Any) -> Rules:
    """Gradient descent: x ← x - η·g.

    Args:
        step_size: η, a number or a function of the step.
    """
    rate = make_schedule(step_size)
    return lambda x: x, lambda i, g, x: x - rate(i) * g, lambda x: x


@optimizer
def momentum(step_size: Any, mass: float) -> Rules:
    """Gradient descent with a heavy ball: v ← m·v + g, x ← x - η·v.

    Args:
        mass: m, from 0 to 1.

    Source: Polyak, Some methods of speeding up the convergence of iteration methods, 1964.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, velocity = state
        velocity = mass * velocity + g
        return x - rate(i) * velocity, velocity

    return _with_zeros(1), update, _first


@optimizer
def nesterov(step_size: Any, mass: float) -> Rules:
    """Momentum that looks ahead: v ← m·v + g, x ← x - η·(m·v + g).

    Source: Nesterov, A method of solving a convex programming problem, 1983.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, velocity = state
        velocity = mass * velocity + g
        return x - rate(i) * (mass * velocity + g), velocity

    return _with_zeros(1), update, _first


@optimizer
def adagrad(step_size: Any, momentum: float = 0.9) -> Rules:
    """Steps divided by the root of the sum of squares: s ← s + g², x ← x - η·mean of g/√s.

    Args:
        momentum: decay of the running mean.

    Source: Duchi, Hazan, Singer, Adaptive subgradient methods, JMLR 2011.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares, mean = state
        squares = squares + fnp.square(g)
        mean = momentum * mean + (1 - momentum) * g * _inverse_root(squares)
        return x - rate(i) * mean, squares, mean

    return _with_zeros(2), update, _first


@optimizer
def rmsprop(step_size: Any, gamma: float = 0.9, eps: float = 1e-8) -> Rules:
    """Steps divided by the root of the mean square: s ← γ·s + (1-γ)·g², x ← x - η·g/√(s + ε).

    Source: Tieleman and Hinton, lecture 6.5, 2012.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares = state
        squares = gamma * squares + (1 - gamma) * fnp.square(g)
        return x - rate(i) * g / fnp.sqrt(squares + eps), squares

    return _with_zeros(1), update, _first


@optimizer
def rmsprop_momentum(
    step_size: Any, gamma: float = 0.9, eps: float = 1e-8, momentum: float = 0.9
) -> Rules:
    """`rmsprop` whose steps gather momentum: v ← m·v + η·g/√(s + ε), x ← x - v."""
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, squares, velocity = state
        squares = gamma * squares + (1 - gamma) * fnp.square(g)
        velocity = momentum * velocity + rate(i) * g / fnp.sqrt(squares + eps)
        return x - velocity, squares, velocity

    return _with_zeros(2), update, _first


def _unbiased(decay: float, i: Any, like: Any) -> Any:
    """1 - βⁱ⁺¹: what a running mean that began at 0 has seen."""
    return 1 - fnp.asarray(decay, like.dtype) ** (i + 1)


@optimizer
def adam(step_size: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Rules:
    """Steps by the mean over the root of the mean square: x ← x - η·m̂/(√ŝ + ε).

    Args:
        b1, b2: decays of the means of g and g².
        eps: ε.

    Source: Kingma and Ba, Adam, 2015.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean, squares = state
        mean = b1 * mean + (1 - b1) * g
        squares = b2 * squares + (1 - b2) * fnp.square(g)
        root = fnp.sqrt(squares / _unbiased(b2, i, x))
        return x - rate(i) * (mean / _unbiased(b1, i, x)) / (root + eps), mean, squares

    return _with_zeros(2), update, _first


@optimizer
def adamax(step_size: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Rules:
    """`adam` with a decaying maximum of |g| for the root: u ← max(β₂·u, |g|).

    Source: Kingma and Ba, Adam, 2015, section 7.
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean, largest = state
        mean = b1 * mean + (1 - b1) * g
        largest = fnp.maximum(b2 * largest, fnp.abs(g))
        return x - rate(i) / _unbiased(b1, i, x) * mean / (largest + eps), mean, largest

    return _with_zeros(2), update, _first


@optimizer
def sm3(step_size: Any, momentum: float = 0.9) -> Rules:
    """`adagrad` that remembers one maximum for each row, column, … instead of every square.

    Source: Anil, Gupta, Koren, Singer, Memory-efficient adaptive optimization, 2019.
    """
    rate = make_schedule(step_size)

    def init(x: Any) -> Any:
        full = fnp.atleast_1d(x)
        return full, fnp.zeros_like(full), [fnp.zeros(n, full.dtype) for n in full.shape], x.shape

    def update(i: Any, g: Any, state: Any) -> Any:
        x, mean, covers, shape = state
        axes = range(x.ndim)
        spread = [fnp.expand_dims(c, [k for k in axes if k != a]) for a, c in enumerate(covers)]
        squares = reduce(fnp.minimum, spread) + fnp.square(g.reshape(x.shape))
        mean = momentum * mean + (1 - momentum) * g.reshape(x.shape) * _inverse_root(squares)
        covers = [squares.max(tuple(k for k in axes if k != a)) for a in axes]
        return x - rate(i) * mean, mean, covers, shape

    return init, update, lambda state: state[0].reshape(tuple(map(int, state[3])))


# Schedules of the step size.


def make_schedule(scalar_or_schedule: Any) -> Schedule:
    """A function of the step: the one given, or one that is a number always.

    Raises:
        TypeError: an array with axes, or what is no number.
    """
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if fnp.ndim(scalar_or_schedule):
        raise TypeError(
            f"A step size is a number or a function of the step, got "
            f"{type(scalar_or_schedule).__name__} of shape {fnp.shape(scalar_or_schedule)}."
        )
    return constant(scalar_or_schedule)


def constant(step_size: Any) -> Schedule:
    """η at every step."""
    return lambda i: step_size


def exponential_decay(step_size: Any, decay_steps: Any, decay_rate: Any) -> Schedule:
    """η·r^(i/n): times r every n steps."""
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(
    step_size: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False
) -> Schedule:
    """η/(1 + r·i/n); by whole multiples of n with `staircase`."""

    def schedule(i: Any) -> Any:
        passed = fnp.floor(i / decay_steps) if staircase else i / decay_steps
        return step_size / (1 + decay_rate * passed)

    return schedule


def polynomial_decay(
    step_size: Any, decay_steps: Any, final_step_size: Any, power: float = 1.0
) -> Schedule:
    """From η to the final step size, along (1 - i/n)^p, then constant."""

    def schedule(i: Any) -> Any:
        left = 1 - fnp.minimum(i, decay_steps) / decay_steps
        return final_step_size + (step_size - final_step_size) * left**power

    return schedule


def piecewise_constant(boundaries: Any, values: Any) -> Schedule:
    """`values[k]` after the first k boundaries have been passed.

    Raises:
        ValueError: not two sequences, the second longer by one.
    """
    bounds, levels = fnp.array(boundaries), fnp.array(values)
    if bounds.ndim != 1 or levels.ndim != 1 or len(levels) != len(bounds) + 1:
        raise ValueError(
            "piecewise_constant takes sequences of n boundaries and n + 1 values, got shapes "
            f"{bounds.shape} and {levels.shape}."
        )
    return lambda i: levels[(i > bounds).sum()]


# Trees.


def l2_norm(tree: Any) -> Any:
    """The root of the sum of the squares of all elements, shape ()."""
    return fnp.sqrt(sum(fnp.vdot(x, x) for x in leaves(tree)))


def clip_grads(grad_tree: Any, max_norm: Any) -> Any:
    """The tree, scaled down to a norm where its own is larger."""
    norm = l2_norm(grad_tree)
    return tree.map(lambda g: fnp.where(norm < max_norm, g, g * (max_norm / norm)), grad_tree)


class JoinPoint:
    """A leaf of the parameters that stands for the tree of its state."""

    def __init__(self, subtree: Any) -> None:
        self.subtree = subtree

    def __iter__(self) -> Iterator[Any]:
        yield self.subtree


def unpack_optimizer_state(opt_state: OptimizerState) -> Any:
    """The parameters' tree with a `JoinPoint` for each leaf, to be written to disk."""
    return tree.unflatten(opt_state.tree_def, [JoinPoint(s) for s in _states(opt_state)])


def pack_optimizer_state(marked_pytree: Any) -> OptimizerState:
    """The state of which `unpack_optimizer_state` made the tree.

    Raises:
        TypeError: a leaf that is no `JoinPoint`.
    """
    leaves, structure = tree.flatten(marked_pytree)
    others = {type(x).__name__ for x in leaves if not isinstance(x, JoinPoint)}
    if others:
        raise TypeError(
            f"pack_optimizer_state takes a tree of JoinPoints, got leaves of {sorted(others)}. "
            "Give what unpack_optimizer_state returned."
        )
    return _packed([x.subtree for x in leaves], structure)
