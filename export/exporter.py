"""The exporter of a network: one graph, one calibration and one reference for all its files."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ailsr.export import targets
from ailsr.export.exported_file import ExportedFile, remove_ours
from ailsr.export.graph.alpha import with_alpha
from ailsr.export.graph.graph import Graph
from ailsr.export.graph.passes import on_levels, with_separate_pixels
from ailsr.export.graph.quantization import BITS, Quantization, quantization_of
from ailsr.export.graph.receptive_field import receptive_radius
from ailsr.export.graph.rewrites import RewriteName, rewritten
from ailsr.export.graph.sizes import default_input_size, named, small_graph
from ailsr.export.image_sets import image_set
from ailsr.export.int8.methods import Int8Method, Int8Methods, Progress, precision_of
from ailsr.export.int8.mixed_precision import means_of
from ailsr.export.int8.probe import UnstableError, int8_probe
from ailsr.export.reading.planes import in_layout
from ailsr.export.reading.source import Source
from ailsr.export.targets import TARGETS, TargetName, check_layout, check_precision
from ailsr.export.verification import (
    ADVICE,
    PsnrDropError,
    Reference,
    allowed_drop,
    check_quality,
    hopeless_drop,
    ticks,
)
from ailsr.runtime.anatomy.anatomy import Anatomy
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.card import Card, Layout, PixelType, Precision
from ailsr.runtime.engines.layouts import CHANNELS, Levels, probe_answer, probe_levels
from ailsr.runtime.engines.pixels import from_pixels, to_pixels
from ailsr.runtime.errors import ParityError, UsageError
from ailsr.runtime.files import atomic_output, size_bytes
from ailsr.runtime.probe import Probe, probe_image
from ailsr.runtime.upscaling.tiles import Size
from ailsr.runtime.upscaling.upscaler import UNKNOWN_RADIUS
from ailsr.runtime.version import VERSION


class Exporter:
    """Writes and verifies files of one network at one input size."""

    def __init__(
        self,
        source: Source,
        input_size: Size | None = None,
        *,
        other_sizes: Sequence[Size] = (),
        calibration: Path | None = None,
        images: Path | None = None,
        max_drop: float | None = None,
        rewrites: Sequence[RewriteName] = (),
        fall_back: bool = True,
        qat_steps: int = 0,
        layout: Layout = "rgb",
        progress: Progress = lambda doing, done, total: None,
    ) -> None:
        """``calibration`` and ``images`` are folders of images, None the default ones;
        ``rewrites`` are applied to the graph; files can take each of ``other_sizes``, too.
        ``layout`` is that of the files' input and output.

        ``fall_back`` and ``qat_steps`` are those of ``Int8Methods``.

        Raises UsageError for an input size that is too small and for a layout that the network
        has not, ImageError for a folder without images.
        """
        self.source = source = in_layout(source, layout)
        self.layout: Layout = layout
        self._computed: Layout = layout if CHANNELS[layout] == 1 else "rgb"  # by the network itself
        default = default_input_size(source.scale, source.multiple)
        self.input_size = input_size or source.input_size or default
        if (other_sizes and source.input_size) or source.input_size not in (None, self.input_size):
            raise UsageError(
                f"--input-size {named(self.input_size)}: {source.name} takes images of "
                f"{named(source.input_size)} pixels and no others; leave --input-size out"
            )
        self.other_sizes = tuple(other_sizes)
        self.max_drop = max_drop
        self.rewrites = rewrites
        self._fall_back, self._qat_steps = fall_back, qat_steps
        self._sufficient: set[Int8Method] = set()
        """The methods that were enough for an int8 file of some target"""
        self.calibration_images = image_set(calibration, "calibration", source.scale)
        self.images = image_set(images, "verification", source.scale, calibration)
        self._progress = progress
        self._int8_probes: dict[Int8Method, Probe] = {}
        least = 2 * (self.radius or 0) + 1
        for size in (self.input_size, *self.other_sizes):
            if any(side % source.multiple for side in size):
                raise UsageError(
                    f"--input-size {named(size)}: {source.name} takes sides that are multiples of "
                    f"{source.multiple}"
                )
            if min(size) < least and source.input_size is None:
                self._check_whole(size, least)

    def _check_whole(self, size: Size, least: int) -> None:
        """Raise UsageError for a ``size`` of which no tiles can be cut unless the verification
        images need none."""
        sides = [pair.lr.shape[:2] for pair in self.images.pairs]
        largest = max(side for side, _ in sides), max(side for _, side in sides)
        fits = all(s >= min(least, most) for s, most in zip(size, largest, strict=True))
        if not fits:
            raise UsageError(
                f"--input-size {named(size)} is too small for {self.source.name}, which sees "
                f"{self.radius} pixels around each pixel: {least}x{least} is the least, or "
                f"{named(largest)}, the size of the largest images of {self.images.name}, for "
                "files that take no larger images"
            )

    @cached_property
    def radius(self) -> int | None:
        """The receptive field radius in input pixels; None: a pixel may see the whole image."""
        if self.source.radius is not None:
            return self.source.radius
        return receptive_radius(self.graph)

    @cached_property
    def graph(self) -> Graph:
        """The network for float files, in levels."""
        return on_levels(self._traced)

    @cached_property
    def _traced(self) -> Graph:
        self._progress("tracing the network", 0, None)
        return rewritten(self.source.graph(self.input_size), self.rewrites)

    @cached_property
    def int8(self) -> Int8Methods:
        """The network quantised, for int8 files."""
        graph = with_separate_pixels(self._traced)
        return Int8Methods(
            graph,
            self.calibration_images,
            self._progress,
            small=None if self.source.input_size else small_graph(graph, self._graph_for_int8),
            max_drop=allowed_drop("int8", self.max_drop),
            fall_back=self._fall_back,
            qat_steps=self._qat_steps,
            layout=self._computed,
        )

    def _graph_for_int8(self, size: Size) -> Graph:
        return with_separate_pixels(rewritten(self.source.graph(size), self.rewrites))

    @cached_property
    def reference(self) -> Reference:
        """The network's own results on the verification images."""
        card = replace(self.card("float32", "float32"), layout=self._computed)
        tick = ticks(self._progress, "running the network", self.images)
        return Reference(self.source.run, card, self.images, tick)

    def check_quality(self) -> None:
        """Raise ModelError when bicubic interpolation does better on the verification images."""
        check_quality(self.source, self.reference)

    @cached_property
    def _probe(self) -> Probe:
        """Of float files."""
        upscaled = self.source.run(to_pixels(self._probe_levels, "float32"))
        return Probe.of(probe_answer(from_pixels(upscaled, "float32"), self._computed))

    @property
    def _probe_levels(self) -> Levels:
        return probe_levels(probe_image(*self.input_size), self._computed)

    def _int8_probe(self, method: Int8Method) -> Probe:
        if method not in self._int8_probes:
            self._int8_probes[method] = int8_probe(
                *self.int8.quantized(method), self._probe_levels, self._computed
            )
        return self._int8_probes[method]

    def card(self, precision: Precision, pixels: PixelType) -> Card:
        """The card of a file, still without its PSNR and its probe."""
        source, radius = self.source, self.radius
        return Card(
            network=source.name,
            scale=source.scale,
            color=source.color,
            precision=precision,
            pixels=pixels,
            layout=self.layout,
            input_size=self.input_size,
            other_sizes=self.other_sizes,
            radius=min(UNKNOWN_RADIUS, min(self.input_size) // 4) if radius is None else radius,
            protocol=self.images.protocol,
            calibration=self.calibration_images.name if precision in BITS else None,
            training=dict(source.training),
            degradation=source.training.get("degradation"),
            licences=tuple(source.training.get("licence", ())),
            input_range=source.encoding.text("input"),
            output_range=source.encoding.text("output"),
            checkpoint_sha256=source.sha256,
            ailsr_version=VERSION,
        )

    def path(self, target: TargetName, precision: Precision, folder: Path) -> Path:
        """The file of ``export``: ``folder``/<network>_x<scale>_<precision>.<ending>, with the
        layout before the precision where that is not RGB."""
        layout = "" if self.layout == "rgb" else f"{self.layout}_"
        name = f"{self.source.name}_x{self.source.scale}_{layout}{precision}"
        return folder / f"{name}{TARGETS[target].ending}"

    def export(
        self, target: TargetName, precision: Precision, folder: Path, pixels: PixelType = "uint8"
    ) -> ExportedFile:
        """Write the file at ``path(target, precision, folder)`` and verify it.

        ``pixels`` is the element type of an int8 file's input and output. Where int8 is not good
        enough, the file may be one of int8x16. Raises ParityError when none is, UsageError for a
        precision that the target does not have. What lies under that name afterwards is this file
        or nothing: one of an earlier run is not left to be taken for it.
        """
        check_precision(target, precision)
        check_layout(target, self.layout)
        path = self.path(target, precision, folder)
        try:
            if precision in BITS:
                file = self._export_int8(target, precision, folder, pixels)
            else:
                file = self._export(target, precision, folder, "float32", self.graph)
        except ParityError:
            remove_ours(path)
            raise
        if file.precision != precision:
            remove_ours(path)
        return file

    def _export_int8(
        self, target: TargetName, precision: Precision, folder: Path, pixels: PixelType
    ) -> ExportedFile:
        """The file by the first method that is enough for ``target``.

        A method that was not enough for another target is tried all the same: that may have been
        its engine; one that loses more by estimate than another of as many bits that was not enough
        is not. A mixed precision that was not enough may be tried again, with more in float32. One
        that was enough comes first, so that files hold the same numbers where they can. An
        EngineParityError ends it, for no method mends an engine.
        """
        possible, drops = TARGETS[target].precisions, dict[Int8Method, str]()
        hopeless = dict.fromkeys(BITS, hopeless_drop(precision, self.max_drop))
        methods = sorted(self.int8.order(precision), key=lambda m: m not in self._sufficient)
        while methods:
            method = methods.pop(0)
            bits = precision_of(method)
            if bits not in possible or (method == "search" and self.int8.is_far):
                continue
            try:
                expected = self.int8.expected_drop(method)
                if expected >= hopeless[bits]:
                    raise PsnrDropError("it is not worth a file", expected)
                file = self.export_by(method, target, folder, pixels)
            except PsnrDropError as error:
                drops[method] = f"{error.psnr_drop:.3f}"
                hopeless[bits] = min(hopeless[bits], expected)
                if self.int8.verified(method, error.psnr_drop):
                    self._int8_probes.pop(method, None)
                    methods.insert(0, method)
                continue
            except UnstableError:
                drops[method] = "not known, for it depends on rounding,"
                continue
            if file.precision == "int8":
                self._sufficient.add(method)
            return file
        losses = ", ".join(f"{drop} by {method}" for method, drop in drops.items())
        if "int8x16" not in possible:
            losses += f" ({TARGETS[target].title} has no int8x16)"
        allowed = allowed_drop(precision, self.max_drop)
        raise ParityError(
            f"the {precision} file loses too much PSNR on {self.images.name}, in dB {losses}; "
            f"allowed is {allowed:g}: no file was written; {ADVICE[precision]}"
        )

    def export_by(
        self, method: Int8Method, target: TargetName, folder: Path, pixels: PixelType = "uint8"
    ) -> ExportedFile:
        """Write and verify the file that ``method`` alone gives. Raises as ``export`` does."""
        quantized = self.int8.quantized(method)
        return self._export(target, precision_of(method), folder, pixels, *quantized, method)

    def write_by(self, method: Int8Method, target: TargetName, folder: Path) -> Path:
        """The file that ``method`` alone gives, not verified: for measurements of one's own."""
        graph, quantization = self.int8.quantized(method)
        path = self.path(target, precision_of(method), folder)
        means = means_of(method, graph, quantization)
        card = replace(self.card(precision_of(method), "uint8"), means=means)
        self._write(target, graph, card, path, quantization)
        return path

    def uncalibrated_anatomy(
        self, target: TargetName, precision: Precision, pixels: PixelType = "uint8"
    ) -> Anatomy:
        """The operators of a file before anything is calibrated: its ranges are made up."""
        graph, quantization = self.graph, None
        if precision in BITS:
            graph = self.int8.graph
            made_up = dict.fromkeys(graph.shapes, (-1.0, 1.0))
            quantization = quantization_of(graph, made_up, BITS[precision])
        card = self.card(precision, pixels if precision in BITS else "float32")
        with tempfile.TemporaryDirectory() as folder:
            path = self.path(target, precision, Path(folder))
            self._write(target, graph, card, path, quantization)
            return anatomy(str(path))

    def _export(
        self,
        target: TargetName,
        precision: Precision,
        folder: Path,
        pixels: PixelType,
        graph: Graph,
        quantization: Quantization | None = None,
        method: Int8Method | None = None,
    ) -> ExportedFile:
        path = self.path(target, precision, folder)
        probe = self._int8_probe(method) if method else self._probe
        means = means_of(method, graph, quantization)
        card = replace(self.card(precision, pixels), means=means, probe=probe)
        reference = self.reference
        tick = ticks(self._progress, f"verifying {path.name}", self.images)
        with atomic_output(path) as temporary:
            self._write(target, graph, card, temporary, quantization)
            verified = reference.verify(temporary, precision, self.max_drop, tick)
            if math.isfinite(verified.psnr):
                card = replace(card, psnr={self.images.name: round(verified.psnr, 3)})
                self._write(target, graph, card, temporary, quantization)
        return ExportedFile(
            str(path),
            target,
            precision,
            means,
            size_bytes(path),
            verified.psnr,
            verified.psnr_drop,
            verified.difference,
        )

    def _write(
        self,
        target: TargetName,
        graph: Graph,
        card: Card,
        path: Path,
        quantization: Quantization | None,
    ) -> None:
        if self.layout == "rgba":
            graph, quantization = with_alpha(graph, quantization)
        targets.write(target, graph, card, path, quantization)
