"""Frames a second of a video: of the network alone, of ailsr-upscale, and of FFmpeg's bicubic.

    python benchmarks/video_speed.py exported/sesr_m3_x2_int8.tflite

Two clips of 640×360 are made of a photograph that comes with scikit-image: a pan over it, in which
every pixel changes, and a still scene in which a square moves, as in a screen recording.
ailsr-upscale decodes, upscales and encodes; FFmpeg's scale=flags=bicubic stands between the same
decoder and the same encoder. Processor time is given beside, which other work on the machine
changes less, and where it goes, of each clip: decoding, the colours in, the network, the colours
out, the encoder, and the rest (copies, queues, joining), which is what the parts alone leave of the
whole.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import av
import numpy as np
import skimage.data
import typer

from ailsr.runtime.commands.command import entry_point, print_json, print_table, stdout
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.imaging.rgb_image import Rgb
from ailsr.runtime.sides import parse_sides
from ailsr.runtime.upscaling.engine_pool import EnginePool
from ailsr.runtime.video.codecs import CODECS
from ailsr.runtime.video.colors import Reader, Writer
from ailsr.runtime.video.decoder import decode
from ailsr.runtime.video.encoder import Encoder, Encoding
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
    preset: Annotated[
        str | None, typer.Option(help="Of the encoder.", show_default=str(H264.preset))
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False


def main(config: VideoSpeed) -> None:
    """Print frames a second."""
    width, height = parse_sides(config.size)
    pool = EnginePool(config.file, config.threads or available_cores())
    settings = H264.settings(preset=config.preset)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for clip, frames in (("pan", _pan), ("still scene", _still)):
            path = Path(folder, f"{clip}.mp4")
            _encode(path, frames(height, width, config.frames))
            source = open_source(path)
            found += _measure(clip, source, pool, config, settings, Path(folder))
    if config.json:
        print_json(found)
        return
    lines = []
    for row in found:
        cells = [""] * 5
        cells[2] = f"{row['cpu_ms']:.1f}"
        if row["what"] in ("network alone", "ailsr-upscale", "FFmpeg's bicubic"):
            cells[0], cells[1] = f"{row['frames_per_s']:.1f}", f"{row['of_network']:.2f}"
        if row["what"] == "ailsr-upscale":
            cells[3], cells[4] = f"{row['network_share']:.2f}", f"{row['saved']:.0%}"
        lines.append([row["clip"], row["what"], *cells])
    print_table(
        ["clip", "", "frames/s", "of the network's", "processor ms", "of it network", "saved"],
        lines, names=2,
    )  # fmt: skip
    stdout.print(f"H.264, preset {settings['preset']}, crf {settings['crf']}; processor ms a frame")


def _measure(
    clip: str,
    source: Source,
    pool: EnginePool,
    config: VideoSpeed,
    settings: dict[str, str],
    folder: Path,
) -> Iterator[dict[str, Any]]:
    layout = layout_of(source, pool)
    decoded = [f for s in cut(source, None, None) for f in decode(source, s, layout)]
    pixels = [frame.pixels for frame in decoded]
    count = len(decoded)
    pool.fit_frames(source.size)
    large = list(pool.frames(pixels[: min(8, len(pixels))]))
    size = (source.size[0] * pool.scale // 2 * 2, source.size[1] * pool.scale // 2 * 2)
    encoding = Encoding(
        H264, settings, size, source.rate, 1 / source.rate, source.colors, source.aspect, layout
    )
    saved = 0.0

    def network() -> None:
        for _ in pool.frames(pixels):
            pass

    def upscale() -> None:
        nonlocal saved
        request = Request(folder / "large.mp4", "h264", H264, preset=config.preset)
        run = Run(source, pool, request)
        run.parts.open(go_on=False, anew=True)
        saved = run.make(run.segments).savings.share
        run.join()

    def bicubic() -> None:
        _bicubic(source, encoding, folder / "bicubic.nut")

    def decoding() -> None:
        for _ in _decoded(source):
            pass

    def colors_in() -> None:
        reader = Reader(source.colors, layout)
        for frame in _decoded(source):
            reader.read(frame)

    def colors_out() -> None:
        writer = Writer(source.colors, size, layout)
        for n, frame in enumerate(decoded):
            writer.write(large[n % len(large)], frame.planes)

    wholes: dict[str, Callable[[], None]] = {
        "network alone": network,
        "ailsr-upscale": upscale,
        "FFmpeg's bicubic": bicubic,
    }
    rows = {what: _timed(whole, config.times, count) for what, whole in wholes.items()}
    for what, row in rows.items():
        yield {
            "clip": clip,
            "what": what,
            **row,
            "saved": saved if what == "ailsr-upscale" else 0.0,
            "of_network": row["frames_per_s"] / rows["network alone"]["frames_per_s"],
            "network_share": rows["network alone"]["cpu_ms"] * (1 - saved) / row["cpu_ms"],
            "preset": settings["preset"],
        }
    with av.open(str(folder / "large.mp4")) as made:
        yuv = list(made.decode(video=0))

    def encode() -> None:
        _write(folder / "encoded.nut", yuv, encoding)

    decode_ms = _timed(decoding, config.times, count)["cpu_ms"]
    read_ms = _timed(colors_in, config.times, count)["cpu_ms"]
    parts = {
        "decoding": decode_ms,
        "colours in": read_ms - decode_ms,
        "network": rows["network alone"]["cpu_ms"] * (1 - saved),
        "colours out": _timed(colors_out, config.times, count)["cpu_ms"],
        "encoding": _timed(encode, config.times, count)["cpu_ms"],
    }
    parts["the rest"] = rows["ailsr-upscale"]["cpu_ms"] - sum(parts.values())
    for part, ms in parts.items():
        yield {"clip": clip, "what": f"of it {part}", "cpu_ms": ms}


def _timed(call: Callable[[], None], times: int, frames: int) -> dict[str, float]:
    """Frames a second, and milliseconds of processor time a frame."""
    call()  # engines that are opened, and caches
    wall, cpu = [], []
    for _ in range(times):
        began, busy = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - busy)
    return {"frames_per_s": frames / median(wall), "cpu_ms": 1000 * median(cpu) / frames}


def _decoded(source: Source) -> Iterator[av.VideoFrame]:
    with av.open(str(source.path)) as container:
        stream = container.streams[source.stream]
        stream.codec_context.thread_count = 1
        yield from container.decode(stream)


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


def _write(path: Path, frames: Iterable[av.VideoFrame], encoding: Encoding) -> None:
    """Encode ``frames`` as ailsr-upscale does."""
    with Encoder(path, encoding) as encoder:
        for number, frame in enumerate(frames):
            frame.pict_type = 0  # the encoder's own choice, not that of the decoded stream
            encoder.encode(frame, number)


def _bicubic(source: Source, encoding: Encoding, path: Path) -> None:
    """What ffmpeg -vf scale=flags=bicubic does."""
    with av.open(str(source.path)) as given:
        video = given.streams[source.stream]
        graph = av.filter.Graph()
        height, width = encoding.size
        graph.link_nodes(
            graph.add_buffer(template=video, time_base=Fraction(video.time_base)),
            graph.add("scale", f"{width}:{height}:flags=bicubic"),
            graph.add("buffersink"),
        ).configure()

        def scaled() -> Iterator[av.VideoFrame]:
            for frame in given.decode(video):
                graph.vpush(frame)
                yield graph.vpull()

        _write(path, scaled(), encoding)


cli = entry_point(VideoSpeed, main)

if __name__ == "__main__":
    cli()
