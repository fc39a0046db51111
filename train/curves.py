"""Training curves: loss, PSNR and mean importance over the steps."""

from __future__ import annotations

from pathlib import Path

from ailsr.runtime import json_lines
from ailsr.runtime.files import atomic_output


def plot(log: Path, output: Path) -> None:
    """Write the curves of ``log``, a ``log.jsonl``, to ``output`` as a PNG."""
    from matplotlib.figure import Figure  # half a second that only this needs

    entries = json_lines.read(log).values
    steps = [e for e in entries if e["event"] == "steps" and e["loss"] is not None]
    rounds = [e for e in entries if e["event"] == "validation"]
    panels = [("loss", [(e["step"], e["loss"]) for e in steps])]
    for key, label in (("psnr", "PSNR, dB"), ("mean_importance", "mean importance")):
        points = [(e["step"], e[key]) for e in rounds if e.get(key) is not None]
        if points:
            panels.append((label, points))

    figure = Figure(figsize=(8, 2.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (label, points) in zip(axes, panels, strict=True):
        x, y = zip(*points, strict=True) if points else ((), ())
        if label == "loss":
            axis.semilogy(x, y, linewidth=1, color="#3b6fb6")
        else:
            axis.plot(x, y, marker="o", color="#c4542b")
        for entry in rounds[:-1]:
            axis.axvline(entry["step"], color="#cccccc", linewidth=0.8, zorder=0)
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("step (grey: end of a round)")
    with atomic_output(output) as temporary:
        figure.savefig(temporary, dpi=120)
