"""Results that nothing has measured, for the tests, and the outline of their page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np

from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import Latency
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.results import Results
from ailsr.runtime.imaging.crops import SIDE
from ailsr.runtime.imaging.protocol import Pair, Quality
from ailsr.runtime.imaging.resize import enlarge

HOST = Host("Cortex-A76", 4, 8 * 10**9, "Linux", "aarch64", "3.11.2", "performance", 0.1)
BICUBIC = Quality(
    "Y-shave-s", {"psnr": 33.69, "ssim": 0.93}, {"woman": {"psnr": 32.1, "ssim": 0.9}}
)


def latency(p50_ms: float) -> Latency:
    return Latency.of_samples([0.9 * p50_ms, p50_ms, p50_ms, 1.5 * p50_ms], warm_up_runs=10)


def measured(name: str, p50_ms: float | None, psnr_db: float, **values: object) -> Measurement:
    """A file called ``<network>_x2_<precision>.<ending>`` that takes ``p50_ms``."""
    network, precision = name.split(".")[0].split("_x2_")
    whole = None if p50_ms is None else latency(p50_ms)
    woman = {"psnr": psnr_db - 1, "ssim": 0.94}
    quality = Quality("Y-shave-s", {"psnr": psnr_db, "ssim": 0.95}, {"woman": woman})
    figures = {
        "load_ms": 12.0,
        "first_run_ms": 30.0,
        "inference": whole and latency(0.8 * p50_ms),
        "peak_memory_bytes": 84_000_000,
    }
    fixed = Measurement(
        file=f"exported/{name}",
        engine="engine 1.0",
        network=network,
        precision=precision,
        pixels="uint8",
        scale=2,
        input_size=(90, 160),
        threads=4,
        size_bytes=19_540,
        measurable=whole is not None,
        whole_path=whole,
        quality=quality,
        **(figures if whole else {}),
    )
    return replace(fixed, **values)


def results(*files: Measurement | Failure) -> Results:
    date = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return Results(HOST, date, 4, 200, 5.0, "Y-shave-s", "Set5", list(files), {2: BICUBIC})


FAMILY = [
    measured("sesr_m5_x2_float32.onnx", 20.0, 37.30),
    measured("sesr_m5_x2_float32.tflite", 16.0, 37.30),
    measured("sesr_m5_x2_int8.tflite", 6.25, 37.22),
    measured("sesr_m5_x2_int8.mlpackage", None, 37.21),
]


def repaired(pair: Pair, top: int, left: int) -> np.ndarray:
    """Bicubic but for one window, which is the truth."""
    upscaled = enlarge(pair.lr, 2)
    window = (slice(top, top + SIDE), slice(left, left + SIDE))
    upscaled[window] = pair.hr[window]
    return upscaled


class Outline(HTMLParser):
    """The tags of a page, checked to nest, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "wbr", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
