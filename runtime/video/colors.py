"""Colours of a video: Y'CbCr planes to RGB and back, by the matrix and the range of the file.

Chroma is interpolated by bicubic convolution, and every value rounded. The result is the same on
any CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

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
_FILTER = {
    BT709: "bt709",
    4: "fcc",
    5: "bt470bg",
    BT601: "smpte170m",
    7: "smpte240m",
    BT2020: "bt2020",
}
"""The names of ``MATRICES`` in FFmpeg."""
_FLAGS = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"


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
    left: bool = True
    """Chroma lies beside the left one of two samples of luma; else, as in JPEG, in the middle."""

    @classmethod
    def of(cls, frame: av.VideoFrame, name: str, codec: str) -> Colors:
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
        return cls(
            matrix,
            full and not is_rgb,
            frame.color_primaries,
            frame.color_trc,
            gray,
            left=codec != "mjpeg",
        )

    def __str__(self) -> str:
        return f"{MATRICES[self.matrix]}, {'full' if self.full else 'studio'} range"


class Reader:
    """Decoded frames as RGB."""

    def __init__(self, colors: Colors) -> None:
        self._colors, self._scaler = colors, _Scaler("rgb24")
        level = np.arange(256.0) if colors.full else (np.arange(256.0) - 16) * (255 / 219)
        self._levels = np.clip(np.rint(level), 0, 255).astype(np.uint8)

    def read(self, frame: av.VideoFrame) -> Rgb:
        """``frame`` as H×W×3, uint8."""
        colors = self._colors
        if colors.gray:
            gray = frame if frame.format.name == "gray" else frame.reformat(format="gray")
            rgb: Rgb = self._levels[gray.to_ndarray()][..., None].repeat(3, axis=2)
            return rgb
        options = ""
        if not (frame.format.is_rgb or frame.format.has_palette):
            span = "pc" if colors.full else "tv"
            options = f":in_color_matrix={_FILTER[colors.matrix]}:in_range={span}"
            if colors.left and frame.format.name in ("yuv420p", "yuv422p"):
                options += ":in_h_chr_pos=0"
                options += ":in_v_chr_pos=128" if frame.format.name == "yuv420p" else ""
        rgb = self._scaler.scale(frame, (frame.height, frame.width), options).to_ndarray()
        return rgb


class Writer:
    """RGB as frames for an encoder: 4:2:0, of even sides, with chroma as H.264 has it by default,
    beside the left one of two samples of luma."""

    def __init__(self, colors: Colors, size: tuple[int, int]) -> None:
        """``size``: (height, width) of the frames; those that come may be of any other."""
        self._colors, self._size, self._scaler = colors, size, _Scaler("yuv420p")

    def write(self, rgb: Rgb) -> av.VideoFrame:
        """``rgb`` (H×W×3, uint8) as a frame; resized by bicubic convolution where need be."""
        height, width = self._size
        rgb = rgb if abs(rgb.shape[0] - height) > 1 else rgb[:height]
        rgb = rgb if abs(rgb.shape[1] - width) > 1 else rgb[:, :width]
        colors = self._colors
        options = f":out_color_matrix={_FILTER[colors.matrix]}:in_range=pc"
        options += f":out_range={'pc' if colors.full else 'tv'}:out_h_chr_pos=0:out_v_chr_pos=128"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = self._scaler.scale(frame, self._size, options)
        frame.colorspace, frame.color_range = colors.matrix, _FULL if colors.full else _STUDIO
        frame.color_primaries, frame.color_trc = colors.primaries, colors.transfer
        return frame


class _Scaler:
    """libswscale's filter, which knows where chroma lies."""

    def __init__(self, kind: str) -> None:
        self._kind, self._made, self._graph = kind, "", None

    def scale(self, frame: av.VideoFrame, size: tuple[int, int], options: str) -> av.VideoFrame:
        """``frame`` as pixels of the kind, at ``size`` (height, width)."""
        settings = f"w={size[1]}:h={size[0]}:flags={_FLAGS}{options}"
        made = f"{frame.format.name} {frame.width}x{frame.height} {settings}"
        if made != self._made:
            graph = av.filter.Graph()
            graph.threads = 1
            nodes = [
                graph.add_buffer(
                    width=frame.width,
                    height=frame.height,
                    format=frame.format,
                    time_base=Fraction(1, 1000),
                ),
                graph.add("scale", settings),
                graph.add("format", self._kind),
                graph.add("buffersink"),
            ]
            graph.link_nodes(*nodes).configure()
            self._made, self._graph = made, graph
        assert self._graph is not None
        self._graph.vpush(frame)
        return self._graph.vpull()
