"""A video file before it is upscaled: size, colours, time stamps, key frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ailsr.runtime.errors import ImageError
from ailsr.runtime.video.colors import Colors
from ailsr.runtime.video.library import av, check_installed, told

SEGMENT_SECONDS = 5
"""Least length of a segment: what an interrupted run may have to compute again."""


@dataclass(frozen=True)
class Key:
    """A key frame, from which decoding can start."""

    time: int
    """Its time stamp, in ticks of the time base."""
    seek: int
    """Where to look for it: its place in the order of decoding, in ticks."""


@dataclass(frozen=True)
class Source:
    """A video stream. All times are in ticks of its time base."""

    path: Path
    stream: int
    """Its number in the file."""
    time_base: Fraction
    """Seconds per tick."""
    size: tuple[int, int]
    """(height, width) of the decoded frames."""
    rate: Fraction
    """Frames per second, on the average."""
    aspect: Fraction
    """Width of a sample by its height."""
    rotation: tuple[int, ...] | None
    """FFmpeg's display matrix, by which players turn the frames; None: not at all."""
    colors: Colors
    keys: tuple[Key, ...]
    """Key frames that are ``SEGMENT_SECONDS`` apart or more; the first stands for the beginning."""
    start: int
    """Time 0 of the file, from which users count."""
    end: int
    """The time at which the last frame ends."""
    frames: int
    bytes: int
    """Size of the file."""

    def ticks(self, seconds: Fraction) -> int:
        """The time ``seconds`` after the start, in ticks."""
        return self.start + round(seconds / self.time_base)

    def seconds(self, ticks: int) -> float:
        """Length of ``ticks``."""
        return float(ticks * self.time_base)


def time_of(packet: av.Packet) -> int | None:
    """The time stamp of a packet; of its place in decoding where the file has no other."""
    time: int | None = packet.pts if packet.pts is not None else packet.dts
    return time


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The video among the streams of a file; not its cover. Raises ImageError: there is none."""
    covers = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    found = [s for s in container.streams.video if not s.disposition & covers]
    if not found:
        raise ImageError(f"{path} holds no video: name a file that does")
    best = container.streams.best("video")
    return best if best in found else found[0]


def open_source(path: Path, note: Callable[[str], None] = lambda _: None) -> Source:
    """What the video at ``path`` is. The file is read once, without decoding more than a frame.

    What will be lost is told to ``note``. Raises ImageError where no frame can be decoded or the
    video is not one of 8 bits, UsageError without PyAV.
    """
    check_installed()
    with told(path), av.open(str(path)) as container:
        stream = video_stream(container, path)
        stream.codec_context.thread_count = 1
        first = _first_frame(container, stream, path)
        colors = Colors.of(first, str(path), stream.codec_context.codec.canonical_name)
        if any(component.is_alpha for component in first.format.components):
            note("alpha dropped (videos are written without)")
        if first.interlaced_frame:
            note("its frames are interlaced, and are upscaled as they are: deinterlace it first")
        matrix = first.side_data.get("DISPLAYMATRIX")
        turned = None if matrix is None else tuple(map(int, np.frombuffer(bytes(matrix), np.int32)))
        index, declared = stream.index, stream.frames
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    with told(path), av.open(str(path)) as container:
        stream = container.streams[index]
        keys, end, frames = _scan(container, stream, rate)
        if frames < declared:
            note(f"it says that it has {declared} frames, and holds {frames}: it was cut short")
        start = container.start_time or 0  # in microseconds
        return Source(
            path=path,
            stream=index,
            time_base=stream.time_base,
            size=(first.height, first.width),
            rate=rate,
            aspect=stream.sample_aspect_ratio or Fraction(1),
            rotation=turned,
            colors=colors,
            keys=keys,
            start=round(Fraction(start, 1_000_000) / stream.time_base),
            end=end,
            frames=frames,
            bytes=path.stat().st_size,
        )


def _first_frame(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path
) -> av.VideoFrame:
    """The first frame that can be decoded."""
    reason: Exception | None = None
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                return frame
        except av.error.FFmpegError as error:
            reason = error
    raise ImageError(f"no frame of {path} can be decoded: {reason or 'it has none'}")


def _scan(
    container: av.container.InputContainer, stream: av.VideoStream, rate: Fraction
) -> tuple[tuple[Key, ...], int, int]:
    """The key frames, the end and the number of frames."""
    apart = round(SEGMENT_SECONDS / stream.time_base)
    lasting = round(1 / (rate * stream.time_base))
    keys: list[Key] = []
    end = frames = 0
    try:
        for packet in container.demux(stream):
            time = time_of(packet)
            if time is None or not packet.size or packet.is_discard:
                continue
            frames += 1
            ending = time + (packet.duration or lasting)
            end = ending if frames == 1 else max(end, ending)
            if packet.is_keyframe and (not keys or time - keys[-1].time >= apart):
                keys.append(Key(time, time if packet.dts is None else packet.dts))
    except av.error.FFmpegError:
        pass  # a file that was cut short: what is there counts
    return tuple(keys), end, frames
