"""Joins segments to one file, with the sound, the subtitles and the chapters of the source.

Nothing is encoded again. Packets are written in the order of their times, so that no more than a
few are held.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from ailsr.runtime.errors import ImageError, UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.video.codecs import ENDINGS
from ailsr.runtime.video.library import av, told
from ailsr.runtime.video.segments import Segment
from ailsr.runtime.video.source import Source, time_of

_OF_WRITERS = (
    "encoder", "handler_name", "vendor_id", "duration", "major_brand", "minor_version",
    "compatible_brands", "number_of_frames", "number_of_bytes", "bps", "_stat",
)  # fmt: skip
Timed = tuple[Fraction, int, Any]
"""Seconds, which of two streams comes first at the same time, and the packet."""


def check_copied(source: Source, output: Path) -> list[str]:
    """What of the sound and the subtitles goes into ``output``, in words.

    Raises UsageError for a codec that files like it do not hold.
    """
    kind, found = ENDINGS[output.suffix.lower()][0], []
    holds = av.format.ContainerFormat(kind, "w")
    with told(source.path), av.open(str(source.path)) as container:
        for stream in _copied(container):
            codec = stream.codec_context.codec.canonical_name
            with av.open(_Nowhere(), "w", format=holds.name) as trial:
                try:
                    trial.add_stream_from_template(stream, opaque=True)
                except ValueError:
                    raise UsageError(
                        f"{output.suffix} files hold no {stream.type} in {codec}, as "
                        f"{source.path} has: name the output {output.with_suffix('.mkv')}"
                    ) from None
            found.append(f"{stream.type} ({codec})")
    return found


def join(
    source: Source,
    segments: Sequence[Segment],
    files: Sequence[Path],
    output: Path,
    start: int | None = None,
) -> None:
    """Write ``files``, one for each of ``segments``, to ``output``.

    Time ``start`` of the source, in its ticks, becomes 0, and what is before it goes; None: that at
    which the file starts. Raises ImageError when there is not one frame.
    """
    limits = (start, segments[-1].end)
    start = source.start if start is None else start
    kept = [(s, f) for s, f in zip(segments, files, strict=True) if f.stat().st_size]
    if not kept:
        raise ImageError(f"no frame of {source.path} could be decoded")
    kind, options = ENDINGS[output.suffix.lower()]
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(atomic_output(output))
        stack.enter_context(told(output, "cannot be joined"))
        given = stack.enter_context(av.open(str(source.path)))
        made = stack.enter_context(
            av.open(str(path), "w", format=kind, options={"fflags": "+bitexact", **options})
        )
        first = stack.enter_context(av.open(str(kept[0][1])))
        stream = made.add_stream_from_template(first.streams.video[0], opaque=True)
        stream.codec_context.sample_aspect_ratio = source.aspect
        if kind != "matroska" and stream.codec_context.name == "hevc":
            stream.codec_context.codec_tag = "hvc1"  # the one that Apple's players take
        if source.rotation is not None:
            stream.set_display_matrix(source.rotation)
        made.metadata.update(_kept(given.metadata))
        stream.metadata.update(_kept(given.streams[source.stream].metadata))
        copies = {}
        for old in _copied(given):
            index = old.index
            copies[index] = new = made.add_stream_from_template(old, opaque=True)
            new.metadata.update(_kept(old.metadata))
            new.disposition = old.disposition
        if kind == "matroska":
            for attached in given.streams.attachments:  # fonts of subtitles
                made.add_stream_from_template(attached)
        _copy_chapters(given, made, source, start, segments[-1].end)
        video = _video(source, kept, stream, start)
        others = _others(given, copies, source, start, limits)
        for _, _, packet in heapq.merge(video, others, key=lambda timed: timed[:2]):
            made.mux_one(packet)


def _copied(container: av.container.InputContainer) -> list[av.stream.Stream]:
    return [
        stream
        for stream in container.streams
        if stream.type in ("audio", "subtitle") and stream.codec_context is not None
    ]


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    """Without what the file's old writer said of itself."""
    return {k: v for k, v in metadata.items() if not k.lower().startswith(_OF_WRITERS)}


