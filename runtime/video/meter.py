"""Metrics of a video that FFmpeg's filters compute, by the program of ``imageio-ffmpeg``.

Frames go to it through one pipe, each with its original below it, so that nothing of the video is
kept.
"""

from __future__ import annotations

import math
import re
import subprocess
import tempfile
from fractions import Fraction
from typing import IO

import numpy as np

from ailsr.runtime.errors import EngineError, one_line
from ailsr.runtime.imaging.metrics import METRICS, Filter, MetricName, Plane, Scores

_GREY = 128
"""Chroma of grey."""


class Meter:
    """The metrics ``names`` of luma, of a video of ``rate`` frames per second."""

    def __init__(self, names: tuple[MetricName, ...], rate: Fraction) -> None:
        """Those of ``names`` that have a filter; without any it does nothing."""
        found = {name: METRICS[name].filter for name in names}
        self._filters: dict[MetricName, Filter] = {n: f for n, f in found.items() if f}
        self._rate = rate
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115

    def add(self, luma: Plane, original: Plane) -> None:
        """A frame, and what it should be: H×W, whole levels, all of one size.

        Raises EngineError when FFmpeg has ended.
        """
        if not self._filters:
            return
        if self._process is None:
            self._process = self._start(*luma.shape)
        assert self._process.stdin is not None
        planes = np.full((3, 2 * luma.shape[0], luma.shape[1]), _GREY, np.uint8)
        planes[0] = np.concatenate([luma, original])
        try:
            self._process.stdin.write(planes.tobytes())
        except OSError as error:
            raise EngineError(f"FFmpeg ended early: {self._last_words()}") from error

    def scores(self) -> Scores:
        """The metrics over all frames. Raises EngineError when FFmpeg fails."""
        if self._process is None:
            return {}
        _, _ = self._process.communicate()
        text = self._text()
        found = {name: re.search(filter.result, text) for name, filter in self._filters.items()}
        if self._process.returncode or not all(found.values()):
            raise EngineError(f"FFmpeg failed: {self._last_words()}")
        return {n: math.inf if m[1] == "inf" else float(m[1]) for n, m in found.items() if m}

    def close(self) -> None:
        """End the process, if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._log.close()

    def _start(self, height: int, width: int) -> subprocess.Popen[bytes]:
        import imageio_ffmpeg

        count = len(self._filters)
        parts = []
        for name, row in (("o", 0), ("s", height)):
            ends = "".join(f"[{name}{n}]" for n in range(count))
            parts.append(f"[{name}]crop={width}:{height}:0:{row},split={count}{ends}")
        outputs = []
        for n, filter in enumerate(self._filters.values()):
            parts.append(filter.graph.format(output=f"[o{n}]", source=f"[s{n}]") + f"[r{n}]")
            outputs += ["-map", f"[r{n}]", "-f", "null", "-"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", "-v", "info"]
        command += ["-f", "rawvideo", "-pix_fmt", "yuv444p", "-s", f"{width}x{2 * height}"]
        command += ["-r", str(self._rate), "-i", "-"]
        command += ["-filter_complex", ";".join(["[0]split[o][s]", *parts]), *outputs]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log
        )

    def _text(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _last_words(self) -> str:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        lines = [line.strip() for line in self._text().splitlines() if line.strip()]
        return one_line(lines[-1]) if lines else "it said nothing"
