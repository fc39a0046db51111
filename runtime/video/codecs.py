"""The codecs that videos are written with, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ailsr.runtime.errors import UsageError

ENDINGS = {
    ".mp4": ("mp4", {"movflags": "+faststart"}),
    ".m4v": ("mp4", {"movflags": "+faststart"}),
    ".mov": ("mov", {"movflags": "+faststart"}),
    ".mkv": ("matroska", {}),
    ".webm": ("webm", {}),
}
"""FFmpeg's name of the format of a file, and its options, by the ending of the file's name."""


_X26X = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    "placebo",
)  # fmt: skip
"""The presets of x264 and x265, from fast to small."""


@dataclass(frozen=True)
class Codec:
    """A codec, its encoder and that encoder's settings.

    The number of threads is fixed where the bytes depend on it.
    """

    encoder: str
    crf: int | None
    """Constant rate factor by default: less is better and larger; None: there is none."""
    worst: int = 51
    """The largest."""
    threads: int = 4
    options: dict[str, str] = field(default_factory=dict)
    endings: tuple[str, ...] = tuple(ENDINGS)
    """Of the files that hold it."""
    preset: str | None = None
    """What it takes by default of time and bytes; None: there is no choice."""
    presets: tuple[str, ...] = ()
    """Those that there are, as FFmpeg names them."""
    preset_option: str = "preset"
    """FFmpeg's option."""

    def settings(self, crf: int | None = None, preset: str | None = None) -> dict[str, str]:
        """The encoder's options. Raises UsageError for a ``crf`` or ``preset`` that it does not
        have."""
        if self.crf is None or self.preset is None:
            for option, value in (("crf", crf), ("preset", preset)):
                if value is not None:
                    raise UsageError(
                        f"--{option} does not go with --codec {self.encoder}, which loses nothing"
                    )
            return self.options
        crf = self.crf if crf is None else crf
        if not 0 <= crf <= self.worst:
            raise UsageError(f"--crf {crf}: give 0 to {self.worst}")
        preset = preset or self.preset
        if preset not in self.presets:
            raise UsageError(f"--preset {preset}: {self.encoder} has {', '.join(self.presets)}")
        return {self.preset_option: preset, **self.options, "crf": str(crf)}


CODECS = {
    "h264": Codec(
        "libx264", 20, options={"x264-params": "cpu-independent=1"},
        endings=(".mp4", ".m4v", ".mov", ".mkv"), preset="ultrafast", presets=_X26X,
    ),
    "hevc": Codec(
        "libx265", 20, threads=1,
        options={"x265-params": "log-level=none:pools=4:frame-threads=1"},
        endings=(".mp4", ".m4v", ".mov", ".mkv"), preset="fast", presets=_X26X,
    ),
    "av1": Codec(
        "libsvtav1", 28, worst=63, options={"svtav1-params": "lp=4"},
        endings=(".mp4", ".mkv", ".webm"), preset="8", presets=tuple(map(str, range(14))),
    ),
    "vp9": Codec(
        "libvpx-vp9", 24, worst=63, options={"b:v": "0", "deadline": "good", "row-mt": "1"},
        endings=(".mp4", ".mkv", ".webm"),
        preset="4", presets=tuple(map(str, range(6))), preset_option="cpu-used",
    ),
    "ffv1": Codec("ffv1", None, endings=(".mkv",)),
}  # fmt: skip


def codec_for(name: str | None, output: Path) -> tuple[str, Codec]:
    """The codec ``name``, or that which people expect in ``output``.

    Raises UsageError for one that does not exist or does not go into such a file.
    """
    name = name or ("vp9" if output.suffix.lower() == ".webm" else "h264")
    if name not in CODECS:
        raise UsageError(f"--codec {name}: choose one of {', '.join(CODECS)}")
    codec = CODECS[name]
    if output.suffix.lower() not in codec.endings:
        raise UsageError(
            f"{output.suffix} files hold no {name}: name the output {' or '.join(codec.endings)}"
        )
    return name, codec


def is_video(path: Path) -> bool:
    """True when ``path`` is named as a video that can be written."""
    return path.suffix.lower() in ENDINGS
