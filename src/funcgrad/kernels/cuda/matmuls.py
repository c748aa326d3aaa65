"""Products of matrices for cuBLASLt, with what follows them where its epilogues do that.

In: products on operands as they lie, row after row. Out: launches for `cublaslt`. The one idea: a
matrix row after row is its transpose column after column, so C = A · B is asked for as
Cᵀ = Bᵀ · Aᵀ, and nothing is copied. A map that reads a product alone is an epilogue if it computes
what one does: both are evaluated at the same numbers, however the program has written it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...ir.loops import Apply, Axis, Const, Expr, Load
from ...ir.nests import Buffer, Store, children, loads_of, offset_of
from ..library.gemm import Gemm
from ..program import Block, Launch, LibraryCall
from .cublaslt import Matmul, alignment_of
from .plan import chain_of
from .products import ProductLaunch

# Dtypes of operands, and those that the result may have.
_RESULTS = {
    "float32": ("float32",),
    "float64": ("float64",),
    "float16": ("float16", "float32"),
    "bfloat16": ("bfloat16", "float32"),
}
# Products of more batch axes than cuBLASLt strides over are asked for one by one, up to so many.
MOST_CALLS = 16


# Whether cuBLASLt takes a product.
Takes = Callable[[Matmul], bool]


def nothing(_: Matmul) -> bool:
    """What takes products where there is no cuBLASLt."""
    return False


class Epilogue(NamedTuple):
    """What is done to a product: a name of cuBLASLt's, the bias, and where the result goes.

    Attributes:
        bias: what is added to each row, or where the sum of the rows goes.
        aux: what a gradient needs: written beside the result, or read; where that is `masked`,
            what is positive of it.
    """

    name: str
    bias: Buffer | None
    target: Buffer
    aux: Buffer | None = None

    @property
    def masked(self) -> bool:
        """Whether bits are read instead of what they say something of."""
        return self.name.startswith("DRELU")


@dataclass(eq=False)
class MatmulLaunch(ProductLaunch):
    """A product by cuBLASLt; `blocks` is the number of calls.

    Attributes:
        product: one call; `offsets`: for each call, bytes to the matrices in A, B and D.
    """

    product: Matmul | None = None
    offsets: list[tuple[int, int, int]] = field(default_factory=lambda: [])


def matmul_launch(
    g: Gemm,
    name: str,
    buffers: list[Buffer],
    epilogue: Epilogue | None,
    precision: Any,
    takes: Takes,
) -> MatmulLaunch | None:
    """The launch of (left, right, result); None where cuBLASLt does not take it.

    Args:
        precision: what the program asks for; None: nothing, and float32 is float32.
        takes: the last word.
    """
    left, right, out = buffers
    out = out if epilogue is None else epilogue.target
    if left.dtype != right.dtype or out.dtype.name not in _RESULTS.get(left.dtype.name, ()):
        return None
    if left.dtype.name == "float64" and epilogue is not None:
        return None
    # Bᵀ is A of cuBLASLt: n × k, column after column where a row of B is a row in memory.
    transposed = g.right[0], not g.left[0]
    leads = g.right[1], g.left[1], g.pitch
    least = (g.k if transposed[0] else g.n, g.m if transposed[1] else g.k, g.n)
    if any(lead < rows for lead, rows in zip(leads, least, strict=True)):
        return None
    outer, (count, *strides) = _batch(g)
    if prod(n for n, *_ in outer) > MOST_CALLS:
        return None
    sizes = right.dtype.itemsize, left.dtype.itemsize, out.dtype.itemsize
    offsets = _offsets(outer, (g.starts[1], g.starts[0], 0), sizes)
    tf32 = left.dtype.name == "float32" and is_lower(precision)
    named = "DEFAULT" if epilogue is None else epilogue.name
    product = Matmul(
        left.dtype.name,
        out.dtype.name,
        tf32,
        g.n,
        g.m,
        g.k,
        transposed,
        leads,
        count,
        (strides[1], strides[0], strides[2]),
        named,
        alignment_of(*(at for call in offsets for at in call)),
    )
    if not takes(product):
        return None
    times = "".join(f"{b[0]} × " for b in g.batch)
    how = ", TF32" * tf32 + ("" if named == "DEFAULT" else f", epilogue {named}")
    text = f"# {name}: {times}({g.m} × {g.k}) · ({g.k} × {g.n})\n# by cuBLASLt{how}\n"
    beside = (epilogue.bias, epilogue.aux) if epilogue is not None else ()
    params = [right, left, out, *(b for b in beside if b is not None)]
    return MatmulLaunch(name, "cublaslt", len(offsets), 1, params, text, "", product, offsets)


def _batch(g: Gemm) -> tuple[list[tuple[int, int, int, int]], tuple[int, int, int, int]]:
    """The axes of the batch: those for calls of their own, and one that cuBLASLt strides over."""
    axes = [b for b in g.batch if b[0] > 1]
    inner = (1, 0, 0, 0)
    while axes:
        extent, *strides = axes[-1]
        size, *steps = inner
        if size > 1 and any(s != size * t for s, t in zip(strides, steps, strict=True)):
            break
        inner = (extent * size, *(steps if size > 1 else strides))
        axes.pop()
    return axes, (inner[0], inner[1], inner[2], inner[3])


def _offsets(
    outer: Sequence[tuple[int, int, int, int]],
    starts: tuple[int, int, int],
    sizes: tuple[int, int, int],
) -> list[tuple[int, int, int]]:
    """For each call, bytes to the matrices of the right side, the left side and the result.

    Args:
        starts: elements of each before the first matrix; `sizes`: bytes of an element of each.
    """
    offsets: list[tuple[int, int, int]] = []
    for number in range(prod(n for n, *_ in outer)):
        at, rest = [start * size for start, size in zip(starts, sizes, strict=True)], number
        for extent, of_left, of_right, of_out in reversed(outer):
            rest, index = divmod(rest, extent)
            for k, stride in enumerate((of_right, of_left, of_out)):
                at[k] += stride * index * sizes[k]
        offsets.append((at[0], at[1], at[2]))
    return offsets


def is_lower(precision: Any) -> bool:
    """Whether a program asks for less than all of float32."""
    pair: Sequence[Any] = precision or ()
    return any(p.name != "HIGHEST" for p in pair)


# What follows a product.


def epilogues(block: Block, takes: Takes, known: Container[int] = ()) -> dict[int, Epilogue]:
    """The epilogue of each product that has one, by its step; the maps leave the block.

    Args:
        known: steps whose epilogue is known already.
    """
    found: dict[int, Epilogue] = {}
    if takes is nothing:
        return found
    kept = {*map(block.root, block.outputs)}
    for step in [s for s in block.steps if isinstance(s, LibraryCall) and s.gemm is not None]:
        if id(step) in known:
            continue
        (out,) = step.writes
        at = block.steps.index(step)
        readers = [s for s in block.steps if out in map(block.root, s.reads)]
        if block.root(out) in kept or len(readers) != 1 or not isinstance(readers[0], Launch):
            continue
        assert step.gemm is not None
        launch = readers[0]
        epilogue = epilogue_of(launch, out, step.gemm)
        if epilogue is None:
            continue
        # What the map reads beside the product must be there before the product.
        made = {block.root(b) for s in block.steps[at + 1 :] for b in s.writes}
        if epilogue.bias is not None and block.root(epilogue.bias) in made:
            continue
        buffers, precision = [*step.reads, out], step.eqn.params.get("precision")
        if matmul_launch(step.gemm, "", buffers, epilogue, precision, takes) is None:
            continue
        found[id(step)] = epilogue
        step.writes = [epilogue.target]
        if epilogue.bias is not None:
            step.reads = [*step.reads, epilogue.bias]
        block.steps.remove(launch)
    return found


def epilogue_of(launch: Launch, product: Buffer, g: Gemm) -> Epilogue | None:
    """What a kernel does to the elements of a product, if that is an epilogue."""
    chain = chain_of(launch.kernel.body)
    body = chain[-1].body if chain else []
    if len(body) != 1 or not isinstance(body[0], Store) or launch.kernel.scratch:
        return None
    store, column = body[0], chain[-1].axis
    place = offset_of(store.target, store.index)
    if store.combine or store.guard is not None or place.dynamic or g.pitch != g.n:
        return None
    if prod(loop.axis.extent for loop in chain) != product.size != 0:
        return None
    if store.target.size != product.size or place.axes.get(column) != 1:
        return None
    names: dict[Expr, str] = {}
    bias: Buffer | None = None
    for load in loads_of(store.value):
        source: Buffer = load.source
        offset = offset_of(source, load.index)
        if load.guard is not None:
            return None
        if source is product and offset.same(place):
            names[load] = "x"
        elif is_bias(load, source, column, g) and bias in (None, source):
            names[load], bias = "b", source
        else:
            return None
    if bias is not None and bias.dtype != store.target.dtype:
        return None
    # The constants of a program of 16-bit floats are rounded.
    rate = 1e-6 if product.dtype.itemsize > 2 and store.target.dtype.itemsize > 2 else 1e-2
    name = _named(store.value, names, bias is not None, rate)
    return None if name is None else Epilogue(name, bias, store.target)


def is_bias(load: Load, source: Buffer, column: Axis, g: Gemm) -> bool:
    """Whether what is read is an element for each column of a product."""
    offset = offset_of(source, load.index)
    alone = not offset.const and not offset.dynamic and offset.axes == {column: 1}
    return alone and source.size == g.n == column.extent


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


_KNOWN: dict[str, Callable[[Any], Any]] = {"RELU": _relu, "GELU": _gelu}
_OPS: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "min": np.minimum,
    "max": np.maximum,
    "abs": np.abs,
    "exp": np.exp,
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "pow": np.power,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "select": np.where,
}


def _named(value: Expr, names: dict[Expr, str], biased: bool, rate: float) -> str | None:
    """The epilogue that computes the same as an expression."""
    x = np.concatenate([np.linspace(-9, 9, 181), [0.0, 1e-3, -1e-3, 40.0, -40.0]])
    b = np.cos(7 * x) if biased else np.zeros_like(x)
    with np.errstate(all="ignore"):
        found = evaluated(value, names, {"x": x, "b": b})
        if found is None:
            return None
        if biased and np.allclose(found, x + b, rate, rate):
            return "BIAS"
        for name, known in _KNOWN.items():
            if np.allclose(found, known(x + b), rate, rate):
                return f"{name}_BIAS" if biased else name
    return None


def evaluated(x: Expr, names: dict[Expr, str], given: dict[str, Any]) -> Any:
    """An expression at many numbers; None where it has an operation unknown here."""
    if x in names:
        return given[names[x]]
    if isinstance(x, Const):
        return np.float64(x.value)
    if not isinstance(x, Apply) or (x.op not in _OPS and x.op != "cast"):
        return None
    if x.dtype.kind not in "fbV":
        return None
    args = [evaluated(y, names, given) for y in children(x)]
    if any(a is None for a in args):
        return None
    return args[0] if x.op == "cast" else _OPS[x.op](*args)
