"""``ailsr-upscale`` of a video file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ailsr.runtime.commands.command import message, print_json, progress, stdout
from ailsr.runtime.commands.upscale_options import Config, ran_on
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.registry import chosen_engines
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import check_output
from ailsr.runtime.memory import peak_memory_bytes
from ailsr.runtime.upscaling.networks import open_pool
from ailsr.runtime.upscaling.outputs import Outputs
from ailsr.runtime.upscaling.part import Part
from ailsr.runtime.video.codecs import codec_for
from ailsr.runtime.video.join import check_copied
from ailsr.runtime.video.run import Outcome, Request, Run, parse_box
from ailsr.runtime.video.segments import parse_time
from ailsr.runtime.video.source import open_source


def main(config: Config, file: Path, limit: int | None) -> None:
    """Upscale the one video of ``config``, or a part of it."""
    request, part = _request(config)
    source_path, output = config.images[0], config.output
    outputs = Outputs([source_path], config.overwrite)
    outputs.check(source_path, output)
    check_output(output)
    source = open_source(source_path, lambda note: message(f"{source_path}: {note}"))
    copied = check_copied(source, output)
    threads, engines = config.threads or available_cores(), chosen_engines(config.engine)
    pool = open_pool(file, threads, limit, message, engines)
    run = Run(source, pool, request)
    run.parts.open(go_on=config.resume or part is not None, anew=config.overwrite)
    segments = run.segments if part is None else part.share(run.segments)
    began = time.perf_counter()
    try:
        outcome = _make(run, segments, str(source_path))
    except BaseException:
        if len(run.parts.missing(run.segments)) < len(run.segments):
            message(f"{run.parts.folder} keeps the segments that are finished: --resume goes on")
        elif part is None:
            run.parts.remove()
        raise
    seconds = time.perf_counter() - began
    if part is None:
        outputs.check(source_path, output)
        run.join()
    message(_closing(config, run, outcome, seconds))
    if config.json:
        print_json(_result(config, run, outcome, seconds, copied), indent=2)
    elif part is None:
        stdout.print(str(output), soft_wrap=True)


def _request(config: Config) -> tuple[Request, Part | None]:
    """What the options ask for. Raises UsageError."""
    if len(config.images) > 1 or config.images[0].is_dir():
        raise UsageError("one video at a time: name one for IMAGE")
    if config.auto:
        raise UsageError("--auto is for images: name the one FILE for a video")
    if config.size is not None:
        raise UsageError("--size is that of raw frames in a pipe, not of a video: see --scale-to")
    name, codec = codec_for(config.codec, config.output)
    codec.settings(config.crf, config.preset)
    request = Request(
        output=config.output,
        codec_name=name,
        codec=codec,
        crf=config.crf,
        preset=config.preset,
        start=None if config.start is None else parse_time(config.start, "--start"),
        end=None if config.end is None else parse_time(config.end, "--end"),
        box=None if config.scale_to is None else parse_box(config.scale_to),
    )
    return request, None if config.part is None else Part.parse(config.part)


def _make(run: Run, segments: list[Any], name: str) -> Outcome:
    began = time.perf_counter()
    with progress() as bar:
        task = bar.add_task(name, total=None, note="")

        def show(what: str, done: float, of: float) -> None:
            rate = done / (time.perf_counter() - began)
            bar.update(task, completed=done, total=of, note=f"{rate:.1f} {what}/s")

        return run.make(segments, show)


def _closing(config: Config, run: Run, outcome: Outcome, seconds: float) -> str:
    words = [f"{outcome.frames} frames"]
    if outcome.frames:
        words[0] += f" at {outcome.frames / seconds:.1f} frames/s"
        words.append(f"{outcome.savings.share:.0%} not computed, as it had not changed")
    if outcome.concealed:
        broken = "a broken frame shows its neighbour"
        many = f"{outcome.concealed} broken frames show their neighbours"
        words.append(broken if outcome.concealed == 1 else many)
    if config.part is not None and (left := run.parts.missing(run.segments)):
        words.append(f"{len(left)} of {len(run.segments)} segments are still to be made")
    elif config.part is not None:
        words.append("all segments are made: --resume joins them")
    return f"{config.output}: {'; '.join(words)}"


def _result(
    config: Config, run: Run, outcome: Outcome, seconds: float, copied: list[str]
) -> dict[str, Any]:
    return {
        "input": str(config.images[0]),
        "output": str(config.output),
        "width": run.size[1],
        "height": run.size[0],
        "frames": outcome.frames,
        "concealed_frames": outcome.concealed,
        "saved_share": round(outcome.savings.share, 4),
        "copied": copied,
        "colors": str(run.source.colors),
        **ran_on(run.pool),
        "segments": len(run.segments),
        "missing_segments": len(run.parts.missing(run.segments)) if config.part else 0,
        "seconds": round(seconds, 3),
        "peak_memory_bytes": peak_memory_bytes(),
    }
