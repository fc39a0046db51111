"""The options of ``ailsr-upscale``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from ailsr.runtime.commands.command import given
from ailsr.runtime.engines.engine import fallback
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.condition import LOW_QUALITY, NOISY
from ailsr.runtime.upscaling.engine_pool import EnginePool
from ailsr.runtime.video.codecs import CODECS, is_video

VIDEO_OPTIONS = ("start", "end", "codec", "crf", "preset", "scale_to", "resume")
"""Those of videos alone."""


@dataclass(frozen=True)
class Config:
    """Upscale images or a video with an exported file.

    Images may have any size; the network is run tile by tile, without seams.
    What has to be changed in an image (16 bits, CMYK, ...) is said on stderr,
    and so is what of a folder is left out. Colour profile and EXIF data are
    kept, alpha is upscaled by bicubic interpolation. Of several images a bad
    one does not stop the others; the exit code is then 1. What exists is not
    replaced unless --overwrite says so.

    Videos keep their time stamps, rotation, aspect and colours; sound, subtitles and chapters
    are copied. What is as in the frame before is not computed again. (extra: video)

    Frames can come through a pipe: `-` reads them from stdin, `-o -` writes them to
    stdout, raw rgb24 (with --size) or PNG or PPM images, as they came.

    Examples:

    ailsr-upscale sesr_m5_x2_int8.tflite photo.jpg -o photo_x2.png

    ailsr-upscale sesr_m5_x2_float32.onnx holiday/ -o upscaled/ --max-memory 512M

    ailsr-upscale --auto sesr_m5_x2.tflite sesr_m5_photo_x2.tflite holiday/ -o upscaled/

    ailsr-upscale sesr_m5_x2_int8.tflite film.mp4 -o film_x2.mp4 --scale-to 1080p

    ffmpeg -i in.mp4 -f image2pipe -c:v ppm - | ailsr-upscale sesr_m5_x2_int8.tflite - -o - |
    ffmpeg -f image2pipe -c:v ppm -r 25 -i - out.mp4
    """

    model: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Exported file: .onnx or .tflite (.mlpackage with the export extra). Or zoo:NAME, "
            "a network that comes with ailsr: with the export extra it is exported once, in "
            "float32, and kept in ~/.cache/ailsr/zoo. With --auto two of them.",
        ),
    ]
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="Images (PNG, JPEG, WebP, TIFF, ...), folders of them, one video, or - for a "
            "pipe.",
        ),
    ]
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="For one image the file to write: .png, .jpg, .webp, .tif or .bmp. For several, "
            "or without such an ending, a folder, which gets <name>_x<scale>.png for each; "
            "a.jpg and a.png become a.jpg_x<scale>.png and a.png_x<scale>.png. For a video .mp4, "
            ".m4v, .mov, .mkv or .webm. - for a pipe.",
        ),
    ]
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads. (default: all cores)")
    ] = None
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Of the frames in a pipe, when they are raw rgb24."),
    ] = None
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Most resident memory, as in 512M or 2G: decides the tile size (where the file "
            "allows), the engines that run at once, and what is put into temporary files beside "
            "the output. Best with PNG, which is read and written in bands; other formats are "
            "held whole. (default: no limit, but about 1G for decoding an image)",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace files that exist; without it, an image whose output exists fails. An "
            "image that is to be upscaled is never replaced.",
        ),
    ] = False
    engine: Annotated[
        list[str],
        typer.Option(
            help="What runs files of an ending: onnx=cuda, tensorrt, directml, coreml, openvino, "
            "qnn, xnnpack, webgpu or cpu; tflite=litert, compiled, gpu or npu. onnx=auto, "
            "tflite=auto, or auto for both: the fastest that computes the file rightly here, "
            "measured once. What computes the file is said on stderr. Repeatable.",
            metavar="ENDING=ENGINE",
            show_default="the CPU",
        ),
    ] = field(default_factory=list)
    auto: Annotated[
        bool,
        typer.Option(
            "--auto",
            help="Take for each image the one of two FILEs that suits it: a network that has seen "
            "clean images, and one that was trained on degraded ones, as their cards tell. Of one "
            f"FILE, the zoo's network for photographs is the other. JPEG quality {LOW_QUALITY} or "
            f"less, or noise of {NOISY:g} levels or more, takes the latter; stderr and --json say "
            "which was taken.",
        ),
    ] = False
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Of a video: from here on, as in 90, 1:30 or 0:01:30.5."),
    ] = None
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a video: up to here, as with --start.")
    ] = None
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Of a video: {', '.join(CODECS)}. (default: h264, in .webm vp9)",
        ),
    ] = None
    crf: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Quality of a video: less is better and larger. (default: "
            + ", ".join(f"{n} {c.crf}" for n, c in CODECS.items() if c.crf is not None)
            + ")",
        ),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The encoder's time against bytes of a video: for h264 and hevc ultrafast to "
            "placebo, for av1 13 to 0, for vp9 (its cpu-used) 5 to 0. (default: "
            + ", ".join(f"{n} {c.preset}" for n, c in CODECS.items() if c.preset is not None)
            + ")",
        ),
    ] = None
    scale_to: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Fit a video into this size, as in 1080p (16:9, or upright 9:16) or 1920x1080, "
            "by bicubic interpolation after the network. (default: the network's size)",
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a video that was interrupted, or join what --part made: its finished "
            "segments are in OUT.parts.",
        ),
    ] = False
    part: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Make only this part of the images, as in 3/16, or of a video's segments, into "
            "OUT.parts; then --resume joins all.",
        ),
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON, with notes and errors.")
    ] = False


def is_video_wanted(config: Config) -> bool:
    """True when ``config`` asks for a video. Raises UsageError where half of it does."""
    if is_video(config.output):
        return True
    if any(is_video(path) for path in config.images):
        name = next(path for path in config.images if is_video(path)).stem
        raise UsageError(f"a video becomes a video: give -o {name}_large.mp4, .mov, .mkv or .webm")
    if found := [name for name in VIDEO_OPTIONS if name in given()]:
        raise UsageError(f"--{found[0].replace('_', '-')} is for videos: give -o OUT.mp4")
    return False


def ran_on(pool: EnginePool) -> dict[str, Any]:
    """What has run the file, for ``--json``; of operators where an engine was asked for."""
    found: dict[str, Any] = {"engine": pool.engine_name}
    if pool.backends is not None:
        found["backends"] = [asdict(backend) for backend in pool.backends]
        found["fallback"] = fallback(pool.backends)
    return found
