"""The operators of a MIL program as torch functions, with MIL's parameter names.

One function per operator that the writer emits, under its name in ``OPERATORS``. Tensors
are float32, also those that stand for float16 (rounded by the caller) and for int8 (whole
numbers). Defined by coremltools' ``converters/mil/mil/ops/defs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ailsr.runtime.errors import UnsupportedOperatorError

EXACT_PRODUCTS = 2**24 // (255 * 255)
"""Products of two levels, less their zero points, that float32 sums up exactly."""
RANGES = {"int8": (-128, 127), "uint8": (0, 255)}
"""Lowest and highest level of a quantised type."""


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Sequence[int] = (1, 1),
    pad_type: str = "valid",
    pad: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Convolution; ``pad`` is top, bottom, left, right."""
    if pad_type not in ("valid", "custom"):
        raise UnsupportedOperatorError(f"Core ML reference: no conv with pad_type {pad_type!r}")
    padding = [0, 0]
    if pad_type == "custom":
        top, bottom, left, right = pad
        padding = [top, left]
        if (top, left) != (bottom, right):
            padding = [0, 0]
            x = functional.pad(x, (left, right, top, bottom))
    return functional.conv2d(
        x, weight, bias, tuple(strides), padding, tuple(dilations), groups=groups
    )


def conv_of_levels(
    x_levels: Mapping[str, Any],
    weight_levels: Mapping[str, Any],
    x: Tensor,
    bias: Tensor | None = None,
    groups: int = 1,
    output_scale: float | None = None,
    **geometry: Any,  # noqa: ANN401
) -> Tensor:
    """``conv`` of levels ``x`` of int8, ``x_levels`` and ``weight_levels`` being the parameters
    that they are dequantised by.

    Its sums are whole numbers, so float32 has them exactly as long as they are short. With an
    ``output_scale``, that of the levels that it is going to have, it is rounded as onnxruntime and
    XNNPACK do, which multiply the sum, bias included, by one float32 factor: a product within 1e-5
    of the middle between two levels is rounded as theirs.
    """
    x = (x - x_levels.get("zero_point", 0)).float()
    weight: Tensor = weight_levels["quantized_data"]
    weight = (weight - _along(weight_levels["zero_point"], weight_levels["axis"], weight)).float()
    channels = EXACT_PRODUCTS // weight[0, 0].numel()
    if groups > 1 or not channels:
        number = torch.float32 if weight[0].numel() <= EXACT_PRODUCTS else torch.float64
        sums = conv(x.to(number), weight.to(number), groups=groups, **geometry).double()
    else:
        starts = range(0, x.shape[1], channels)
        parts = [(x[:, i : i + channels], weight[:, i : i + channels]) for i in starts]
        sums = torch.stack([conv(*part, **geometry) for part in parts]).double().sum(0)
    scale: Tensor = _along(torch.as_tensor(weight_levels["scale"]), 1, sums) * x_levels["scale"]
    shift = torch.zeros(()) if bias is None else torch.as_tensor(_along(bias, 1, sums))
    if output_scale is None:
        return sums * scale + shift
    factor = scale.float() / torch.tensor(output_scale, dtype=torch.float32)
    return ((sums + (shift / scale).round()).float() * factor).double() * output_scale


