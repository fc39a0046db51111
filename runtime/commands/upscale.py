"""``ailsr-upscale``: images or frames in, larger ones out."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from ailsr.runtime.commands.command import entry_point, message, print_json, progress, stdout
from ailsr.runtime.commands.upscale_options import Config, is_video_wanted, ran_on
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.named_files import prefix_of
from ailsr.runtime.engines.registry import chosen_engines
from ailsr.runtime.errors import AilsrError, ImageError, UsageError
from ailsr.runtime.formats import FORMATS
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.resize import enlarge_rows
from ailsr.runtime.imaging.rows import Rows
from ailsr.runtime.imaging.transparency import Filled, OnWhite
from ailsr.runtime.memory import parse_size, peak_memory_bytes
from ailsr.runtime.sides import parse_sides
from ailsr.runtime.upscaling.bands import Band
from ailsr.runtime.upscaling.frames import FrameWriter, read_frames
from ailsr.runtime.upscaling.memory_policy import rows_at_a_time
from ailsr.runtime.upscaling.networks import Networks, open_pool
from ailsr.runtime.upscaling.outputs import Job, Outputs, plan_folder
from ailsr.runtime.upscaling.part import Part
from ailsr.runtime.upscaling.sequence import Savings


def main(config: Config) -> None:
    """Upscale each image; raise the error of a single one, or ImageError after several."""
    limit = None if config.max_memory is None else parse_size(config.max_memory)
    files, config = _files(config)
    if Path("-") in (*config.images, config.output):
        if config.auto:
            raise UsageError("--auto is for images: name the one FILE for the frames of a pipe")
        _upscale_pipe(config, limit)
        return
    if is_video_wanted(config):
        from ailsr.runtime.commands import upscale_video  # images need none of FFmpeg

        upscale_video.main(config, files[0], limit)
        return
    if config.size is not None:
        raise UsageError("--size is that of raw frames in a pipe: use - for IMAGE and for -o")
    jobs = [job for path in config.images for job in _pictures(path)]
    if len(jobs) == 1 and jobs[0].error:
        raise jobs[0].error
    folder = _is_folder(config, len(jobs))
    part = None if config.part is None else Part.parse(config.part)
    if part and not folder:
        raise UsageError("--part is of several images or a video: give -o a folder")
    jobs = list({job.source.absolute(): job for job in jobs}.values())  # named twice, made once
    outputs = Outputs([job.source for job in jobs], config.overwrite)
    if not folder:
        image.check_ending(config.output)
        outputs.check(jobs[0].source, config.output)
        jobs = [Job(jobs[0].source, config.output)]
    threads = config.threads or available_cores()
    engines = chosen_engines(config.engine)
    networks = Networks.open(files, config.auto, threads, limit, message, engines)
    if folder:
        jobs = plan_folder(jobs, config.output, networks.scale, outputs)
        jobs = part.share(jobs) if part else jobs
    results = _upscale_all(config, networks, jobs, outputs)
    if config.json:
        print_json(results, indent=2)
    if failed := sum("error" in result for result in results):
        raise ImageError(f"{failed} of {len(jobs)} images failed, as said above")


def _files(config: Config) -> tuple[list[Path], Config]:
    """The files of networks, and ``config`` with the images alone: --auto takes two files."""
    images = config.images
    if not config.auto or not _is_network(images[0]):
        return [config.model], config
    if not images[1:]:
        raise UsageError("--auto FILE FILE: name the images to upscale, too")
    return [config.model, images[0]], replace(config, images=images[1:])


def _is_network(path: Path) -> bool:
    return prefix_of(path) is not None or path.suffix.lower() in FORMATS


def _upscale_all(
    config: Config, networks: Networks, jobs: Sequence[Job], outputs: Outputs
) -> list[dict[str, Any]]:
    """The result of each of ``jobs``, for ``--json``. Raises the error of a single one."""
    results = []
    for job in jobs if len(jobs) > 1 else ():  # known before the long part
        if job.error:
            message(f"error: {job.error}")
    with progress() as bar:
        for job in jobs:
            try:
                if job.error or job.output is None:
                    raise job.error or UsageError(f"{job.source} has nowhere to go")
                outputs.check(job.source, job.output)
                result = _upscale(networks, job.source, job.output, bar)
                outputs.wrote(job.output)
            except (AilsrError, MemoryError) as error:
                if len(jobs) == 1:
                    raise
                reason = str(error) or f"{job.source}: out of memory: try --max-memory"
                if not job.error:
                    message(f"error: {reason}")
                result = {"input": str(job.source), "error": reason}
            results.append(result)
            if not config.json and "output" in result:
                stdout.print(result["output"], soft_wrap=True)
    return results


def _pictures(path: Path) -> list[Job]:
    """The images that ``path`` stands for, or why there are none."""
    if not path.is_dir():
        return [Job(path)]
    try:
        if note := image.list_folder(path).note:
            message(note)
        return [Job(picture) for picture in image.list_images(path)]
    except ImageError as error:
        return [Job(path, error=error)]


def _is_folder(config: Config, count: int) -> bool:
    """True when ``--output`` is a folder. Raises UsageError when that does not fit the images."""
    output = config.output
    several = count > 1 or config.images[0].is_dir()
    if output.is_dir() or (not several and not output.suffix and not output.exists()):
        return True
    if several and (output.exists() or output.suffix in image.WRITE_OPTIONS):
        raise UsageError(
            f"{count} images need a folder to go to, and {output} is a file: "
            f"use -o {output.with_suffix('')}/"
        )
    return several


def _upscale(networks: Networks, source: Path, output: Path, bar: Progress) -> dict[str, Any]:
    """Upscale the image at ``source`` into ``output``; what was done, for ``--json``."""
    started = time.perf_counter()
    ending = output.suffix.lower()
    folder = next(parent for parent in output.absolute().parents if parent.is_dir())
    picture = image.read_image(
        source, keep_profile=ending in image.PROFILE_ENDINGS, limit=networks.make_room(folder)
    )
    pool, why = networks.suited(picture)
    if said := f"{pool.path.name} ({why})" if why else networks.advice(picture):
        message(f"{source}: {said}")
    notes, rows, kept = list(picture.notes), picture.rgb, False
    if picture.alpha is not None:
        kept = ending in image.ALPHA_ENDINGS
        reach = pool.radius + 2  # what alpha by cubic interpolation makes visible
        rows = Filled(rows, picture.alpha, reach) if kept else OnWhite(rows, picture.alpha)
        notes.append(
            ("alpha kept" if pool.scale == 1 else "alpha upscaled by bicubic interpolation")
            if kept
            else f"alpha dropped, put on white ({output.suffix} holds none)"
        )
    exif = picture.exif
    if exif and len(exif) > image.LONGEST_EXIF.get(ending, len(exif)):
        notes.append(f"EXIF data dropped: {len(exif)} bytes, {ending} holds 64 kB")
        exif = None
    for note in notes:
        message(f"{source}: {note}")
    size = (picture.size[0] * pool.scale, picture.size[1] * pool.scale)
    pool.fit(picture.size, writing=image.writing_bytes(output, size), alpha=kept)
    task = bar.add_task(source.name, total=None, note="")
    try:
        with image.writer(
            output,
            size,
            alpha=kept,
            profile=picture.profile,
            exif=exif,
        ) as writer:
            for band in pool.bands(
                [rows], lambda what, done, of: bar.update(task, completed=done, total=of)
            ):
                _write_band(writer, band, picture.alpha if kept else None, pool.scale)
    finally:
        bar.remove_task(task)
    return {
        "input": str(source),
        "output": str(output),
        **({} if why is None else {"network": str(pool.path), "condition": why}),
        **ran_on(pool),
        "width": size[1],
        "height": size[0],
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_bytes": peak_memory_bytes(),
        "notes": notes,
    }


def _write_band(writer: image.Writer, band: Band, alpha: Rows | None, scale: int) -> None:
    """Write ``band`` with its part of the enlarged ``alpha``, a few rows at a time."""
    step = rows_at_a_time(band.pixels.shape[1])
    for start in range(band.rows.start, band.rows.stop, step):
        rows = slice(start, min(start + step, band.rows.stop))
        opacity = None if alpha is None else enlarge_rows(alpha, scale, rows)
        writer.write(band.pixels[rows.start - band.rows.start :][:step], opacity)


def _upscale_pipe(config: Config, limit: int | None) -> None:
    """Frames from stdin to stdout."""
    if [Path("-")] != config.images or config.output != Path("-"):
        raise UsageError("a pipe is read and written on its own: use - for IMAGE and -o -")
    if config.json:
        raise UsageError("stdout holds the frames: --json does not go with -o -")
    if sys.stdin.isatty() or sys.stdout.isatty():
        raise UsageError("- stands for a pipe of frames: see the example in --help")
    size = None if config.size is None else _size(config.size)
    threads = config.threads or available_cores()
    pool = open_pool(config.model, threads, limit, message, chosen_engines(config.engine))
    kind, frames = read_frames(sys.stdin.buffer, size, message, pool.frame_bytes())
    first = next(frames)
    output = FrameWriter(sys.stdout.buffer, kind)
    pool.fit_frames((first.shape[0], first.shape[1]))
    started = time.perf_counter()
    with progress() as bar:
        task = bar.add_task("frames", total=None, note="")
        whole = itertools.chain([first], frames)
        for number, rgb in enumerate(pool.frames(whole, Savings()), 1):
            output.write(rgb, first=True, last=True, height=len(rgb))
            rate = number / (time.perf_counter() - started)
            bar.update(task, completed=number, note=f"{rate:.1f} frames/s")


def _size(text: str) -> tuple[int, int]:
    """(height, width) of ``WxH``. Raises UsageError."""
    try:
        width, height = parse_sides(text)
    except ValueError:
        raise UsageError(
            f"--size {text}: write width x height of the frames, up to 99999 each, as in 640x360"
        ) from None
    return height, width


cli = entry_point(Config, main)
