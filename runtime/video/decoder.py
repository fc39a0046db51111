"""The frames of a segment, decoded on their own. What cannot be decoded repeats the frame before.

One thread decodes: with several, errors are told with other frames than theirs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ailsr.runtime.card import Layout
from ailsr.runtime.engines.layouts import CHANNELS, Levels
from ailsr.runtime.errors import ImageError
from ailsr.runtime.video.colors import Reader
from ailsr.runtime.video.library import av, told
from ailsr.runtime.video.segments import Segment
from ailsr.runtime.video.source import Source, time_of


@dataclass(frozen=True)
class Frame:
    """A decoded frame."""

    time: int
    """Its time stamp, in ticks of the source."""
    pixels: Levels
    """H×W×3 RGB, or H×W×1 luma."""
    concealed: bool
    """It was broken: its pixels are those of its neighbour."""
    planes: av.VideoFrame | None = None
    """As it was decoded, where the pixels hold luma alone: it has the chroma."""


def decode(source: Source, segment: Segment, layout: Layout = "rgb") -> Iterator[Frame]:
    """The frames of ``segment``, in the order of their time stamps, which increase strictly, as
    networks of ``layout`` take them.

    A broken frame shows the last one that is not, at the beginning of a segment the next one.
    Raises ImageError where frames change their size.
    """
    reader = Reader(source.colors, layout)
    broken: list[int] = []  # a heap of time stamps
    last: Frame | None = None
    shown: int | None = None

    def concealed(before: int, neighbour: Frame) -> Iterator[Frame]:
        nonlocal shown
        while broken and broken[0] < before:
            time = heapq.heappop(broken)
            if shown is None or time > shown:
                shown = time
                yield replace(neighbour, time=time, concealed=True)

    for time, frame in _decoded(source, segment):
        if time < segment.start:
            continue
        if time >= segment.end:
            if frame is None:  # earlier ones may come after it
                continue
            break
        if frame is None or frame.is_corrupt:
            heapq.heappush(broken, time)
            continue
        if (frame.height, frame.width) != source.size:
            raise ImageError(
                f"{source.path} changes from {source.size[1]}x{source.size[0]} to {frame.width}x"
                f"{frame.height} at {source.seconds(time - source.start):.3f} s: upscale each "
                "part with --start and --end"
            )
        planes = frame if CHANNELS[layout] == 1 else None
        read = Frame(time, reader.read(frame), False, planes)
        yield from concealed(time, last or read)
        last = read
        if shown is None or time > shown:
            shown = time
            yield read
    if last is not None:
        yield from concealed(segment.end, last)


def _decoded(source: Source, segment: Segment) -> Iterator[tuple[int, av.VideoFrame | None]]:
    """Time stamps and frames from before ``segment`` on, None for those that cannot be decoded."""
    with told(source.path), av.open(str(source.path)) as container:
        stream = container.streams[source.stream]
        stream.codec_context.thread_count = 1
        if segment.seek is not None:
            container.seek(segment.seek, stream=stream, backward=True)
        packets = container.demux(stream)
        first = True
        time = segment.start
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                break  # the end, or that of a file that was cut short
            found = time_of(packet)
            time = time if found is None else found
            if first and packet.size and segment.seek is not None and time > segment.start:
                # The file's index leads elsewhere: decode from its beginning.
                whole = Segment(segment.number, segment.start, segment.end, None)
                yield from _decoded(source, whole)
                return
            first = False
            try:
                for frame in packet.decode():
                    stamp = frame.pts if frame.pts is not None else frame.dts
                    yield (time if stamp is None else stamp), frame
            except av.error.FFmpegError:
                yield time, None
