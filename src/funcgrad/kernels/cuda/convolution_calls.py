"""Convolutions for cuDNN: which of its three operations one is, and how its operands lie.

In: a convolution with any order of axes. Out: launches for `cudnn`. The one idea: a gradient is a
convolution again, so what cuDNN has an operation of its own for is known by its form. With zeros
between the elements of the image, or a kernel read backwards, it is the gradient by the image; with
more taps than places, or groups of the batch, that by the kernel. Images stay as they are; a kernel
that does not lie as cuDNN reads it is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from ...config import config
from ...ir.jaxpr import Eqn
from ...ir.loops import Affine, Axis, Load
from ...ir.nests import Buffer, Kernel, Node, Store
from ..chunks import loops_over
from ..items import Backwards
from ..library.conv_spec import ConvSpec, memory_strides, spec_of
from .cudnn import ALIGNMENT, DTYPES, Convolution, Tensor
from .products import ProductLaunch

# The bytes a convolution works in; None where cuDNN does not take it.
Rooms = Callable[[Convolution], int | None]
_FIRST, _LAST = "first", "last"


def no_room(_: Convolution) -> int | None:
    """What takes convolutions where there is no cuDNN."""
    return None


@dataclass(eq=False)
class ConvolutionLaunch(ProductLaunch):
    """A convolution by cuDNN.

    Attributes:
        convolution: the call; `room`: the bytes it works in.
    """

    convolution: Convolution | None = None
    room: int = 0


class Copy(NamedTuple):
    """Elements put in another order: extents, strides of both sides, and where the source begins.

    The target has extents in the order of its memory.
    """

    extents: tuple[int, ...]
    source: tuple[int, ...]
    base: int
    target: tuple[int, ...]


class Asked(NamedTuple):
    """What cuDNN is asked for.

    Attributes:
        copy: how the kernel is copied, into what cuDNN reads or from what it writes.
    """

    convolution: Convolution
    copy: Copy | None


class NoOperation(Exception):
    """cuDNN has no operation for it."""


class _Space(NamedTuple):
    """One spatial axis: extents in image, kernel and out, and the numbers of the operation."""

    image: int
    kernel: int
    out: int
    stride: int
    before: int
    after: int
    dilation: int


class _Kernel(NamedTuple):
    """Where an element of a kernel is: axes of group, output feature, feature and taps in memory.

    Attributes:
        extents, strides: of these axes; `base`: where the first element is.
    """

    extents: tuple[int, ...]
    strides: tuple[int, ...]
    base: int


def convolution_of(eqn: Eqn, backwards: Backwards, rounded: bool) -> Asked | str:
    """What cuDNN is asked for; or what it has no operation for.

    Args:
        rounded: float32 may be rounded to TF32 before it is multiplied.
    """
    lhs, rhs = (atom.aval for atom in eqn.invars)
    out = eqn.outvars[0].aval
    if lhs.dtype.name not in DTYPES or out.dtype.name not in DTYPES:
        return f"its operands are {lhs.dtype.name}"
    flipped = [axis in backwards[1] for axis in eqn.params["dimension_numbers"].rhs_spec[2:]]
    spec = spec_of(lhs.shape, rhs.shape, out.dtype, eqn.params, flipped)
    tf32 = rounded and lhs.dtype.name == "float32"
    try:
        return asked_for(spec, lhs.dtype.name, tf32)
    except NoOperation as why:
        return str(why)


def asked_for(spec: ConvSpec, given: str, tf32: bool) -> Asked:
    """The call that does what a spec says.

    Raises:
        NoOperation: cuDNN has no operation for it.
    """
    found: list[Asked] = []
    refused: list[NoOperation] = []
    for way in _ways(spec):
        try:
            found.append(_call(spec, way, given, tf32))
        except NoOperation as why:
            refused.append(why)
    if not found:
        raise refused[0]
    return next((asked for asked in found if asked.copy is None), found[0])


def _call(spec: ConvSpec, way: str, given: str, tf32: bool) -> Asked:
    """A convolution as one of the operations."""
    spaces = [_space(spec, way, k) for k in range(len(spec.strides))]
    if len(spaces) == 1:
        # cuDNN convolves over two axes or three.
        spaces.insert(0, _Space(1, 1, 1, 1, 0, 0, 1))
    if any(s.before < 0 or s.after < 0 for s in spaces):
        raise NoOperation("its padding is negative")
    if way == "out":
        image, out = (spec.lhs, spec.lhs_axes), (spec.out, spec.out_axes)
    elif way == "image":
        image, out = (spec.out, spec.out_axes), (spec.lhs, spec.lhs_axes)
    else:
        # Batch and features have changed places.
        image, out = (spec.lhs, _swapped(spec.lhs_axes)), (spec.rhs, _swapped(spec.rhs_axes))
    orders = _orders(*image) & _orders(*out)
    if not orders:
        raise NoOperation("its axes lie in an order that no operation of cuDNN has")
    kernel = _kernel(spec, way)
    front = kernel.extents[0] * kernel.extents[1], kernel.extents[2]
    found = [(order, _copy(kernel, order)) for order in (_LAST, _FIRST) if order in orders]
    order, copy = next((pair for pair in found if pair[1] is None), found[0])
    convolution = Convolution(
        way,
        given,
        spec.dtype,
        tf32,
        _tensor((*_front(*image), *(s.image for s in spaces)), order),
        _tensor((*front, *(s.kernel for s in spaces)), order),
        _tensor((*_front(*out), *(s.out for s in spaces)), order),
        tuple(s.stride for s in spaces),
        tuple(s.before for s in spaces),
        tuple(s.after for s in spaces),
        tuple(s.dilation for s in spaces),
        in_order=not config.gpu_scatter_atomics,
    )
    return Asked(convolution, copy)


def _ways(spec: ConvSpec) -> list[str]:
    """Which of the operations a convolution can be, the likeliest first.

    How images lie says whether batch and features have changed places, as in a gradient by the
    kernel; where that cannot be told, such a gradient has more taps than places.
    """
    taps = [spec.rhs[a] for a in spec.rhs_axes[2:]]
    flips = spec.flipped or (False,) * len(taps)
    sizes = [spec.lhs[a] for a in spec.lhs_axes[2:]]
    flipped = any(f and t > 1 for f, t in zip(flips, taps, strict=True))
    backwards = all(f or t == 1 for f, t in zip(flips, taps, strict=True))
    spread = any(d > 1 and n > 1 for d, n in zip(spec.lhs_dilation, sizes, strict=True))
    step = any(s > 1 and n > 1 for s, n in zip(spec.strides, spec.places, strict=True))
    if spec.batch_group_count > 1:
        if spread or flipped:
            raise NoOperation("it has groups of the batch")
        return ["kernel"]
    if spread:
        if step:
            raise NoOperation("it has strides, and zeros between the elements of the image")
        return ["image"]
    if flipped:
        return ["out"] if step or not backwards else ["image"]
    ways = ["out"] if step or not backwards else ["out", "image"]
    if spec.feature_group_count > 1:
        return ways
    return ["kernel", *ways] if prod(taps) > prod(spec.places) else [*ways, "kernel"]


def _space(spec: ConvSpec, way: str, k: int) -> _Space:
    """One spatial axis of the operation."""
    size, taps = spec.lhs[spec.lhs_axes[2 + k]], spec.rhs[spec.rhs_axes[2 + k]]
    places, (low, _) = spec.places[k], spec.padding[k]
    step, spread, dilation = spec.strides[k], spec.lhs_dilation[k], spec.rhs_dilation[k]
    if way == "out":
        numbers = (size, taps, places, step, low, dilation)
    elif way == "kernel":
        numbers = (size, places, taps, dilation, low, step)
    else:
        numbers = (places, taps, size, spread, (taps - 1) * dilation - low, dilation)
    image, kernel, out, stride, before, dilation = numbers
    # As many zeros after the image as make so many places: the same as before it, if that does.
    least = (out - 1) * stride + (kernel - 1) * dilation + 1 - image - before
    after = min(max(before, least), least + stride - 1)
    return _Space(image, kernel, out, stride, before, after, dilation)


def _swapped(axes: Sequence[int]) -> tuple[int, ...]:
    return (axes[1], axes[0], *axes[2:])


def _front(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, int]:
    """Extents of batch and features."""
    return shape[axes[0]], shape[axes[1]]


def _orders(shape: Sequence[int], axes: Sequence[int]) -> set[str]:
    """Whether features are the first or the last after the batch, or it cannot be told."""
    batch, feature, *space = axes
    known = {_FIRST: [batch, feature, *space], _LAST: [batch, *space, feature]}
    return {
        order
        for order, wanted in known.items()
        if (real := [a for a in wanted if shape[a] > 1]) == sorted(real)
    }


def _strides(extents: Sequence[int], order: str) -> tuple[int, ...]:
    """Strides of (batch, feature, space) in elements."""
    if order == _FIRST:
        return tuple(memory_strides(extents))
    batch, *space, feature = memory_strides([extents[0], *extents[2:], extents[1]])
    return (batch, feature, *space)


def _tensor(extents: tuple[int, ...], order: str) -> Tensor:
    return Tensor(extents, _strides(extents, order))


def _kernel(spec: ConvSpec, way: str) -> _Kernel:
    """Where the elements of a kernel are, in the order in which cuDNN counts them."""
    groups = max(spec.feature_group_count, spec.batch_group_count)
    if way == "kernel":
        outer, inner = spec.out_axes[1], spec.out_axes[0]
        strides = memory_strides(spec.out)
        extents = [groups, spec.out[outer] // groups, spec.out[inner]]
        steps = [extents[1] * strides[outer], strides[outer], strides[inner]]
        taps = [(spec.out[a], strides[a], False) for a in spec.out_axes[2:]]
    else:
        rows, columns, strides = spec.rhs_axes[0], spec.rhs_axes[1], memory_strides(spec.rhs)
        of_group = spec.rhs[rows] // groups
        extents = [groups, of_group, spec.rhs[columns]]
        steps = [of_group * strides[rows], strides[rows], strides[columns]]
        if way == "image":
            # What comes out is the image: its features are what the kernel counts second.
            extents = [groups, extents[2], extents[1]]
            steps = [steps[0], steps[2], steps[1]]
        flips = spec.flipped or (False,) * len(spec.strides)
        # The gradient by the image reads the kernel backwards by itself.
        taps = [
            (spec.rhs[a], strides[a], f != (way == "image"))
            for a, f in zip(spec.rhs_axes[2:], flips, strict=True)
        ]
    base = sum((n - 1) * step for n, step, back in taps if back)
    return _Kernel(
        (*extents, *(n for n, _, _ in taps)),
        (*steps, *(-step if back else step for _, step, back in taps)),
        base,
    )


def _copy(kernel: _Kernel, order: str) -> Copy | None:
    """How a kernel becomes one that lies as cuDNN takes them; None where it does."""
    groups, outs, features, *taps = kernel.extents
    outer, inner, *steps = _strides((groups * outs, features, *taps), order)
    target = (outs * outer, outer, inner, *steps)
    axes = [
        (n, of_target, of_source)
        for n, of_target, of_source in zip(kernel.extents, target, kernel.strides, strict=True)
        if n > 1
    ]
    if not kernel.base and all(t == s for _, t, s in axes):
        return None
    axes.sort(key=lambda axis: -axis[1])
    joined: list[tuple[int, int, int]] = []
    for n, of_target, of_source in axes:
        if joined and joined[-1][1:] == (n * of_target, n * of_source):
            n *= joined.pop()[0]
        joined.append((n, of_target, of_source))
    return Copy(
        tuple(n for n, _, _ in joined),
        tuple(s for _, _, s in joined),
        kernel.base,
        tuple(t for _, t, _ in joined),
    )


def copy_kernel(copy: Copy, name: str, own: Buffer, laid: Buffer, back: bool) -> Kernel:
    """The loops that copy a kernel.

    Args:
        own: the program's; `laid`: as cuDNN takes it.
        back: from what cuDNN has written.
    """
    axes = [Axis(n, f"i{k}") for k, n in enumerate(copy.extents)]
    places = [
        (Affine(base, {a: s for a, s in zip(axes, steps, strict=True) if s}),)
        for base, steps in ((copy.base, copy.source), (0, copy.target))
    ]
    ends = list(zip((own, laid), places, strict=True))
    (source, read), (target, written) = reversed(ends) if back else ends
    if back:
        # Neighbours in memory are written together.
        axes = [a for _, a in sorted(zip(copy.source, axes, strict=True), key=lambda x: -x[0])]
    body: list[Node] = [Store(target, written, Load(source, read, source.dtype, None))]
    loops = loops_over(axes, body, [], vector=True)
    notes = ["the kernel of a convolution, in the order of axes that cuDNN takes"]
    return Kernel(name, [source, target], [target], [], loops, 1, 1, None, 0.0, notes)


def aligned(buffers: Sequence[Buffer], outermost: bool) -> bool:
    """Whether arrays begin where plans need them to.

    Those of the whole program do. In loops they may be slices, each begins behind the one before.
    """
    return outermost or all(b.bytes % ALIGNMENT == 0 for b in buffers)


def convolution_launch(
    asked: Asked, name: str, buffers: tuple[Buffer, Buffer, Buffer], rooms: Rooms
) -> tuple[ConvolutionLaunch, Buffer | None] | None:
    """The launch of (left, right, result), and the kernel as cuDNN takes it, if it is a copy.

    Args:
        rooms: the last word; None where cuDNN does not take it.
    """
    c = asked.convolution
    room = rooms(c)
    if room is None:
        return None
    operands: list[Buffer] = [*buffers]
    laid = None
    if asked.copy is not None:
        at = 2 if c.way == "kernel" else 1
        laid = Buffer(c.kernel.extents, buffers[at].dtype, f"{name}_kernel")
        operands[at] = laid
    text = f"# {name}: {_told(c)}\n# by cuDNN{', TF32' * c.tf32}, in {room} bytes of its own\n"
    launch = ConvolutionLaunch(name, "cudnn", 1, 1, operands, text, "", c, room)
    return launch, laid


def _told(c: Convolution) -> str:
    what = {"out": "", "image": ", the gradient by the image", "kernel": ", that by the kernel"}
    groups = c.image.extents[1] // c.kernel.extents[1]

    def times(extents: Sequence[int]) -> str:
        return " × ".join(map(str, extents))

    apart = f", {groups} groups" if groups > 1 else ""
    return (
        f"{c.image.extents[0]} × {times(c.out.extents[2:])} places, "
        f"{c.kernel.extents[1]} features and {times(c.kernel.extents[2:])} taps to "
        f"{c.kernel.extents[0] // groups} features{apart}{what[c.way]}"
    )
