"""Convolutions over one, two or three axes between batch and channels, and their adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import lax
from ..api.reverse import linear_transpose
from ..core.shapes import ShapeDtypeStruct
from ..core.sources import user_line
from . import initializers
from .combinators import serial
from .layer import Layer, param_dtype, short, stateless
from .linear import BiasInit, make_params, positive, weight_and_bias
from .weights import form_of, multiply, plain, weight_shape
from .window import Padding, Window, window_of


def conv(
    features: int,
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    *,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
    bias: bool = True,
    weight_init: initializers.Initializer | None = None,
    bias_init: BiasInit = initializers.zeros,
) -> Layer:
    """Convolution (correlation, as in the field) over the axes between batch and channels.

    params: `{"weight": f32[*window, channels / groups, features], "bias": f32[features]}`; without
    `"bias"` if there is none.

    Args:
        window: extents over one to three axes, of any parity.
        strides: steps between windows, 1 by default.
        padding: `"SAME"` (as many outputs as steps fit in), `"SAME_LOWER"` (the odd one before),
            `"VALID"`, a number for all sides, or a pair (before, after) for each axis.
        dilation: steps between the elements of a window, 1 by default.
        groups: how many parts of the channels are convolved apart.
        weight_init: He's normal one by default.
        bias_init: zeros by default; `initializers.torch_bias()` is PyTorch's default.
    Raises:
        ValueError: unknown padding, groups that do not divide channels or features, lengths that
            differ, or an input that the window does not fit in.
    """
    positive("conv", features=features, groups=groups)
    how = _window("conv", window, strides, padding, dilation)
    _divides("conv", groups, features=features)
    make = weight_init or initializers.he_normal()

    def init(key: Any, x: Any) -> dict[str, Any]:
        how.slides(x)
        _divides("conv", groups, channels=x.shape[-1])
        shape = (*how.size, x.shape[-1] // groups, features)
        return make_params(key, shape, param_dtype(x), make, bias_init if bias else None)

    def apply(params: Any, x: Any) -> Any:
        return _apply(how, params, x, groups, bias)

    return stateless(init, apply, "conv")


def depthwise_conv(
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    *,
    multiplier: int = 1,
    dilation: Sequence[int] | None = None,
    bias: bool = True,
    weight_init: initializers.Initializer | None = None,
    bias_init: BiasInit = initializers.zeros,
) -> Layer:
    """A convolution of each channel by itself, to `multiplier` features.

    params: `{"weight": f32[*window, 1, channels * multiplier], "bias": ...}`; as `conv` with as
    many groups as there are channels.
    """
    positive("depthwise_conv", multiplier=multiplier)
    how = _window("depthwise_conv", window, strides, padding, dilation)
    make = weight_init or initializers.he_normal()

    def init(key: Any, x: Any) -> dict[str, Any]:
        how.slides(x)
        shape = (*how.size, 1, x.shape[-1] * multiplier)
        return make_params(key, shape, param_dtype(x), make, bias_init if bias else None)

    def apply(params: Any, x: Any) -> Any:
        return _apply(how, params, x, x.shape[-1] if x.shape else 1, bias)

    return stateless(init, apply, "depthwise_conv")


def separable_conv(
    features: int,
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    *,
    multiplier: int = 1,
    dilation: Sequence[int] | None = None,
    bias: bool = True,
) -> Layer:
    """A depthwise convolution, then one of window 1 over the channels.

    params: `[{"weight": ...}, {"weight": ..., "bias": ...}]`.
    Source: Howard et al., arXiv:1704.04861, without the norm between them.
    """
    apart = depthwise_conv(
        window, strides, padding, multiplier=multiplier, dilation=dilation, bias=False
    )
    return serial(apart, conv(features, (1,) * len(window), bias=bias), name="separable_conv")


def conv_transpose(
    features: int,
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    *,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
    output_padding: Sequence[int] | None = None,
    bias: bool = True,
    weight_init: initializers.Initializer | None = None,
    bias_init: BiasInit = initializers.zeros,
) -> Layer:
    """The adjoint of `conv` with the same weight: from what it gives to what it takes.

    ⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩ without biases. Extents come out as the smallest that
    `conv` turns into those of the input, and with `"SAME"` as input · stride.

    params: `{"weight": f32[*window, features / groups, channels], "bias": f32[features]}`: the
    weight of the convolution from `features` to `channels`.

    Args:
        output_padding: how much larger each extent is, less than the stride; for padding that is
            not `"SAME"`.
    Raises:
        ValueError: as `conv`; or output_padding that does not fit.
    """
    positive("conv_transpose", features=features, groups=groups)
    how = _window("conv_transpose", window, strides, padding, dilation)
    more = _output_padding(how, output_padding)
    _divides("conv_transpose", groups, features=features)
    make = weight_init or initializers.he_normal()

    def init(key: Any, x: Any) -> dict[str, Any]:
        how.check(x)
        _divides("conv_transpose", groups, channels=x.shape[-1])
        shape = (*how.size, features // groups, x.shape[-1])
        own = bias_init if bias else None
        return make_params(key, shape, param_dtype(x), make, own, features)

    def apply(params: Any, x: Any) -> Any:
        weight, offset = weight_and_bias(params, bias, "conv_transpose")
        weight = plain(weight, "conv_transpose")
        _check_channels(how, x, weight.shape, weight.shape[-1])
        space = _extents_before(how, x.shape[1:-1], more)
        before = ShapeDtypeStruct((x.shape[0], *space, features), x.dtype)
        # With "SAME", pads are those that conv has for the extents that come out.
        exact = how._replace(padding=how.pads(space))

        def forward(v: Any) -> Any:
            return _convolve(exact, v, weight, groups, None)

        (y,) = linear_transpose(forward, before)(x)
        return y if offset is None else y + offset

    return stateless(init, apply, "conv_transpose")


def _window(layer: str, window: Any, strides: Any, padding: Padding, dilation: Any) -> Window:
    how = window_of(layer, window, strides, padding, dilation)
    if len(how.size) > 3:
        raise ValueError(
            f"{layer} takes windows of one to three axes, got {how.size}.\n  {user_line()}"
        )
    return how


def _divides(layer: str, groups: int, **numbers: int) -> None:
    for name, n in numbers.items():
        if n % groups:
            raise ValueError(
                f"{layer} of {groups} groups got {n} {name}, which they do not divide.\n"
                f"  {user_line()}"
            )


def _apply(how: Window, params: Any, x: Any, groups: int, has_bias: bool) -> Any:
    weight, offset = weight_and_bias(params, has_bias, how.layer)
    shape = weight_shape(weight)
    _check_channels(how, x, shape, shape[-2] * groups)
    how.slides(x)
    if groups > 1 and "left" in (form_of(weight) or {}):
        raise ValueError(
            f"{how.layer} of {groups} groups got a factorised weight, which mixes groups.\n"
            f"  {user_line()}\n  Give the params from before, or decompress them."
        )

    def operation(x: Any, weight: Any, dtype: Any) -> Any:
        return _convolve(how, x, weight, groups, dtype)

    y = multiply(operation, x, weight)
    return y if offset is None else y + offset


def _check_channels(how: Window, x: Any, shape: tuple[int, ...], channels: int) -> None:
    how.check(x)
    if x.shape[-1] != channels or shape[: len(how.size)] != how.size:
        raise ValueError(
            f"{how.layer} with a window of {how.size} and a weight of shape {shape} got "
            f"{short(x)}: the weight is for {channels} channels.\n  {user_line()}\n"
            "  Give init an input with the channels that apply gets."
        )


def _convolve(how: Window, x: Any, weight: Any, groups: int, dtype: Any) -> Any:
    axes = "DHW"[3 - len(how.size) :]
    return lax.conv_general_dilated(
        x,
        weight,
        how.strides,
        how.pads(x.shape[1:-1]),
        rhs_dilation=how.dilation,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=groups,
        preferred_element_type=dtype,
    )


def _output_padding(how: Window, given: Sequence[int] | None) -> tuple[int, ...]:
    more = tuple(given) if given is not None else (0,) * len(how.size)
    fits = len(more) == len(how.size) and all(
        0 <= m < s for m, s in zip(more, how.strides, strict=True)
    )
    if not fits or (any(more) and how.padding in ("SAME", "SAME_LOWER")):
        raise ValueError(
            f"conv_transpose with strides of {how.strides} and padding {how.padding} got "
            f"output_padding of {more}.\n  {user_line()}\n"
            "  Give a number from 0 to below the stride for each axis, and none with 'SAME'."
        )
    return more


def _extents_before(how: Window, space: Sequence[int], more: Sequence[int]) -> list[int]:
    """Extents that the convolution turns into these."""
    if how.padding in ("SAME", "SAME_LOWER"):
        return [n * s for n, s in zip(space, how.strides, strict=True)]
    pads = how.pads(space)
    every = zip(space, how.strides, how.reach(), pads, more, strict=True)
    extents = [(n - 1) * s + reach - sum(pad) + m for n, s, reach, pad, m in every]
    if min(extents) < 1:
        raise ValueError(
            f"conv_transpose of extents {tuple(space)} with the padding {pads} leaves the extents "
            f"{tuple(extents)}.\n  {user_line()}\n  Pad less."
        )
    return extents
