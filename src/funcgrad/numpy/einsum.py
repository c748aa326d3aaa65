"""Einsum: sums of products named by letters.

In: subscripts and arrays. Out: one array. The one idea: a contraction order splits the product in
pairs, and a pair is one `dot_general`: letters in both and in the rest are batch axes, letters in
both and nowhere else are summed, and letters in one and nowhere else are summed before.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir import dtypes
from ..primitives import contraction, movement
from ..primitives.reduction import reduce_sum
from ..typing import Array, DTypeLike
from .promotion import check_arraylike, convert, is_sequence, promote_dtypes, shape_of, to_array


def _parse(subscripts: Any, operands: tuple[Any, ...]) -> tuple[list[str], str, list[Any]]:
    """Letters of each operand, of the output, and the operands; ellipses become letters."""
    if not isinstance(subscripts, str):
        operands = (subscripts, *operands)
        text, operands = _from_lists(operands)
    else:
        text = subscripts
    text = text.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ValueError(
            f"einsum got {len(operands)} operands for {len(terms)} terms in {text!r}.\n"
            f"  {user_line()}"
        )
    terms, output = _name_ellipses(terms, output, bool(arrow), operands)
    for term, x in zip(terms, operands, strict=True):
        if len(term) != len(shape_of(x)):
            raise ValueError(
                f"einsum term {term!r} has {len(term)} letters for an operand of shape "
                f"{shape_of(x)}.\n  {user_line()}"
            )
    unknown = set(output) - set("".join(terms))
    if unknown or len(set(output)) != len(output):
        raise ValueError(
            f"einsum output {output!r} has letters that repeat or occur in no operand: {text!r}."
        )
    return terms, output, list(operands)


def _from_lists(operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The form einsum(x, [0, 1], y, [1, 2], [0, 2]) as text."""
    letters = [chr(c) for c in (*range(97, 123), *range(65, 91))]

    def word(labels: Any) -> str:
        names: list[str] = ["..." if i is Ellipsis else letters[i] for i in labels]
        return "".join(names)

    arrays, labels = operands[::2], operands[1::2]
    if len(operands) % 2:
        return ",".join(map(word, labels)) + "->" + word(operands[-1]), arrays[:-1]
    return ",".join(map(word, labels)), arrays


def _name_ellipses(
    terms: list[str], output: str, explicit: bool, operands: Sequence[Any]
) -> tuple[list[str], str]:
    """The terms with letters for the axes an ellipsis stands for, aligned from the right."""
    used = set("".join(terms) + output)
    free = [chr(c) for c in (*range(65, 91), *range(97, 123), *range(192, 400))]
    free = [c for c in free if c not in used]
    widths = [
        len(shape_of(x)) - len(t.replace("...", "")) if "..." in t else 0
        for t, x in zip(terms, operands, strict=True)
    ]
    widest = max(widths, default=0)
    if widest < 0 or any(w < 0 for w in widths):
        raise ValueError(f"einsum got more letters than axes in {','.join(terms)!r}.")
    names = "".join(free[:widest])
    named = [t.replace("...", names[widest - w :]) for t, w in zip(terms, widths, strict=True)]
    if not explicit:
        joined = "".join(named)
        output = names + "".join(
            c for c in sorted(set(joined) - set(names)) if joined.count(c) == 1
        )
    return named, output.replace("...", names)


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "auto") -> tuple[Any, Any]:
    """The order of pairwise contractions, and a report of its cost, by opt_einsum."""
    optimizer: Any = importlib.import_module("opt_einsum")
    chosen = "optimal" if optimize is True else optimize or [tuple(range(len(operands)))]
    return optimizer.contract_path(subscripts, *operands, optimize=chosen)


def _order(terms: list[str], output: str, shapes: list[tuple[int, ...]], optimize: Any) -> Any:
    """The pairs to contract, each two positions in the shrinking list of terms."""
    if len(terms) <= 2:
        return [tuple(range(len(terms)))]
    if is_sequence(optimize):
        listed: Any = optimize
        return [p for p in listed if not isinstance(p, str)]
    if optimize is False:
        return [(0, 1)] * (len(terms) - 1)
    optimizer: Any = importlib.import_module("opt_einsum")
    path, _ = optimizer.contract_path(
        ",".join(terms) + "->" + output,
        *shapes,
        shapes=True,
        optimize="optimal" if optimize is True else optimize,
    )
    return path


@planned
def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: None = None,
    optimize: Any = "auto",
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """Sums of products named by letters.

    einsum("ij,jk->ik", x, y) is a matrix product.

    Args:
        subscripts: letters for the axes of each operand, separated by commas, then "->" and those
            of the result; "..." stands for any further axes, which broadcast.
        optimize: how to order the pairs: True or "optimal", "greedy", "auto", ..., a path, or
            False for left to right.
        precision: None, a `lax.Precision`, its name, or a pair.
        preferred_element_type: dtype of the result.
    Raises:
        ValueError: the subscripts do not fit the operands.
    Source: contraction orders are found by opt_einsum (Smith & Gray, 2018).
    """
    from .reductions import refuse_out

    refuse_out("einsum", out)
    options = optimize, precision, preferred_element_type
    return sums_of_products(contraction.dot_general, subscripts, operands, *options)


