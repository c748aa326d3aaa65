"""Checking derivatives: rules of functions against finite differences along a random direction.

In: a function, its arguments, and how to differentiate it. Out: nothing, or an AssertionError that
names the leaf and the element that differ. The one idea: one direction drawn at random meets every
element of a Jacobian with probability 1, at the cost of two evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import tree
from .api.forward import jvp, linearize
from .api.reverse import vjp
from .core.trace import as_array
from .ir import dtypes
from .ir.avals import aval_of

Tolerance = float | Mapping[Any, float] | None

# By the bits that a float's mantissa keeps: tolerance of a derivative, and the step, near the cube
# root of the precision, where truncation and rounding of a central difference are about equal.
_tolerances = {2: 1.0, 3: 0.1, 7: 0.1, 10: 1e-2, 23: 2e-3, 52: 1e-5}
_steps = {2: 0.5, 3: 0.25, 7: 0.1, 10: 5e-2, 23: 2e-3, 52: 1e-5}


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: Tolerance = None,
    rtol: Tolerance = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check a forward derivative: ∂f(x) · v ≈ (f(x + eps · v) − f(x − eps · v)) / (2 · eps).

    Args:
        f: takes pytrees of arrays, returns one.
        f_jvp: `(primals, tangents) -> (result, tangent)`, such as `partial(jvp, f)`.
        args: arguments of f; integers and keys among them are held fixed.
        atol: absolute tolerance, or a mapping from dtypes to tolerances.
        rtol: relative tolerance, likewise.
        eps: step of the difference; by default by the precision of the arguments.
        err_msg: what is checked, to open the error text.
    Raises:
        AssertionError: values, tangents or their trees differ; the text says at which leaf.
    """
    args = tuple(args)
    direction = _random_tangents(args, np.random.default_rng(0))
    out, tangent = f_jvp(args, direction)
    want = f(*args)
    what = f"{err_msg or 'JVP'}:"
    _compare(out, want, (atol, rtol), f"{what} value")
    difference = _difference(f, args, direction, eps or _step(args, out))
    _compare(tangent, difference, (atol, rtol), f"{what} tangent")


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: Tolerance = None,
    rtol: Tolerance = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check a reverse derivative: ⟨ctᵀ · ∂f(x), v⟩ ≈ ⟨ct, ∂f(x) · v⟩ by a central difference.

    Args:
        f: takes pytrees of arrays, returns one.
        f_vjp: `(*primals) -> (result, vjp_fun)`, such as `partial(vjp, f)`.
        args: arguments of f; integers and keys among them are held fixed.
        atol: absolute tolerance, or a mapping from dtypes to tolerances.
        rtol: relative tolerance, likewise.
        eps: step of the difference; by default by the precision of the arguments.
        err_msg: what is checked, to open the error text.
    Raises:
        AssertionError: values or products differ; the text says for which leaves of the arguments.
    """
    args = tuple(args)
    rng = np.random.default_rng(0)
    out, pull = f_vjp(*args)
    what = f"{err_msg or 'VJP'}:"
    _compare(out, f(*args), (atol, rtol), f"{what} value")
    direction = _random_tangents(args, rng)
    ct = _random_tangents(out, rng)
    cts = pull(ct)
    step = eps or _step(args, out)
    # The error of a sum of n terms grows as the length of what they are weighted with.
    scale = max(1.0, _length([x for x in tree.leaves(ct) if not _is_float0(x)]))

    def misfit(v: Any) -> str:
        found, want = _inner(cts, v), _inner(ct, _difference(f, args, v, step))
        bounds = [_tolerance(t, *tree.leaves((args, out))) for t in (atol, rtol)]
        good = abs(found - want) <= bounds[0] * scale + bounds[1] * abs(want)
        return (
            "" if good or found == want else f"the rule gives {found:.6g}, differences {want:.6g}"
        )

    if not misfit(direction):
        return
    lines = [f"{what} projection of the cotangents: {misfit(direction)}."]
    for path, v in tree.leaves_with_path(direction):
        alone = misfit(_only(direction, v)) if v.dtype != dtypes.float0 else ""
        lines += [f"  along args{tree.keystr(path)} alone: {alone}."] if alone else []
    raise AssertionError("\n".join(lines))


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: Tolerance = None,
    rtol: Tolerance = None,
    eps: float | None = None,
) -> None:
    """Check derivatives of a function up to an order, in all sequences of modes.

    Args:
        f: takes pytrees of arrays, returns one.
        args: arguments of f; integers and keys among them are held fixed.
        order: the highest derivative that is checked.
        modes: of `"fwd"` (jvp), `"rev"` (vjp) and `"lin"` (linearize).
        atol: absolute tolerance, or a mapping from dtypes to tolerances.
        rtol: relative tolerance, likewise.
        eps: step of the differences; by default by the precision of the arguments.
    Raises:
        AssertionError: a derivative differs; the text names the sequence of modes and the leaf.
        ValueError: unknown mode, or order below 1.
    """
    unknown = [mode for mode in modes if mode not in _modes]
    if unknown or isinstance(modes, str) or order < 1:
        raise ValueError(
            f"check_grads takes modes of {tuple(_modes)} and an order from 1, got {modes!r} and "
            f"{order}."
        )
    _check(f, tuple(args), order, modes, {"atol": atol, "rtol": rtol, "eps": eps}, "")


def _check(
    f: Any, args: tuple[Any, ...], order: int, modes: Sequence[str], options: Any, of: str
) -> None:
    for mode in modes:
        name, check, derivative, differentiated = _modes[mode]
        title = f"{name} of {of}" if of else name
        check(f, partial(derivative, f), args, **options, err_msg=title)
        if order > 1:
            _check(differentiated(f, args), args, order - 1, modes, options, title)


def _pushed(derivative: Any, f: Any, args: tuple[Any, ...]) -> Any:
    """f and its derivative along a fixed direction, as a function of the same arguments."""
    direction = _random_tangents(args, np.random.default_rng(1))

    def pushed(*xs: Any) -> Any:
        return tree.map(_without_float0, derivative(f, xs, direction))

    return pushed


def _pulled(f: Any, args: tuple[Any, ...]) -> Any:
    """The product of a fixed cotangent with the derivative of f, as a function of the arguments."""
    ct = _random_tangents(f(*args), np.random.default_rng(1))

    def pulled(*xs: Any) -> Any:
        return tree.map(_without_float0, vjp(f, *xs)[1](ct))

    return pulled


def _jvp_by_linearize(f: Any, primals: Any, tangents: Any) -> tuple[Any, Any]:
    out, push = linearize(f, *primals)
    return out, push(*tangents)


# Name in errors, check, the derivative checked, and the function of one order more.
_modes: dict[str, tuple[str, Any, Any, Any]] = {
    "fwd": ("JVP", check_jvp, jvp, partial(_pushed, jvp)),
    "rev": ("VJP", check_vjp, vjp, _pulled),
    "lin": ("LIN", check_jvp, _jvp_by_linearize, partial(_pushed, _jvp_by_linearize)),
}


def _is_float0(x: Any) -> bool:
    return getattr(x, "dtype", None) == dtypes.float0


def _without_float0(x: Any) -> Any:
    return None if _is_float0(x) else x


def _random_tangents(values: Any, rng: np.random.Generator) -> Any:
    """A tree of tangents drawn from the normal distribution; float0 where there is none."""

    def draw(x: Any) -> Any:
        aval = aval_of(x).to_tangent()
        if aval.dtype == dtypes.float0:
            return np.zeros(aval.shape, dtypes.float0)
        numbers = np.asarray(rng.standard_normal(aval.shape))
        if dtypes.issubdtype(aval.dtype, np.complexfloating):
            numbers = numbers + 1j * rng.standard_normal(aval.shape)
        return numbers.astype(aval.dtype)

    return tree.map(draw, values)


def _only(tangents: Any, chosen: Any) -> Any:
    """The tree with every leaf but one made zero."""
    return tree.map(lambda t: t if t is chosen or _is_float0(t) else np.zeros_like(t), tangents)


def _wide(x: Any) -> Any:
    """Numbers in the widest precision."""
    values = np.asarray(x)
    is_complex = dtypes.issubdtype(values.dtype, np.complexfloating)
    return values.astype(np.complex128 if is_complex else np.float64)


def _inner(xs: Any, ys: Any) -> float:
    """Re Σ x · y over the leaves that are numbers."""
    pairs = zip(tree.leaves(xs), tree.leaves(ys), strict=True)
    kept = [(_wide(x), _wide(y)) for x, y in pairs if not (_is_float0(x) or _is_float0(y))]
    terms: list[float] = [float((x * y).sum().real) for x, y in kept]
    return sum(terms)


def _length(xs: Any) -> float:
    squares: list[float] = [float((abs(_wide(x)) ** 2).sum()) for x in tree.leaves(xs)]
    return sum(squares) ** 0.5


def _inexact_dtypes(leaves: Sequence[Any]) -> list[Any]:
    kinds = [aval_of(x).dtype for x in leaves if not _is_float0(x)]
    return [d for d in kinds if dtypes.issubdtype(d, np.inexact)]


def _step(args: Any, out: Any) -> float:
    """The step for the least precise number that goes in or comes out."""
    kinds = _inexact_dtypes(tree.leaves((args, out)))
    return max((_steps[dtypes.finfo(d).nmant] for d in kinds), default=1.0)


def _difference(f: Any, args: tuple[Any, ...], direction: Any, step: float) -> Any:
    """(f(x + step · v) − f(x − step · v)) / (2 · step) in float64; float0 for integers."""

    def moved(x: Any, v: Any, sign: int) -> Any:
        if _is_float0(v):
            return x
        point = (_wide(x) + sign * step * _wide(v)).astype(v.dtype)
        # Python scalars stay what they are: their weak types decide dtypes inside f.
        return point.item() if isinstance(x, (float, complex)) else as_array(point)

    def slope(ahead: Any, behind: Any) -> Any:
        if not dtypes.issubdtype(aval_of(ahead).dtype, np.inexact):
            return np.zeros(np.shape(ahead), dtypes.float0)
        a, b = _wide(ahead), _wide(behind)
        with np.errstate(invalid="ignore"):
            # Equal infinities on both sides count as flat.
            return np.where(a == b, 0.0, a - b) / (2 * step)

    points = [tree.map(partial(moved, sign=sign), args, direction) for sign in (1, -1)]
    return tree.map(slope, f(*points[0]), f(*points[1]))


def _tolerance(given: Tolerance, *values: Any) -> float:
    """The tolerance for comparing these values: as given, or of the least precise dtype."""
    if given is not None and not isinstance(given, Mapping):
        return float(given)
    known = {np.dtype(d): t for d, t in given.items()} if given is not None else {}
    kinds = _inexact_dtypes(values)
    return max((known.get(d, _tolerances[dtypes.finfo(d).nmant]) for d in kinds), default=0.0)


def _compare(found: Any, want: Any, tolerances: tuple[Tolerance, Tolerance], what: str) -> None:
    """Raise AssertionError naming the first leaf where two trees differ."""
    trees = tree.structure(found), tree.structure(want)
    if trees[0] != trees[1]:
        raise AssertionError(f"{what} has the tree {trees[0]}, expected {trees[1]}.")
    pairs = zip(tree.leaves_with_path(found), tree.leaves(want), strict=True)
    for (path, x), y in pairs:
        where = f"result{tree.keystr(path)}"
        if np.shape(x) != np.shape(y):
            raise AssertionError(f"{what} {where} has shape {np.shape(x)}, expected {np.shape(y)}.")
        if _is_float0(x) != _is_float0(y):
            raise AssertionError(f"{what} {where}: a tangent is given where there is none.")
        if not _is_float0(x):
            _compare_leaf(x, y, [_tolerance(t, x) for t in tolerances], f"{what} {where}")


def _compare_leaf(found: Any, want: Any, bounds: Sequence[float], what: str) -> None:
    x, y = _wide(found), _wide(want)
    with np.errstate(invalid="ignore"):
        off = np.abs(x - y)
        good = (off <= bounds[0] + bounds[1] * np.abs(y)) | (x == y) | (np.isnan(x) & np.isnan(y))
    if np.all(good):
        return
    ranked = np.where(good, -1.0, np.where(np.isnan(off), np.inf, off))
    worst = np.unravel_index(np.argmax(ranked), x.shape)
    index = f"[{', '.join(str(int(i)) for i in worst)}]" if worst else ""
    raise AssertionError(
        f"{what}{index} is {x[worst]:.6g}, expected {y[worst]:.6g}; "
        f"{x.size - np.count_nonzero(good)} of {x.size} elements differ by more than "
        f"{bounds[0]:.3g} + {bounds[1]:.3g} · |expected|."
    )