def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", constant_val: float = 0) -> Tensor:
    """A border; ``pad`` is before and after, for each of the last dimensions of ``x``."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][-2:]
    (top, bottom), (left, right) = [(0, 0), *pairs][-2:]
    if mode == "constant":
        return functional.pad(x, (left, right, top, bottom), value=constant_val)
    return functional.pad(x, (left, right, top, bottom), mode=mode)


def slice_by_index(
    x: Tensor,
    begin: Sequence[int],
    end: Sequence[int],
    begin_mask: Sequence[bool],
    end_mask: Sequence[bool],
) -> Tensor:
    """x[begin:end] along each dimension, from its end where negative; masked: without a bound."""
    return x[
        tuple(
            slice(None if no_first else first, None if no_last else last)
            for first, last, no_first, no_last in zip(begin, end, begin_mask, end_mask, strict=True)
        )
    ]


def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """Channel (i * block + j) * C + c to pixel (i, j) of channel c: DCR order."""
    n, channels, height, width = x.shape
    b, c = block_size, channels // block_size**2
    x = x.reshape(n, b, b, c, height, width).permute(0, 3, 4, 1, 5, 2)  # n, c, h, i, w, j
    return x.reshape(n, c, height * b, width * b)


def quantize(
    input: Tensor,
    scale: Tensor | float,
    output_dtype: str,
    zero_point: Tensor | float = 0,
    axis: int | None = None,
) -> Tensor:
    """Levels clip(round(input / scale) + zero_point); ties go to the even level."""
    low, high = RANGES[output_dtype]
    levels = (input / _along(scale, axis, input)).round_()
    return levels.add_(_along(zero_point, axis, input)).clamp_(low, high)


def dequantize(
    input: Tensor,
    scale: Tensor | float,
    zero_point: Tensor | float = 0,
    axis: int | None = None,
) -> Tensor:
    """scale * (input - zero_point)."""
    return (input - _along(zero_point, axis, input)).mul_(_along(scale, axis, input))


def constexpr_affine_dequantize(
    quantized_data: Tensor, scale: Tensor | float, zero_point: Tensor | float, axis: int
) -> Tensor:
    """scale * (quantized_data - zero_point), of constants."""
    return dequantize(quantized_data, scale, zero_point, axis)


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """x Φ(x), or its approximation by tanh."""
    if mode not in ("EXACT", "TANH_APPROXIMATION"):
        raise UnsupportedOperatorError(f"Core ML reference: no gelu with mode {mode!r}")
    return functional.gelu(x, approximate="none" if mode == "EXACT" else "tanh")


def max_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pad_type: str = "valid",
    pad: Sequence[int] = (0, 0, 0, 0),
    ceil_mode: bool = False,
) -> Tensor:
    """The maximum of each window; ``pad`` is unused without a border."""
    if pad_type != "valid" or ceil_mode:
        raise UnsupportedOperatorError(f"Core ML reference: no max_pool with {pad_type!r} padding")
    return functional.max_pool2d(x, tuple(kernel_sizes), tuple(strides))


def resize_bilinear(
    x: Tensor,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """Bilinear interpolation; sample i of n lies at (i + 1/2) * size / n - 1/2, within the edge, or
    with strictly aligned corners at i * (size - 1) / (n - 1)."""
    if sampling_mode not in ("UNALIGN_CORNERS", "STRICT_ALIGN_CORNERS"):
        raise UnsupportedOperatorError(f"Core ML reference: no resize with {sampling_mode!r}")
    size, corners = (target_size_height, target_size_width), sampling_mode != "UNALIGN_CORNERS"
    return functional.interpolate(x, size, mode="bilinear", align_corners=corners)


def cast(x: Tensor, dtype: str) -> Tensor:
    """``x`` itself: the caller rounds what is float16."""
    if dtype not in ("fp16", "fp32"):
        raise UnsupportedOperatorError(f"Core ML reference: no cast to {dtype!r}")
    return x


def _along(values: Tensor | float, axis: int | None, x: Tensor) -> Tensor | float:
    """A vector along one axis of ``x``, shaped to broadcast; a scalar as it is."""
    if axis is None or not isinstance(values, Tensor):
        return values
    return values.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


CLAMPS = {"clip", "maximum", "minimum", "relu", "relu6"}
OPERATORS: dict[str, Callable[..., Tensor]] = {
    "add": lambda x, y: x + y,
    "cast": cast,
    "clip": lambda x, alpha, beta: x.clamp(alpha, beta),
    "concat": lambda values, axis, interleave=False: torch.cat(values, axis),
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "conv": conv,
    "depth_to_space": depth_to_space,
    "dequantize": dequantize,
    "erf": lambda x: x.erf(),
    "exp": lambda x: x.exp(),
    "gelu": gelu,
    "max_pool": max_pool,
    "maximum": lambda x, y: x.clamp(min=y),
    "minimum": lambda x, y: x.clamp(max=y),
    "mul": lambda x, y: x * y,
    "pad": pad,
    "prelu": lambda x, alpha: functional.prelu(x, alpha),
    "quantize": quantize,
    "real_div": lambda x, y: x / y,
    "reduce_mean": lambda x, axes, keep_dims: x.mean(axes, keepdim=keep_dims),
    "relu": lambda x: x.clamp(min=0),
    "relu6": lambda x: x.clamp(0, 6),
    "resize_bilinear": resize_bilinear,
    "round": lambda x: torch.round(x),
    "rsqrt": lambda x, epsilon: (x + epsilon).rsqrt(),
    "slice_by_index": slice_by_index,
    "sigmoid": lambda x: x.sigmoid(),
    "softplus": functional.softplus,
    "sqrt": lambda x: x.sqrt(),
    "sub": lambda x, y: x - y,
    "tanh": lambda x: x.tanh(),
}
