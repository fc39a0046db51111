"""Colours of a video: Y'CbCr planes to RGB and back, by the matrix and the range of the file.

Chroma is interpolated by bicubic convolution, and every value rounded. The result is the same on
any CPU. A network of luma is given the plane of luma as it is; the chroma goes by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.card import Layout
from ailsr.runtime.engines.layouts import CHANNELS, Levels
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
_OUT_PLACE = ":out_h_chr_pos=0:out_v_chr_pos=128"
"""Where chroma lies in the frames that are written."""

Plane = NDArray[np.uint8]
"""H×W, one plane of a frame."""


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
    luma: bool = False
    """Luma lies in a plane of its own, the first."""

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
            luma=not is_rgb and bits == 8 and (kind.is_planar or len(kind.components) == 1),
        )

    def __str__(self) -> str:
        return f"{MATRICES[self.matrix]}, {'full' if self.full else 'studio'} range"


class Reader:
    """Decoded frames as a network of ``layout`` takes them: RGB, or luma."""

    def __init__(self, colors: Colors, layout: Layout = "rgb") -> None:
        """``layout``: one of luma only where ``colors`` has luma in a plane of its own."""
        self._colors, self._layout, self._scaler = colors, layout, _Scaler("rgb24")
        self._levels = _levels(colors.full, layout != "y")

    def read(self, frame: av.VideoFrame) -> Levels:
        """``frame`` as H×W×3, or of luma as H×W×1, uint8."""
        colors = self._colors
        if CHANNELS[self._layout] == 1:
            return _mapped(_plane(frame, 0), self._levels)[..., None]
        if colors.gray:
            gray = frame if frame.format.name == "gray" else frame.reformat(format="gray")
            grey: Rgb = _mapped(gray.to_ndarray(), self._levels)[..., None].repeat(3, axis=2)
            return grey
        options = ""
        if not (frame.format.is_rgb or frame.format.has_palette):
            options = f":in_color_matrix={_FILTER[colors.matrix]}:in_range={_span(colors.full)}"
            options += _chroma_place(frame, colors)
        rgb: Rgb = self._scaler.scale(frame, (frame.height, frame.width), options).to_ndarray()
        return rgb


class Writer:
    """Upscaled pixels as frames for an encoder: 4:2:0, of even sides, with chroma as H.264 has it
    by default, beside the left one of two samples of luma."""

    def __init__(self, colors: Colors, size: tuple[int, int], layout: Layout = "rgb") -> None:
        """``size``: (height, width) of the frames; those that come may be of any other."""
        self._colors, self._size = colors, size
        self._scaler, self._fitter = _Scaler("yuv420p"), _Scaler("yuv420p")
        self._levels = _levels(layout != "y", colors.full)

    def write(self, pixels: Levels, small: av.VideoFrame | None = None) -> av.VideoFrame:
        """``pixels`` (H×W×3, uint8) as a frame; resized by bicubic convolution where need be.

        Of luma (H×W×1), the chroma is that of ``small``, enlarged.
        """
        height, width = self._size
        colors = self._colors
        if pixels.shape[2] == 1:
            assert small is not None
            frame = self._with_chroma(_mapped(pixels[..., 0], self._levels), small)
        else:
            pixels = pixels if abs(pixels.shape[0] - height) > 1 else pixels[:height]
            pixels = pixels if abs(pixels.shape[1] - width) > 1 else pixels[:, :width]
            options = f":out_color_matrix={_FILTER[colors.matrix]}:in_range=pc"
            options += f":out_range={_span(colors.full)}{_OUT_PLACE}"
            frame = av.VideoFrame.from_numpy_buffer(pixels, format="rgb24")  # not a copy
            frame = self._scaler.scale(frame, self._size, options)
        frame.colorspace, frame.color_range = colors.matrix, _FULL if colors.full else _STUDIO
        frame.color_primaries, frame.color_trc = colors.primaries, colors.transfer
        return frame

    def _with_chroma(self, luma: Plane, small: av.VideoFrame) -> av.VideoFrame:
        """A frame of ``luma`` (H×W) and the chroma of ``small``, fitted to the size."""
        span = _span(self._colors.full)
        same = f":in_range={span}:out_range={span}"
        options = f"{same}{_chroma_place(small, self._colors)}{_OUT_PLACE}"
        frame = self._scaler.scale(small, (luma.shape[0], luma.shape[1]), options)
        frame.make_writable()
        _plane(frame, 0)[:] = luma
        height, width = self._size
        if luma.shape == self._size:
            return frame
        if abs(luma.shape[0] - height) > 1 or abs(luma.shape[1] - width) > 1:
            places = f"{_OUT_PLACE.replace('out_', 'in_')}{_OUT_PLACE}"
            return self._fitter.scale(frame, self._size, f"{same}{places}")
        cut = av.VideoFrame(width, height, "yuv420p")
        for number in range(3):
            target = _plane(cut, number)
            target[:] = _plane(frame, number)[: target.shape[0], : target.shape[1]]
        return cut


def same_chroma(frame: av.VideoFrame | None, other: av.VideoFrame | None) -> bool:
    """Two frames of a video have the same planes beside that of luma."""
    if frame is None or other is None:
        return frame is other
    if frame is other or frame.format.name != other.format.name:
        return frame is other
    chroma = zip(frame.planes[1:], other.planes[1:], strict=True)
    return all(bytes(a) == bytes(b) for a, b in chroma)


def _levels(full: bool, becomes_full: bool) -> Levels | None:
    """By the level of luma in one range, that in the other; None: they are the same."""
    if full == becomes_full:
        return None
    level = np.arange(256.0)
    level = level * (219 / 255) + 16 if full else (level - 16) * (255 / 219)
    levels: Levels = np.clip(np.rint(level), 0, 255).astype(np.uint8)
    return levels


def _mapped(plane: Plane, levels: Levels | None) -> Plane:
    """``plane`` by the table of ``_levels``; itself where nothing changes."""
    return plane if levels is None else levels[plane]


def _plane(frame: av.VideoFrame, number: int) -> Plane:
    """A view of a plane of ``frame``, H×W."""
    plane = frame.planes[number]
    rows: Plane = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _span(full: bool) -> str:
    return "pc" if full else "tv"


def _chroma_place(frame: av.VideoFrame, colors: Colors) -> str:
    """Where chroma lies in ``frame``, as an option of the scaler."""
    if not colors.left or frame.format.name not in ("yuv420p", "yuv422p"):
        return ""
    vertical = ":in_v_chr_pos=128" if frame.format.name == "yuv420p" else ""
    return f":in_h_chr_pos=0{vertical}"


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
