"""docs/converters.md from the figures that ``converters.py`` keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tool_chains import CHAINS, OURS

Result = Mapping[str, Any]
"""All figures of one network."""

INTRODUCTION = """# Our TFLite files beside other converters'

The same networks of the zoo, converted by `ailsr-export`, by litert-torch with ai-edge-quantizer,
and by onnx2tf. Latencies are medians of one inference of the
whole image with their 95 % intervals, taken in turn (A B A B …) in one process with 1 and with 2
threads; brackets hold how many times as long as ours of the same precision it takes, and the
interval of that if both medians lie in theirs. Load time and peak memory are those of a fresh
process with 2 threads; PSNR is by the protocol `{protocol}`. Export is the wall time of the command
that makes the file; ours calibrates on all images and verifies the file on {images}, too.

Written by `make converters`, {dates}, on {cpu}, {cores} cores; int8 calibrated on {calibration}.

"""
NOTES = """
- The other converters take and return int8, ours the uint8 pixels of a bitmap; the operators for
  that are part of our latency. Levels of theirs are not pixels (their scale is that of the
  calibration), so an app has to convert them, which is not part of their latency.
- litert-torch starts from a `torch.export` program, onnx2tf from what `torch.onnx` writes, both
  made beforehand: that is not part of their export time.
- They calibrate on images of the input's size, so those of the set are put side by side on some.
- Versions are those of `benchmarks/converters/*.txt` and `constraints.txt`. Sizes are those of the
  whole environment, with the CPU build of PyTorch.
"""


def page(results: Sequence[Result]) -> str:
    """The page as Markdown."""
    first = results[0]
    dates = " and ".join(sorted({result["date"] for result in results}))
    blocks = [INTRODUCTION.format(**{**first, "dates": dates})]
    blocks += [_section(result) for result in results]
    if peers := [row for result in results for row in _peers(result)]:
        header = ["file", "1 thread, ms", "2 threads, ms", "size, kB", "peak, MB", "PSNR, dB"]
        blocks.append("## Published files\n\nAt the same input size, by the same measure.\n\n")
        blocks.append(_table(header, peers))
    sizes = max(results, key=lambda result: result["date"])["installed_bytes"]
    rows = [[chain.name, f"{sizes[chain.name] / 1e9:.2f}"] for chain in CHAINS]
    blocks.append("\n## Tool chains\n\n" + _table(["", "installed, GB"], rows))
    return "".join(blocks) + NOTES


def _section(result: Result) -> str:
    height, width = result["input_size"]
    header = [
        "", "1 thread, ms", "2 threads, ms", "size, kB", "operators", "load, ms", "peak, MB",
        f"PSNR on {result['images']}, dB", "export, s",
    ]  # fmt: skip
    rows = []
    for file in result["files"]:
        if file["precision"] is None:
            continue
        name = f"{file['tool']}, {file['precision']}"
        if file["error"]:
            rows.append([name, f"fails: {file['error']}"])
            continue
        ours = _ours(result, file["precision"])
        rows.append(
            [
                name,
                *(_latency(file, ours, threads) for threads in ("1", "2")),
                f"{file['bytes'] / 1e3:.1f}",
                str(file["operators"]),
                f"{file['load_ms']:.1f}",
                _megabytes(file),
                f"{file['psnr']:.2f}",
                f"{file['export_seconds']:.1f}",
            ]
        )
    title = f"## {result['network']}, {height}×{width}\n\n"
    return title + _table(header, rows) + "\n"


def _peers(result: Result) -> Iterator[list[str]]:
    """Published files, and ours beside them."""
    peers = [file for file in result["files"] if file["precision"] is None]
    for file in peers and result["files"]:
        if file["precision"] is not None and file["tool"] != OURS.name:
            continue
        name = file["tool"]
        if file["precision"]:
            name = f"ours: {result['network']}, {file['precision']}"
        if file["error"]:
            yield [name, f"fails: {file['error']}"]
            continue
        latencies = (_latency(file, None, threads) for threads in ("1", "2"))
        size, psnr = f"{file['bytes'] / 1e3:.1f}", f"{file['psnr']:.2f}"
        yield [name, *latencies, size, _megabytes(file), psnr]


def _ours(result: Result, precision: str) -> Mapping[str, Any]:
    return next(
        file
        for file in result["files"]
        if (file["tool"], file["precision"]) == (OURS.name, precision)
    )


def _latency(file: Mapping[str, Any], ours: Mapping[str, Any] | None, threads: str) -> str:
    median, low, high = file["latencies"][threads]
    text = f"{median:.1f} ± {(high - low) / 2:.1f}"
    if ours is None or file is ours:
        return text
    own, own_low, own_high = ours["latencies"][threads]
    return f"{text} (×{median / own:.2f}, {low / own_high:.2f}–{high / own_low:.2f})"


def _megabytes(file: Mapping[str, Any]) -> str:
    return f"{file['peak_memory_bytes'] / 1e6:.0f}" if file["peak_memory_bytes"] else "–"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["--:"] * (len(header) - 1)]]
    lines += [[*row, *[""] * (len(header) - len(row))] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
