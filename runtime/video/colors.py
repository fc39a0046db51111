"""Colours of a video: Y'CbCr planes to RGB and back, by the matrix and the range of the file.

Chroma is interpolated by bicubic convolution, and every value rounded. The result is the same on
any CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.rgb_image import Rgb
from ailsr.runtime.video.library import av

BT709, UNSPECIFIED, BT601, BT2020 = 1, 2, 6, 9
MATRICES = {
    BT709: "BT.709",
    4: "FCC",
    5: "BT.601",
    BT601: "BT.601",
    7: "SMPTE 240M",
    BT2020: "BT.2020",
}
"""The matrices that are understood, by their number in ITU-T H.273."""
_RGB = 0
HDR = {16: "PQ", 18: "HLG"}
"""The transfer functions of high dynamic range, by the same numbers."""
_STUDIO, _FULL = 1, 2


@dataclass(frozen=True)
class Colors:
    """How a video's numbers are meant."""

    matrix: int
    """One of ``MATRICES``."""
    full: bool
    """Black and white are 0 and 255, not 16 and 235."""
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    gray: bool = False
    """The source has luma alone."""

    @classmethod
    def of(cls, frame: av.VideoFrame, name: str) -> Colors:
        """Those of a decoded ``frame`` of the video ``name``.

        What the file does not say is decided as players do: BT.709 from 1280×720 on, BT.601 below;
        studio range, but full range for gray. RGB leaves as BT.709 in studio range. Raises
        ImageError for more than 8 bits, HDR and matrices that are not in ``MATRICES``.
        """
        kind = frame.format
        bits = max(component.bits for component in kind.components)
        hdr = HDR.get(frame.color_trc)
        if bits > 8:
            raise ImageError(
                f"{name} has {bits} bits per sample{f' ({hdr})' if hdr else ''}, and networks see "
                "8: convert it first, for HDR with a tone mapping"
            )
        if hdr:
            raise ImageError(f"{name} is HDR ({hdr}): map its tones to SDR first")
        gray = len([c for c in kind.components if not c.is_alpha]) == 1 and not kind.has_palette
        matrix, is_rgb = frame.colorspace, kind.is_rgb or kind.has_palette
        if is_rgb:
            matrix = BT709
        elif matrix in (UNSPECIFIED, 3):
            matrix = BT709 if frame.width >= 1280 or frame.height >= 720 else BT601
        elif matrix == _RGB and gray:
            matrix = BT709
        if matrix not in MATRICES:
            raise ImageError(
                f"{name} has the colour matrix {matrix} of H.273, which is not understood: convert "
                "it to BT.709 first"
            )
        full = frame.color_range == _FULL or kind.name.startswith("yuvj")
        if gray and frame.color_range not in (_STUDIO, _FULL):
            full = True
        return cls(matrix, full and not is_rgb, frame.color_primaries, frame.color_trc, gray)

    def __str__(self) -> str:
        return f"{MATRICES[self.matrix]}, {'full' if self.full else 'studio'} range"


class Reader:
    """Decoded frames as RGB."""

    def __init__(self, colors: Colors) -> None:
        self._colors, self._reformatter = colors, av.video.reformatter.VideoReformatter()
        level = np.arange(256.0) if colors.full else (np.arange(256.0) - 16) * (255 / 219)
        self._levels = np.clip(np.rint(level), 0, 255).astype(np.uint8)

    def read(self, frame: av.VideoFrame) -> Rgb:
        """``frame`` as H×W×3, uint8."""
        colors = self._colors
        if colors.gray:
            gray = frame if frame.format.name == "gray" else self._reformat(frame, "gray")
            rgb: Rgb = self._levels[gray.to_ndarray()][..., None].repeat(3, axis=2)
            return rgb
        rgb = self._reformat(frame, "rgb24").to_ndarray()
        return rgb

    def _reformat(self, frame: av.VideoFrame, kind: str) -> av.VideoFrame:
        is_rgb = frame.format.is_rgb or frame.format.has_palette
        full = self._colors.full or is_rgb
        return self._reformatter.reformat(
            frame,
            format=kind,
            src_colorspace=_swscale(self._colors.matrix),
            dst_colorspace=_swscale(self._colors.matrix),
            src_color_range=_FULL if full else _STUDIO,
            dst_color_range=_FULL,
            interpolation=_flags(),
            threads=1,
        )


class Writer:
    """RGB as frames for an encoder: 4:2:0, of even sides."""

    def __init__(self, colors: Colors, size: tuple[int, int]) -> None:
        """``size``: (height, width) of the frames; those that come may be of any other."""
        self._colors, self._size = colors, size
        self._reformatter = av.video.reformatter.VideoReformatter()

    def write(self, rgb: Rgb) -> av.VideoFrame:
        """``rgb`` (H×W×3, uint8) as a frame; resized by bicubic convolution where need be."""
        height, width = self._size
        rgb = rgb if abs(rgb.shape[0] - height) > 1 else rgb[:height]
        rgb = rgb if abs(rgb.shape[1] - width) > 1 else rgb[:, :width]
        colors = self._colors
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            width=width,
            height=height,
            format="yuv420p",
            src_colorspace=_swscale(colors.matrix),
            dst_colorspace=_swscale(colors.matrix),
            src_color_range=_FULL,
            dst_color_range=_FULL if colors.full else _STUDIO,
            interpolation=_flags(),
            threads=1,
        )
        frame.colorspace, frame.color_range = colors.matrix, _FULL if colors.full else _STUDIO
        frame.color_primaries, frame.color_trc = colors.primaries, colors.transfer
        return frame


def _swscale(matrix: int) -> int:
    """libswscale's number of an H.273 ``matrix``."""
    return 5 if matrix == BT601 else matrix


def _flags() -> int:
    flags = av.video.reformatter.Interpolation
    return int(
        flags.BICUBIC
        | flags.ACCURATE_RND
        | flags.FULL_CHR_H_INT
        | flags.FULL_CHR_H_INP
        | flags.BITEXACT
    )