def sums_of_products(
    dot_general: Callable[..., Any],
    subscripts: Any,
    operands: tuple[Any, ...],
    optimize: Any,
    precision: Any,
    preferred_element_type: DTypeLike | None,
) -> Array:
    """`einsum` by a product of two arrays that has the arguments of `lax.dot_general`."""
    terms, output, values = _parse(subscripts, operands)
    check_arraylike("einsum", *values)
    arrays = [to_array(x) for x in promote_dtypes(*values)]
    dtype = arrays[0].dtype
    if preferred_element_type is not None:
        dtype = dtypes.check_user_dtype_supported(preferred_element_type, "einsum")
    sizes = _sizes(terms, [x.shape for x in arrays])
    # An axis of size 1 under a larger letter broadcasts: it is dropped, and the letter is the
    # other operand's alone.
    for i, (term, x) in enumerate(zip(terms, arrays, strict=True)):
        drop = tuple(a for a, c in enumerate(term) if x.shape[a] == 1 and sizes[c] != 1)
        if drop:
            arrays[i] = movement.squeeze(x, drop)
            terms[i] = "".join(c for a, c in enumerate(term) if a not in drop)
    order = _order(terms, output, [x.shape for x in arrays], optimize)
    for positions in order:
        chosen = sorted(positions, reverse=True)
        pairs = [(terms.pop(i), arrays.pop(i)) for i in chosen][::-1]
        rest = set("".join(terms) + output)
        is_last = not terms
        while len(pairs) > 1:
            left, right = pairs[0], pairs[1]
            kept = rest | set("".join(t for t, _ in pairs[2:]))
            wanted = output if is_last and len(pairs) == 2 else ""
            pairs[:2] = [_contract(dot_general, left, right, kept, wanted, precision, dtype)]
        term, x = _reduced(*pairs[0], rest)
        terms.append(term)
        arrays.append(x)
    term, x = terms[0], arrays[0]
    x = movement.transpose(x, [term.index(c) for c in output])
    return convert(x, dtype) if preferred_element_type is not None else x


def _sizes(terms: list[str], shapes: list[tuple[int, ...]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, n in zip(term, shape, strict=True):
            known = sizes.get(letter, 1)
            if n != known and n != 1 and known != 1:
                raise ValueError(
                    f"einsum letter {letter!r} stands for extents {known} and {n} in "
                    f"{','.join(terms)!r} with shapes {shapes}.\n  {user_line()}"
                )
            sizes[letter] = known if n == 1 else n
    return sizes


def _reduced(term: str, x: Any, kept: set[str]) -> tuple[str, Any]:
    """An operand with diagonals taken of repeated letters, and letters nobody needs summed."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            x = _on_diagonal(x, first, second)
            term = term[:second] + term[second + 1 :]
    summed = tuple(i for i, c in enumerate(term) if c not in kept)
    if summed:
        x = reduce_sum(x, summed)
        term = "".join(c for c in term if c in kept)
    return term, x


def _on_diagonal(x: Any, first: int, second: int) -> Any:
    """The elements with equal indices along two axes, along the first of them."""
    from .diagonals import diagonal

    return movement.moveaxis(diagonal(x, 0, first, second), x.ndim - 2, first)


def _contract(
    dot_general: Callable[..., Any],
    left: tuple[str, Any],
    right: tuple[str, Any],
    kept: set[str],
    output: str,
    precision: Any,
    dtype: np.dtype[Any],
) -> tuple[str, Any]:
    """One pair as one `dot_general`; with `output`, operands are ordered to need no transpose."""
    x_term, x = _reduced(*left, kept | set(right[0]))
    y_term, y = _reduced(*right, kept | set(x_term))
    shared = [c for c in x_term if c in y_term]
    batch = [c for c in shared if c in kept]
    summed = [c for c in shared if c not in kept]

    def result(a: str, b: str) -> str:
        free = [c for c in a if c not in shared] + [c for c in b if c not in shared]
        return "".join(batch + free)

    if output and result(x_term, y_term) != output and result(y_term, x_term) == output:
        (x_term, x), (y_term, y) = (y_term, y), (x_term, x)
    numbers = (
        (tuple(x_term.index(c) for c in summed), tuple(y_term.index(c) for c in summed)),
        (tuple(x_term.index(c) for c in batch), tuple(y_term.index(c) for c in batch)),
    )
    product = dot_general(x, y, numbers, precision, preferred_element_type=dtype)
    return result(x_term, y_term), product