def _video(
    source: Source,
    kept: Sequence[tuple[Segment, Path]],
    stream: av.VideoStream,
    start: int,
) -> Iterator[Timed]:
    """The packets of all segments. A packet is decoded ``delay`` frames before it is shown."""
    delay = max(_delay(_times(path, source)) for _, path in kept)
    before: list[int] = []  # the last ``delay`` time stamps, in the order of showing
    for n, (segment, path) in enumerate(kept):
        times = _times(path, source)
        shown = sorted(times)
        following = kept[n + 1][0].start if n + 1 < len(kept) else segment.end
        if not before:
            step = shown[1] - shown[0] if len(shown) > 1 else 1
            before = [shown[0] - step * k for k in range(delay, 0, -1)]
        decoded, number = [*before, *shown], 0
        before = decoded[len(decoded) - delay :]
        lasting = dict(zip(shown, [*shown[1:], following], strict=True))
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                time = _ticks(packet, source)
                packet.time_base, packet.stream = source.time_base, stream
                packet.duration = max(lasting[time] - time, 1)
                packet.pts, packet.dts = time - start, decoded[number] - start
                number += 1
                yield packet.dts * source.time_base, 0, packet


def _times(path: Path, source: Source) -> list[int]:
    """The time stamps in the file of a segment, in ticks of the source, in decoding order."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.video[0])
        return [_ticks(packet, source) for packet in packets if packet.size]


def _ticks(packet: av.Packet, source: Source) -> int:
    time: int = round(packet.pts * packet.time_base / source.time_base)  # exact: NUT's are finer
    return time


def _delay(times: list[int]) -> int:
    """Frames by which decoding has to be ahead of showing."""
    rank = {time: n for n, time in enumerate(sorted(times))}
    return max(n - rank[time] for n, time in enumerate(times))


def _others(
    container: av.container.InputContainer,
    copies: dict[int, av.stream.Stream],
    source: Source,
    start: int,
    limits: tuple[int | None, int],
) -> Iterator[Timed]:
    """The packets of the other streams between ``limits``, moved so that ``start`` is 0."""
    if not copies:
        return
    zero, end = start * source.time_base, limits[1] * source.time_base
    first = None if limits[0] is None else limits[0] * source.time_base
    if first is not None:
        container.seek(int(first * 1_000_000), backward=True)
    ended = set[int]()
    last = Fraction(-(1 << 30))  # what follows is not before what came
    with contextlib.suppress(av.error.FFmpegError):  # a file that was cut short
        for packet in container.demux([container.streams[index] for index in copies]):
            time = time_of(packet)
            if not packet.size or time is None:
                continue
            seconds = time * packet.time_base
            if seconds >= end:
                ended.add(packet.stream_index)
                if ended == set(copies):
                    return
            elif first is None or seconds >= first:
                moved = round(zero / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - moved
                packet.dts = None if packet.dts is None else packet.dts - moved
                packet.stream = copies[packet.stream_index]
                last = max(last, seconds - zero)
                yield last, 1, packet


def _copy_chapters(
    given: av.container.InputContainer,
    made: av.container.OutputContainer,
    source: Source,
    start: int,
    end: int,
) -> None:
    """Those that begin between ``start`` and ``end``, moved so that ``start`` is 0."""
    zero, last = start * source.time_base, end * source.time_base
    chapters = []
    for chapter in given.chapters():
        base = chapter["time_base"]
        if zero <= chapter["start"] * base < last:
            times = (chapter["start"] * base, min(chapter["end"] * base, last))
            begin, stop = (int((time - zero) / base) for time in times)
            chapters.append({**chapter, "start": begin, "end": stop})
    if chapters:
        made.set_chapters(chapters)


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, data: bytes) -> int:
        return len(data)
