"""custom_kernel: a function that Numba compiles, as an operation under every transform.

In: a function of arrays to read and arrays to write, and a rule for the shapes of what it writes.
The one idea: the function is one primitive, whose machine code a compiled program calls with its
own memory; derivatives are rules in terms of other functions, as for any custom derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from .. import tree
from ..core.axes import move_axis
from ..core.primitive import AxisData, NotDifferentiable, Primitive
from ..core.shapes import ShapeDtypeStruct
from ..core.sources import user_line
from ..core.zeros import Zero
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Lowered, Native
from ..ir.loops import Operand as Read
from ..kernels.custom import NumbaKernel, Operand, Signature
from .custom_jvp import custom_jvp
from .custom_vjp import custom_vjp
from .flat import check_leaves, name_of

# (size, which operands it runs over), outermost first.
Loops = tuple[tuple[int, tuple[bool, ...]], ...]
Rule = Callable[..., Any]


class RuledKernel(NumbaKernel):
    """A kernel with the rule of its batches, if it has one."""

    def __init__(
        self, dispatcher: Any, name: str, batch: Rule | str | None, cuda: Any = None
    ) -> None:
        super().__init__(dispatcher, name, cuda)
        self.batch = batch


class CustomKernel(Primitive):
    """A call of a user's kernel within nested loops, whose results have the avals `result_avals`.

    The operands and results have the axes of the loops that run over them in front.
    """

    name = "custom_kernel"
    multiple_results = True
    widens = False
    cache_inference = False
    unprinted = ("result_avals",)
    tested_in = "tests/control/test_custom_kernels.py"
    jvp_term = NotDifferentiable("a custom kernel without jvp and vjp")

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        sizes = tuple(size for size, _ in params["loops"])
        return [a.update(shape=(*sizes, *a.shape)) for a in params["result_avals"]]

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        given = [np.require(x, requirements=["C", "A"]).view() for x in arrays]
        avals = [ShapedArray(x.shape, x.dtype) for x in arrays]
        outs = [np.empty(a.shape, a.dtype) for a in self.abstract_eval(*avals, **params)]
        params["kernel"].run(*described(avals, params), [*given, *outs])
        return outs

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        if all(isinstance(t, Zero) for t in tangents):
            return super().jvp(primals, tangents, **params)
        raise TypeError(
            f"The kernel {params['kernel']} was differentiated, and has no rule for that.\n"
            f"  {user_line()}\n  Give custom_kernel a jvp, or a vjp if reverse mode is all, "
            "or apply lax.stop_gradient to its arguments."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        kernel: RuledKernel = params["kernel"]
        mapped = tuple(d is not None for d in dims)
        moved = [x if d is None else move_axis(x, d, 0) for x, d in zip(args, dims, strict=True)]
        if kernel.batch is None:
            raise ValueError(
                f"vmap of the kernel {kernel}, which was made with batch=None.\n  {user_line()}\n"
                '  Give custom_kernel batch="loop", or a rule for whole batches.'
            )
        if callable(kernel.batch) and not params["loops"]:
            return _by_rule(kernel, kernel.batch, axis.size, mapped, moved, params)
        loops = ((axis.size, mapped), *params["loops"])
        outs = self.bind(*moved, **{**params, "loops": loops})
        return outs, [0] * len(outs)

    def lower(
        self, operands: Sequence[Read], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        avals = [ShapedArray(x.shape, x.dtype) for x in operands]
        return Native(params["kernel"], *described(avals, params))


custom_kernel_p = CustomKernel()


def described(
    avals: Sequence[ShapedArray], params: dict[str, Any]
) -> tuple[Signature, tuple[int, ...]]:
    """What machine code is made for, and the extents it is called with."""
    loops: Loops = params["loops"]
    operands: list[Operand] = []
    extents = [size for size, _ in loops]
    for k, aval in enumerate(avals):
        mapped = tuple(marks[k] for _, marks in loops)
        own = aval.shape[sum(mapped) :]
        operands.append(Operand(aval.dtype.str, len(own), mapped))
        extents += own
    results: Sequence[ShapedArray] = params["result_avals"]
    for aval in results:
        extents += aval.shape
    outs = tuple((a.dtype.str, len(a.shape)) for a in results)
    return Signature(tuple(operands), outs, len(loops)), tuple(extents)


def _by_rule(
    kernel: RuledKernel,
    rule: Rule,
    size: int,
    mapped: Sequence[bool],
    args: Sequence[Any],
    params: dict[str, Any],
) -> tuple[list[Any], list[int | None]]:
    """The outputs of a batch as the user's rule gives them, and which are batched."""
    result = rule(size, list(mapped), *args)
    if not isinstance(result, tuple) or len(result) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError(
            f"The batch rule {name_of(rule)} of the kernel {kernel} must return a pair (output, "
            f"whether it is batched), but got {result!r}.\n  {user_line()}"
        )
    outs, marks = tree.leaves(result[0]), [bool(m) for m in tree.leaves(result[1])]
    wanted: Sequence[ShapedArray] = params["result_avals"]
    avals = [aval_of(x) for x in outs]
    whole = [
        a.update(shape=(size, *a.shape)) if m else a for a, m in zip(wanted, marks, strict=False)
    ]
    same = len(outs) == len(marks) == len(wanted) and all(
        (a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(avals, whole, strict=True)
    )
    if not same:
        raise TypeError(
            f"The batch rule {name_of(rule)} of the kernel {kernel} gave "
            f"{', '.join(a.short() for a in avals)} and says that {marks} are batched; one call of "
            f"the kernel gives {', '.join(a.short() for a in wanted)}, and the batch has {size}.\n"
            f"  {user_line()}"
        )
    return outs, [0 if m else None for m in marks]


class CustomFunction:
    """A kernel as a function of arrays."""

    def __init__(self, kernel: RuledKernel, shape: Any) -> None:
        self.kernel = kernel
        self.shape = shape
        update_wrapper(self, kernel.dispatcher.py_func, updated=())
        # What is called has the arrays to write no more.
        self.__dict__.pop("__wrapped__", None)
        self.__name__ = kernel.name

    def __repr__(self) -> str:
        return f"<custom kernel {self.kernel}>"

    def __call__(self, *args: Any) -> Any:
        """The outputs of the kernel: an array, or a list of them."""
        check_leaves(args, args, f"the arguments of the kernel {self.kernel} ")
        avals = [aval_of(x) for x in args]
        results, several = self.results(avals)
        for aval in [*avals, *results]:
            _check_dtype(self.kernel, aval)
        outs = custom_kernel_p.bind(
            *args, kernel=self.kernel, result_avals=tuple(results), loops=()
        )
        return outs if several else outs[0]

    def results(self, avals: Sequence[ShapedArray]) -> tuple[list[ShapedArray], bool]:
        """The avals of the outputs by the rule, and whether there is a list of them.

        Raises:
            TypeError: the rule gives anything but shapes with dtypes.
        """
        given: Any = self.shape
        if callable(given):
            given = given(*[ShapeDtypeStruct(a.shape, a.dtype) for a in avals])
        several = isinstance(given, (tuple, list))
        items: list[Any] = [*given] if several else [given]
        found: list[ShapedArray] = []
        for item in items:
            if not hasattr(item, "shape") or not hasattr(item, "dtype"):
                raise TypeError(
                    f"The shape rule of the kernel {self.kernel} gave {item!r} for "
                    f"({', '.join(a.short() for a in avals)}).\n  {user_line()}\n  It must give a "
                    "ShapeDtypeStruct, or a list of them, one for each array that is written."
                )
            found.append(ShapeDtypeStruct(item.shape, item.dtype).aval)
        count = self.kernel.dispatcher.py_func.__code__.co_argcount
        if len(avals) + len(found) != count:
            raise TypeError(
                f"The kernel {self.kernel} takes {count} arguments, arrays to read and then arrays "
                f"to write, but was called with {len(avals)} arrays, and its shape rule gives "
                f"{len(found)} to write.\n  {user_line()}"
            )
        return found, several


def _check_dtype(kernel: NumbaKernel, aval: ShapedArray) -> None:
    numba: Any = import_module("numba")
    known = not dtypes.is_key_dtype(aval.dtype)
    try:
        numba.from_dtype(aval.dtype)
    except numba.core.errors.NumbaError:
        known = False
    if not known:
        raise TypeError(
            f"The kernel {kernel} was given {aval.short()}, of a dtype that Numba has not.\n"
            f"  {user_line()}\n  Convert with astype before the call."
        )


def custom_kernel(
    function: Callable[..., None] | None = None,
    *,
    shape: Any,
    jvp: Rule | None = None,
    vjp: Rule | None = None,
    batch: Rule | str | None = "loop",
    name: str | None = None,
    cuda: Callable[..., None] | None = None,
    cuda_grid: Any = None,
) -> Any:
    """A function compiled by `numba.njit` as a function of arrays, under every transform.

    The kernel takes arrays to read, then arrays to write, and returns nothing:
    `def kernel(x, y, out): ...`. What is read cannot be written; a value of rank 0 arrives as a
    scalar. What is written arrives uninitialised, of rank 0 to be set by `out[()] = ...`. All are
    C-contiguous. A compiled program calls its machine code directly. Used as a decorator too.

    Args:
        function: the kernel; it must not keep its arguments, and depend on nothing else that
            changes.
        shape: ShapeDtypeStruct of what is written, or a list of them; or a function that gives
            these for the ShapeDtypeStructs of what is read.
        jvp: `jvp(primals, tangents)` gives (output, its tangent), as for `custom_jvp`; serves
            forward and reverse mode.
        vjp: `vjp(args, out, ct)` gives a tuple of cotangents, one for each argument, None for zero;
            serves reverse mode.
        batch: what vmap does. `"loop"`: the kernel runs for one element after the other, in
            machine code. A function `batch(size, batched, *args)`, of the arguments with the new
            axis in front where `batched` says so, gives (output, whether it is batched). None:
            vmap is an error.
        name: what errors and printed programs call it; by default the name of the function.
        cuda: the kernel for GPUs: one of `numba.cuda.jit`, or the plain function, of the same
            arguments. Programs on a GPU launch it; without one they cannot have the operation.
        cuda_grid: (blocks, threads of a block) to launch it with, or a function that gives them
            for the ShapeDtypeStructs of what is read; by default a thread for each element of the
            largest output, 256 to a block.
    Returns:
        A function of arrays that gives an array, or a list of arrays if `shape` names a list.
    Raises:
        TypeError: function is not compiled by njit; later: Numba cannot compile it for the
            arguments, or the shape rule does not fit.
        ValueError: both jvp and vjp are given, or batch is neither "loop", a function nor None.
    """
    if function is None:
        rules = {"shape": shape, "jvp": jvp, "vjp": vjp, "batch": batch, "name": name}
        return partial(custom_kernel, cuda=cuda, cuda_grid=cuda_grid, **rules)
    _check_rules(function, jvp, vjp, batch)
    there = None if cuda is None else _for_cuda(function, cuda, cuda_grid)
    kernel = RuledKernel(function, name or name_of(function), batch, there)
    plain = CustomFunction(kernel, shape)
    if jvp is not None:
        ruled = custom_jvp(plain)
        ruled.defjvp(jvp)
        return ruled
    if vjp is not None:
        return _reversed(plain, vjp)
    return plain


def _check_rules(function: Any, jvp: Any, vjp: Any, batch: Any) -> None:
    """Raise what `custom_kernel` says for a function and rules that do not fit."""
    dispatcher: Any = import_module("numba.core.dispatcher").Dispatcher
    if not isinstance(function, dispatcher):
        raise TypeError(
            f"custom_kernel takes a function compiled by Numba, got {function!r}.\n"
            f"  {user_line()}\n  Decorate it with numba.njit, below custom_kernel."
        )
    if jvp is not None and vjp is not None:
        raise ValueError(
            "custom_kernel takes jvp or vjp, not both: a jvp serves reverse mode too, and with a "
            f"vjp there is no forward mode.\n  {user_line()}"
        )
    if batch is not None and batch != "loop" and not callable(batch):
        raise ValueError(f'batch is "loop", a function or None, got {batch!r}.\n  {user_line()}')


def _for_cuda(function: Any, cuda: Any, grid: Any) -> Any:
    """The kernel for GPUs beside the one for CPUs.

    Raises:
        TypeError: it is no function, or one of other arguments.
    """
    plain = getattr(cuda, "py_func", cuda)
    if not isinstance(plain, FunctionType):
        raise TypeError(
            f"custom_kernel takes as cuda= a function of numba.cuda.jit, got {cuda!r}.\n"
            f"  {user_line()}\n  Give the kernel itself, without a grid; that is cuda_grid=."
        )
    wanted, got = (f.__code__.co_argcount for f in (function.py_func, plain))
    if wanted != got:
        raise TypeError(
            f"The kernel {function.__name__} takes {wanted} arguments, and {plain.__name__}, its "
            f"cuda= kernel, {got}.\n  {user_line()}\n  Both get what is read, then what is written."
        )
    from ..kernels.cuda.custom import CudaFunction

    return CudaFunction(plain, grid)


def _reversed(plain: CustomFunction, vjp: Rule) -> custom_vjp:
    """The kernel with a reverse rule; arguments and output are what it keeps."""

    def forward(*args: Any) -> Any:
        out = plain(*args)
        return out, (args, out)

    def backward(kept: Any, ct: Any) -> Any:
        args, out = kept
        return vjp(args, out, ct)

    backward.__name__ = name_of(vjp)
    ruled = custom_vjp(plain)
    ruled.defvjp(forward, backward)
    return ruled
