"""Frames a second of a video: of the network alone, of ailsr-upscale, and of FFmpeg's bicubic.

    python benchmarks/video_speed.py exported/sesr_m3_x2_int8.tflite

Two clips of 640×360 are made of a photograph that comes with scikit-image: a pan over it, in which
every pixel changes, and a still scene in which a square moves, as in a screen recording.
ailsr-upscale decodes, upscales and encodes; FFmpeg's scale=flags=bicubic stands between the same
decoder and the same encoder. Processor time is given beside, which other work on the machine
changes less.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import av
import numpy as np
import skimage.data
import typer
from rich.table import Table

from ailsr.runtime.commands.command import entry_point, print_json, stdout
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.imaging.rgb_image import Rgb
from ailsr.runtime.sides import parse_sides
from ailsr.runtime.upscaling.engine_pool import EnginePool
from ailsr.runtime.video.codecs import CODECS
from ailsr.runtime.video.decoder import decode
from ailsr.runtime.video.run import Request, Run, layout_of
from ailsr.runtime.video.segments import cut
from ailsr.runtime.video.source import Source, open_source

H264 = CODECS["h264"]


@dataclass(frozen=True)
class VideoSpeed:
    """Measure frames a second of video through an exported file."""

    file: Annotated[Path, typer.Argument(help="Exported file.", metavar="FILE")]
    frames: Annotated[int, typer.Option(min=1, help="Of each clip.")] = 120
    size: Annotated[str, typer.Option(help="Of the clips.", metavar="WxH")] = "640x360"
    times: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 3
    threads: Annotated[int | None, typer.Option(min=1, help="(default: all cores)")] = None
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False


def main(config: VideoSpeed) -> None:
    """Print frames a second."""
    width, height = parse_sides(config.size)
    pool = EnginePool(config.file, config.threads or available_cores())
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for clip, frames in (("pan", _pan), ("still scene", _still)):
            path = Path(folder, f"{clip}.mp4")
            _encode(path, frames(height, width, config.frames))
            source = open_source(path)
            found += _measure(clip, source, pool, config.times, Path(folder))
    if config.json:
        print_json(found)
        return
    table = Table("clip", "", "frames/s", "processor ms per frame", "saved")
    for row in found:
        cells = (f"{row['frames_per_s']:.1f}", f"{row['cpu_ms']:.1f}", f"{row['saved']:.0%}")
        table.add_row(row["clip"], row["what"], *cells)
    stdout.print(table)


def _measure(
    clip: str, source: Source, pool: EnginePool, times: int, folder: Path
) -> Iterator[dict[str, Any]]:
    layout = layout_of(source, pool)
    decoded = [f.pixels for s in cut(source, None, None) for f in decode(source, s, layout)]
    pool.fit_frames(source.size)
    saved = 0.0

    def network() -> None:
        for _ in pool.frames(decoded):
            pass

    def upscale() -> None:
        nonlocal saved
        run = Run(source, pool, Request(folder / "large.mp4", "h264", H264))
        run.parts.open(go_on=False, anew=True)
        saved = run.make(run.segments).savings.share
        run.join()

    def bicubic() -> None:
        _bicubic(source, pool.scale, folder / "bicubic.mp4")

    parts: dict[str, Callable[[], None]] = {
        "network alone": network,
        "ailsr-upscale": upscale,
        "FFmpeg's bicubic": bicubic,
    }
    for what, part in parts.items():
        part()  # engines that are opened, and caches
        wall, cpu = [], []
        for _ in range(times):
            began, busy = time.perf_counter(), time.process_time()
            part()
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - busy)
        yield {
            "clip": clip,
            "what": what,
            "frames_per_s": len(decoded) / median(wall),
            "cpu_ms": 1000 * median(cpu) / len(decoded),
            "saved": saved if what == "ailsr-upscale" else 0.0,
        }


def _photograph(height: int, width: int) -> Rgb:
    photograph: Rgb = skimage.data.coffee()  # type: ignore[no-untyped-call]
    down, across = -(-2 * height // len(photograph)), -(-2 * width // photograph.shape[1])
    return np.tile(photograph, (down, across, 1))


def _pan(height: int, width: int, count: int) -> Iterator[Rgb]:
    photograph = _photograph(height, width)
    for n in range(count):
        top, left = n % height, 2 * n % width
        yield photograph[top : top + height, left : left + width]


def _still(height: int, width: int, count: int) -> Iterator[Rgb]:
    scene = _photograph(height, width)[:height, :width]
    side = height // 8
    for n in range(count):
        frame = scene.copy()
        left = 4 * n % (width - side)
        frame[side : 2 * side, left : left + side] = (200, 30, 30)
        yield frame


def _encode(path: Path, frames: Iterator[Rgb]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "16"})
        for n, rgb in enumerate(frames):
            if n == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts = n
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def _bicubic(source: Source, scale: int, path: Path) -> None:
    """What ffmpeg -vf scale=flags=bicubic does."""
    with av.open(str(source.path)) as given, av.open(str(path), "w") as made:
        video = given.streams[source.stream]
        stream = made.add_stream(H264.encoder, rate=source.rate, options=H264.settings(None))
        stream.height, stream.width = (side * scale for side in source.size)
        stream.codec_context.thread_count, stream.codec_context.thread_type = 4, "FRAME"
        graph = av.filter.Graph()
        size = f"{stream.width}:{stream.height}:flags=bicubic"
        graph.link_nodes(
            graph.add_buffer(template=video, time_base=Fraction(video.time_base)),
            graph.add("scale", size),
            graph.add("buffersink"),
        ).configure()
        for frame in given.decode(video):
            graph.vpush(frame)
            large = graph.vpull()
            large.pict_type = 0
            made.mux(stream.encode(large))
        made.mux(stream.encode(None))


cli = entry_point(VideoSpeed, main)

if __name__ == "__main__":
    cli()
