"""The encoding of a network of others, found by running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ailsr.runtime.engines.encoding import (
    TRIAL_SIDE,
    Comparison,
    Encoding,
    Run,
    encodings,
    psnr,
)
from ailsr.runtime.errors import ModelError
from ailsr.runtime.upscaling.tiles import Size

FindEncoding = Callable[[Run, int, Size | None], Encoding]
"""(network as it is, its scale, the one size that it takes) -> its encoding."""


def find_encoding(
    run: Run,
    scale: int,
    size: Size | None,
    *,
    candidates: Sequence[Encoding] | None,
    must_fit: bool,
) -> Encoding:
    """The one of ``candidates`` by which ``run``, of a network as it is, enlarges an image best.

    Of a network of ×1 the one by which it restores a noisy image best. Raises ModelError when it
    makes an image by none and ``must_fit``.
    """
    candidates = encodings() if candidates is None else candidates
    if len(candidates) == 1:
        return candidates[0]
    compared = Comparison.of(run, scale, size or (TRIAL_SIDE, TRIAL_SIDE), candidates)
    if compared.is_image:
        return compared.best
    if not must_fit:
        return candidates[0]
    tried = ", ".join(dict.fromkeys(str(encoding.input) for encoding in candidates))
    best, bicubic = psnr(min(compared.errors.values())), psnr(compared.bicubic)
    baseline = "the noisy image that it is to restore" if scale == 1 else "bicubic interpolation"
    raise ModelError(
        f"it makes an image by none of the ranges {tried}: {best:.1f} dB of PSNR at best, where "
        f"{baseline} has {bicubic:.1f}; give --input-range and --output-range, or "
        "--allow-worse-than-bicubic for a network that is not trained"
    )
