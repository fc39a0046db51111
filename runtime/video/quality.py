"""Metrics of a video whose frames are the originals, frame by frame: memory does not depend on its
length."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.errors import AilsrError, ImageError
from ailsr.runtime.imaging import protocol
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.degradation import BICUBIC, Degradation
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.metrics import METRICS, MetricName, Scores, shave
from ailsr.runtime.imaging.protocol import Pair, Protocol, Quality
from ailsr.runtime.imaging.resize import crop_to_multiple
from ailsr.runtime.video.clip import Clip
from ailsr.runtime.video.decoder import decode
from ailsr.runtime.video.meter import Meter
from ailsr.runtime.video.segments import Segment, cut, parse_time
from ailsr.runtime.video.source import Source, open_source


def open_clip(clip: Clip) -> tuple[Source, list[Segment]]:
    """The video of ``clip`` and its segments. Raises ImageError and UsageError as ``open_source``
    and ``cut`` do."""
    source = open_source(clip.path)
    start = None if clip.start is None else parse_time(clip.start, "--start")
    end = None if clip.end is None else parse_time(clip.end, "--end")
    return source, cut(source, start, end)


def judge_video(
    upscale: Callable[[Rgb], Rgb],
    clip: Clip,
    scale: int,
    comparison: Protocol,
    metrics: Sequence[MetricName],
    degradation: Degradation = BICUBIC,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Quality | None, dict[str, str]]:
    """The quality of ``upscale`` over the frames of ``clip``, each reduced by ``degradation``; or
    why there is none, by the video's name.

    ``tick`` is called with (frames done, about how many there are) before each.
    """
    name = clip.path.name
    try:
        protocol.check_degraded(scale, degradation)
        source, segments = open_clip(clip)
        of = max(1, round(source.frames * _share(source, segments)))
        with contextlib.closing(Tally(comparison, tuple(metrics), source)) as tally:
            for done, rgb in enumerate(_frames(source, segments)):
                tick(min(done, of), of)
                pair = _pair(name, rgb, scale, degradation)
                protocol.check_size(pair, comparison)
                tally.add(upscale(pair.lr), pair)
            scores = tally.scores()
    except (AilsrError, MemoryError) as error:
        return None, {name: str(error) or f"{name}: out of memory"}
    whole = protocol.protocol_name(comparison, degradation)
    return Quality.of_images(whole, {name: scores}), {}


class Tally:
    """The metrics of a video, of which the last frame alone is kept."""

    def __init__(
        self, comparison: Protocol, metrics: tuple[MetricName, ...], source: Source
    ) -> None:
        self._comparison, self._metrics, self._name = comparison, metrics, source.path.name
        self._meter = Meter(metrics, source.rate)
        self._sums = dict.fromkeys(metrics, 0.0)
        self._last: tuple[NDArray[np.float64], ...] | None = None
        self._frames = 0

    def add(self, upscaled: Rgb, pair: Pair) -> None:
        """A frame. Raises ImageError as ``protocol.score`` does, EngineError as ``Meter.add``."""
        for name, value in protocol.score(upscaled, pair, self._comparison, self._metrics).items():
            averaged = METRICS[name].averaged
            self._sums[name] += averaged[0](value) if averaged else value
        planes = protocol.compared(upscaled, pair, self._comparison)
        frame = tuple(plane.astype(np.float64) for plane in planes)
        if self._last is not None:
            changes = [new - old for new, old in zip(frame, self._last, strict=True)]
            for name in self._metrics:
                metric = METRICS[name]
                if metric.of_changes and metric.compute:
                    self._sums[name] += metric.compute(*changes)
        self._last = frame
        self._frames += 1
        self._meter.add(*(shave(np.rint(luma(rgb)), pair.scale) for rgb in (upscaled, pair.hr)))

    def scores(self) -> Scores:
        """The metrics over all frames: means, and what FFmpeg says; without those of changes where
        there is one frame. Raises ImageError where there is none, EngineError as ``Meter.scores``.
        """
        if not self._frames:
            raise ImageError(f"no frame of {self._name} can be decoded there")
        found: dict[MetricName, float] = {}
        measured = self._meter.scores()
        for name in self._metrics:
            metric = METRICS[name]
            count = self._frames - metric.of_changes
            if name in measured:
                found[name] = measured[name]
            elif metric.compute and count:
                mean = self._sums[name] / count
                found[name] = metric.averaged[1](mean) if metric.averaged else mean
        return found

    def close(self) -> None:
        """End what computes."""
        self._meter.close()


def _frames(source: Source, segments: Sequence[Segment]) -> Iterator[Rgb]:
    for segment in segments:
        for frame in decode(source, segment):
            yield frame.pixels


def _pair(name: str, rgb: Rgb, scale: int, degradation: Degradation) -> Pair:
    hr = crop_to_multiple(rgb, scale)
    if hr.size == 0:
        height, width = rgb.shape[:2]
        raise ImageError(f"{name} has {width}x{height} pixels: too small to reduce by {scale}")
    return Pair(name, degradation.of_image(hr, scale), hr)


def _share(source: Source, segments: Sequence[Segment]) -> float:
    """About which share of the video ``segments`` are."""
    ticks = sum(s.end - max(s.start, source.start) for s in segments)
    return ticks / max(1, source.end - source.start)
