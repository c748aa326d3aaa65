"""Layers as pairs of functions, by the names of `jax.example_libraries.stax`.

    init, apply = serial(Conv(32, (3, 3), padding="SAME"), Relu, Flatten, Dense(10), LogSoftmax)
    shape, params = init(random.key(0), (-1, 28, 28, 1))
    scores = apply(params, images)

The one idea: `init(key, shape)` gives the shape of the result and the parameters, and
`apply(params, x)` the result, so that a network of layers is a layer. The extent -1 stands for a
batch of any size. `funcgrad.nn` has far more; these are here for programs that use them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import lax, random
from .. import numpy as fnp
from ..core.sources import user_line
from ..nn import elu as elu
from ..nn import gelu as gelu
from ..nn import leaky_relu as leaky_relu
from ..nn import log_softmax as log_softmax
from ..nn import relu as relu
from ..nn import selu as selu
from ..nn import sigmoid as sigmoid
from ..nn import softmax as softmax
from ..nn import softplus as softplus
from ..nn import standardize as standardize
from ..nn.initializers import glorot_normal as glorot_normal
from ..nn.initializers import normal as normal
from ..nn.initializers import ones as ones
from ..nn.initializers import zeros as zeros

Shape = tuple[int, ...]
Init = Callable[[Any, Any], tuple[Any, Any]]
Layer = tuple[Init, Callable[..., Any]]

# The names of older programs.
glorot, randn, logsoftmax = glorot_normal, normal, log_softmax
# What layers start from by default.
_spread, _near_zero, _nearer_zero = glorot_normal(), normal(), normal(1e-6)


def _plain(shape_of: Callable[[Any], Any], fun: Callable[[Any], Any]) -> Layer:
    """The layer x ↦ fun(x) without parameters, whose result has the shape shape_of(shape of x)."""

    def init(_: Any, input_shape: Any) -> tuple[Any, Any]:
        return shape_of(input_shape), ()

    def apply(params: Any, inputs: Any, **_: Any) -> Any:
        return fun(inputs)

    return init, apply


def _rows(shape: Shape) -> Shape:
    return shape[0], math.prod(shape[1:])


def _as_rows(x: Any) -> Any:
    return fnp.reshape(x, (x.shape[0], -1))


def _same(x: Any) -> Any:
    return x


def _first(shapes: Sequence[Shape]) -> Shape:
    return shapes[0]


def elementwise(fun: Callable[..., Any], **fun_kwargs: Any) -> Layer:
    """The layer x ↦ fun(x, **fun_kwargs), of the shape of x and without parameters."""
    return _plain(_same, partial(fun, **fun_kwargs))


def Dense(  # noqa: N802 - JAX's name
    out_dim: int,
    W_init: Any = _spread,
    b_init: Any = _near_zero,
) -> Layer:
    """The layer x ↦ x W + b, with x f[..., n], W f[n, out_dim] and b f[out_dim]."""

    def init(key: Any, input_shape: Any) -> tuple[Any, Any]:
        for_weight, for_bias = random.split(key)
        weight = W_init(for_weight, (input_shape[-1], out_dim))
        return (*input_shape[:-1], out_dim), (weight, b_init(for_bias, (out_dim,)))

    def apply(params: Any, inputs: Any, **_: Any) -> Any:
        weight, bias = params
        return fnp.dot(inputs, weight) + bias

    return init, apply


def _convolution(
    convolve: Callable[..., Any],
    shape_of: Callable[..., Any],
    dimension_numbers: tuple[str, str, str],
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None,
    padding: Any,
    inits: tuple[Any, Any],
) -> Layer:
    """A layer of either kind of convolution, with a bias for each channel."""
    lhs, rhs, out = dimension_numbers
    steps = tuple(strides or (1,) * len(filter_shape))
    weight_init = inits[0] or glorot_normal(rhs.index("I"), rhs.index("O"))

    def init(key: Any, input_shape: Any) -> tuple[Any, Any]:
        extents = iter(filter_shape)
        channels = {"O": out_chan, "I": input_shape[lhs.index("C")]}
        kernel = tuple(channels[c] if c in channels else next(extents) for c in rhs)
        for_weight, for_bias = random.split(key)
        params = (
            weight_init(for_weight, kernel),
            inits[1](for_bias, tuple(out_chan if c == "C" else 1 for c in out)),
        )
        return shape_of(input_shape, kernel, steps, padding, dimension_numbers), params

    def apply(params: Any, inputs: Any, **_: Any) -> Any:
        weight, bias = params
        found = convolve(inputs, weight, steps, padding, dimension_numbers=dimension_numbers)
        return found + bias

    return init, apply


def GeneralConv(  # noqa: N802 - JAX's name
    dimension_numbers: tuple[str, str, str],
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = _nearer_zero,
) -> Layer:
    """A convolution with a bias; `dimension_numbers` as of `lax.conv_general_dilated`.

    Args:
        out_chan: channels of the result.
        filter_shape: spatial extents of the kernel, in the order of its axes.
        strides: steps of the kernel, 1 by default; `padding`: "VALID", "SAME" or pairs.
    """
    inits = W_init, b_init
    return _convolution(
        lax.conv_general_dilated,
        lax.conv_general_shape_tuple,
        dimension_numbers,
        out_chan,
        filter_shape,
        strides,
        padding,
        inits,
    )


def GeneralConvTranspose(  # noqa: N802 - JAX's name
    dimension_numbers: tuple[str, str, str],
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = _nearer_zero,
) -> Layer:
    """A transposed convolution with a bias, as `lax.conv_transpose`; the rest as `GeneralConv`."""
    inits = W_init, b_init
    return _convolution(
        lax.conv_transpose,
        lax.conv_transpose_shape_tuple,
        dimension_numbers,
        out_chan,
        filter_shape,
        strides,
        padding,
        inits,
    )


Conv = partial(GeneralConv, ("NHWC", "HWIO", "NHWC"))
Conv1DTranspose = partial(GeneralConvTranspose, ("NHC", "HIO", "NHC"))
ConvTranspose = partial(GeneralConvTranspose, ("NHWC", "HWIO", "NHWC"))


def BatchNorm(  # noqa: N802 - JAX's name
    axis: Any = (0, 1, 2),
    epsilon: float = 1e-5,
    center: bool = True,
    scale: bool = True,
    beta_init: Any = zeros,
    gamma_init: Any = ones,
) -> Layer:
    """γ (x - mean) / √(variance + epsilon) + β, with moments over the axes of this very batch.

    Args:
        axis: the axes the moments are over; β and γ have the other ones.
        center: whether there is a β; `scale`: whether there is a γ.
    """
    axes = (axis,) if fnp.isscalar(axis) else tuple(axis)

    def init(key: Any, input_shape: Any) -> tuple[Any, Any]:
        shape = tuple(n for k, n in enumerate(input_shape) if k not in axes)
        for_beta, for_gamma = random.split(key)
        beta = beta_init(for_beta, shape) if center else ()
        return input_shape, (beta, gamma_init(for_gamma, shape) if scale else ())

    def apply(params: Any, x: Any, **_: Any) -> Any:
        beta, gamma = params
        wide = tuple(None if k in axes else slice(None) for k in range(x.ndim))
        found = standardize(x, axes, epsilon=epsilon)
        found = gamma[wide] * found if scale else found
        return found + beta[wide] if center else found

    return init, apply


Tanh = elementwise(fnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(fnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)


def _pooling(
    reducer: Callable[[Any, Any], Any], start: float, mean: bool = False
) -> Callable[..., Layer]:
    """The maker of layers that fold windows; with `mean`, over how many elements are there."""

    def layer(
        window_shape: Sequence[int],
        strides: Sequence[int] | None = None,
        padding: Any = "VALID",
        spec: str | None = None,
    ) -> Layer:
        """A layer that folds each window of the spatial axes.

        Args:
            window_shape: extents of a window; `strides`: its steps, 1 by default.
            padding: "VALID" or "SAME"; what is added is left out of means.
            spec: the order of the axes, such as "NCHW"; channels come last by default.
        """
        last = len(window_shape) + 1
        others = sorted((0, last) if spec is None else (spec.index("N"), spec.index("C")))
        window, steps = list(window_shape), list(strides or (1,) * len(window_shape))
        for k in others:
            window.insert(k, 1)
            steps.insert(k, 1)

        def fold(x: Any) -> Any:
            return lax.reduce_window(x, start, reducer, window, steps, padding)

        def init(_: Any, input_shape: Any) -> tuple[Any, Any]:
            pads = lax.padtype_to_pads(input_shape, window, steps, padding)
            one = (1,) * len(window)
            return lax.reduce_window_shape_tuple(input_shape, window, steps, pads, one, one), ()

        def apply(params: Any, inputs: Any, **_: Any) -> Any:
            if not mean:
                return fold(inputs)
            here = [1 if k in others else n for k, n in enumerate(inputs.shape)]
            return fold(inputs) / fold(fnp.ones(here, inputs.dtype))

        return init, apply

    return layer


MaxPool = _pooling(lax.max, -math.inf)
SumPool = _pooling(lax.add, 0.0)
AvgPool = _pooling(lax.add, 0.0, mean=True)


Flatten = _plain(_rows, _as_rows)
Identity = _plain(_same, _same)
FanInSum = _plain(_first, sum)


def FanOut(num: int) -> Layer:  # noqa: N802 - JAX's name
    """The layer x ↦ [x, ..., x], `num` times."""

    def repeated(x: Any) -> list[Any]:
        return [x] * num

    return _plain(repeated, repeated)


def FanInConcat(axis: int = -1) -> Layer:  # noqa: N802 - JAX's name
    """The layer that joins a list of arrays along an axis."""

    def joined(shapes: Sequence[Shape]) -> Shape:
        first = list(shapes[0])
        first[axis] = sum(shape[axis] for shape in shapes)
        return tuple(first)

    return _plain(joined, lambda inputs: fnp.concatenate(inputs, axis))


def Dropout(rate: float, mode: str = "train") -> Layer:  # noqa: N802 - JAX's name
    """Keeps each element with probability `rate`, divided by it, and makes the others 0.

    Args:
        mode: "train"; in any other the layer changes nothing.
    Raises:
        ValueError: it is applied without a key, `apply(params, inputs, rng=key)`.
    """

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        key = options.get("rng")
        if key is None:
            raise ValueError(
                f"Dropout draws random numbers and was applied without a key.\n  {user_line()}\n"
                "  Call apply(params, inputs, rng=key)."
            )
        if mode != "train":
            return inputs
        return fnp.where(random.bernoulli(key, rate, inputs.shape), inputs / rate, 0)

    return _plain(_same, _same)[0], apply


def _keys(key: Any, count: int) -> list[Any]:
    return [None] * count if key is None else list(random.split(key, count))


def serial(*layers: Layer) -> Layer:
    """The layer that applies layers one after the other; its parameters are a list of theirs."""

    def init(key: Any, input_shape: Any) -> tuple[Any, Any]:
        params: list[Any] = []
        for start, _ in layers:
            key, own = random.split(key)
            input_shape, made = start(own, input_shape)
            params.append(made)
        return input_shape, params

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        keys = _keys(options.pop("rng", None), len(layers))
        for (_, step), own, key in zip(layers, params, keys, strict=True):
            inputs = step(own, inputs, rng=key, **options)
        return inputs

    return init, apply


def parallel(*layers: Layer) -> Layer:
    """The layer that applies each of its layers to one of its inputs, as `FanOut` makes them."""

    def init(key: Any, input_shape: Any) -> tuple[Any, Any]:
        keys = _keys(key, len(layers))
        found = [
            start(own, shape)
            for (start, _), own, shape in zip(layers, keys, input_shape, strict=True)
        ]
        return [shape for shape, _ in found], [params for _, params in found]

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        keys = _keys(options.pop("rng", None), len(layers))
        work = zip(layers, params, inputs, keys, strict=True)
        return [step(own, x, rng=key, **options) for (_, step), own, x, key in work]

    return init, apply


def shape_dependent(make_layer: Callable[[Any], Layer]) -> Layer:
    """The layer that `make_layer(shape)` gives for the shape of the input, whatever that is."""

    def init(key: Any, input_shape: Any) -> tuple[Any, Any]:
        return make_layer(input_shape)[0](key, input_shape)

    def apply(params: Any, inputs: Any, **options: Any) -> Any:
        return make_layer(inputs.shape)[1](params, inputs, **options)

    return init, apply
