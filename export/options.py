"""The options of ``ailsr-export``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, get_args

import typer

from ailsr.export.graph.rewrites import RewriteName
from ailsr.export.targets import PRECISIONS, TARGETS, TargetName
from ailsr.runtime.anatomy.lint_rules import DELEGATES, DelegateName
from ailsr.runtime.card import Layout, PixelType, Precision
from ailsr.runtime.engines.encoding import RANGES, Channels, Encoding, Range, encodings
from ailsr.runtime.engines.layouts import CHANNELS
from ailsr.runtime.errors import UsageError
from ailsr.runtime.sides import parse_sides

ALL = "all"
TARGET_CHOICES = (*TARGETS, ALL)
PRECISION_CHOICES: tuple[str, ...] = (*get_args(Precision), ALL)


@dataclass(frozen=True)
class ExportConfig:
    """Export a trained network to ONNX, TFLite (LiteRT) and Core ML in float32, float16 and int8.

    Every file is run on real images and compared with the network before it is reported; one
    that is not good enough is not written: the others are, and the exit code is 1. A file takes
    one image of a fixed size and returns one, both RGB unless --layout says otherwise;
    ailsr-upscale and ailsr.runtime cut larger images into tiles.

    Examples:

    ailsr-export run/best.pt --target tflite --precision int8

    ailsr-export run/best.pt --target all --precision all --output files --images Set5

    ailsr-export run/best.pt --target onnx --precision int8 --calibration photos --max-drop 0.1
    """

    model: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint of ailsr-train; zoo:NAME for one that comes with ailsr, such as "
            "zoo:sesr_m5_x2; a torch.export program (.pt2); an ONNX model (.onnx); or the weights "
            "of a published architecture or of the class --network (.pth, .ckpt, .safetensors).",
            metavar="MODEL",
            show_default=False,
        ),
    ]
    network: Annotated[
        str | None,
        typer.Option(
            help="The class that MODEL was trained with, if it is none of ours: it is imported "
            "only when named here. For weights alone it may be any torch.nn.Module, with its "
            "arguments: 'models:Net(upscale=2)'.",
            metavar="MODULE:CLASS[(ARGUMENTS)]",
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the network in the files and their names.",
            show_default="the checkpoint's, or that of the file",
        ),
    ] = None
    output_name: Annotated[
        str | None,
        typer.Option(
            help="The output of MODEL that is the image, where it has several: its name in an ONNX "
            "model, its key or its number, from 0, in what a PyTorch network returns.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None
    dequantize: Annotated[
        bool,
        typer.Option(
            "--dequantize",
            help="Take an ONNX model that is quantised already for the float32 one that it "
            "approximates: what it lost is not regained.",
        ),
    ] = False
    target: Annotated[
        list[str],
        typer.Option(
            help="Format of the files; may be repeated.",
            metavar=f"<{'|'.join(TARGET_CHOICES)}>",
            show_default=ALL,
        ),
    ] = field(default_factory=lambda: [ALL])
    precision: Annotated[
        list[str],
        typer.Option(
            help="Arithmetic of the files; int8 needs no training data. all: float32, float16 and "
            "int8. int8x16 has activations of 16 bits, for NPUs that have them: slow on a CPU. May "
            "be repeated.",
            metavar=f"<{'|'.join(PRECISION_CHOICES)}>",
            show_default=ALL,
        ),
    ] = field(default_factory=lambda: [ALL])
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for the files, which are called <network>_x<scale>_<precision> and end in "
            f"{' or '.join(target.ending for target in TARGETS.values())}.",
            metavar="DIR",
        ),
    ] = Path("exported")
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder of high-resolution images on which int8 takes its ranges; some dozens "
            "of the kind to be upscaled are enough, and 200, evenly spaced, are the most.",
            metavar="DIR",
            show_default="photographs of scikit-image, if installed, or generated ones",
        ),
    ] = None
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of high-resolution images on which the files are verified; best not "
            "those of --calibration.",
            metavar="DIR",
            show_default="two other photographs of scikit-image, if installed, or four images of "
            "--calibration, or generated ones",
        ),
    ] = None
    io: Annotated[
        PixelType | None,
        typer.Option(
            help="Element type of an int8 file's input and output. Float files take float32, Core "
            "ML files images.",
            show_default="uint8",
        ),
    ] = None
    layout: Annotated[
        Layout,
        typer.Option(
            help="Channels of the files' input and output. rgba: as bitmaps of Android and "
            "browsers have them, alpha ignored and 255 in the result. y: one plane of luma, as "
            "video decoders give it (16 to 235), for networks of luma; y-full: one of full range, "
            "0 to 255. Core ML files take images and have rgb alone.",
        ),
    ] = "rgb"
    input_size: Annotated[
        list[str],
        typer.Option(
            help="Input size of the files in pixels. One fixed size is what NPUs and GPUs of "
            "phones compile for. Given several times, a file takes each of these sizes, "
            "such as 360x640 and 640x360, the first by default; larger "
            "images are tiled by the one that computes the fewest pixels.",
            metavar="HxW",
            show_default="360x640 at x2, 240x426 at x3, 180x320 at x4: what 720p is made of",
        ),
    ] = field(default_factory=list)
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="PSNR in dB that a file may lose against the network.",
            show_default="0.1 for int8 and int8x16, 0.05 for float16, 0.01 for float32",
        ),
    ] = None
    input_range: Annotated[
        str | None,
        typer.Option(
            help=f"What a file of others takes for black and white: {', '.join(RANGES)}, any two "
            "numbers as in 0..1, or mean=M/std=S, where a level in 0..1 becomes (level - M) / S, "
            "with one value each or three, as in mean=0.45,0.44,0.40/std=1 for R, G, B.",
            metavar="RANGE",
            show_default="the range by which it enlarges a test image best",
        ),
    ] = None
    output_range: Annotated[
        str | None,
        typer.Option(
            help="As --input-range, of what it returns.",
            metavar="RANGE",
            show_default="as for --input-range",
        ),
    ] = None
    channels: Annotated[
        Channels | None,
        typer.Option(
            help="Order of the channels in a file of others. The files that are written take RGB.",
            show_default="rgb",
        ),
    ] = None
    allow_worse_than_bicubic: Annotated[
        bool,
        typer.Option(
            "--allow-worse-than-bicubic",
            help="Export a network though it does no better than bicubic interpolation on the "
            "images of --images: one that is hardly trained, or trained for other images.",
        ),
    ] = False
    lint: Annotated[
        list[DelegateName],
        typer.Option(
            help="Say which operators of the files the phone's GPU (gpu), NNAPI (nnapi), Hexagon "
            "DSP (hexagon), Qualcomm's HTP (qnn; all four read TFLite files) or Neural Engine "
            "(ane, Core ML files) would leave to the CPU: before anything is calibrated, and of "
            "what was written; may be repeated.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    rewrite: Annotated[
        list[RewriteName],
        typer.Option(
            help="Exact replacement of what an accelerator lacks: prelu, by two ReLU; groups, "
            "grouped and depthwise convolutions by whole ones; padding, reflection and replication "
            "of the border by slices. The first two cost arithmetic; may be repeated.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    int8x16: Annotated[
        bool,
        typer.Option(
            help="Write int8x16 in place of an int8 file that loses more than --max-drop; the "
            "file's name and card say so.",
        ),
    ] = True
    qat: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="STEPS",
            help="Fine-tune an int8 file that loses more than --max-drop in int8 arithmetic, on "
            "the images of --calibration, instead of writing int8x16. Hundreds of steps, of a "
            "second or less each.",
            show_default="no fine-tuning",
        ),
    ] = 0
    sensitivity: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Draw what int8 costs each layer, activations and weights apart, to this HTML "
            "page, and print it, the worst first.",
            show_default=False,
        ),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, no table.")] = False

    def __post_init__(self) -> None:
        if self.name is not None and not re.fullmatch(r"\w[\w.-]*", self.name):
            raise UsageError(f"--name {self.name}: give letters, digits, '_', '-' and '.' only")
        for option, wanted, choices in (
            ("--target", self.target, TARGET_CHOICES),
            ("--precision", self.precision, PRECISION_CHOICES),
        ):
            for choice in wanted:
                if choice not in choices:
                    raise UsageError(f"{option} {choice}: choose one of {', '.join(choices)}")
        for size in self.input_size:
            try:
                parse_sides(size, most=9999)
            except ValueError:
                raise UsageError(
                    f"--input-size {size}: give height x width in pixels, as in 360x640"
                ) from None
        if self.io not in (None, "float32") and {*self.precisions} <= {"float32", "float16"}:
            raise UsageError(
                f"--io {self.io} is for int8 files: add --precision int8, or leave --io out"
            )
        for unfit, is_given in (("--io float32", self.io == "float32"), ("--qat", self.qat > 0)):
            if is_given and CHANNELS[self.layout] == 1:
                raise UsageError(f"{unfit} is not for --layout {self.layout}: leave it out")
        if self.sensitivity and "int8" not in self.precisions:
            raise UsageError("--sensitivity is of int8: add --precision int8, or leave it out")
        for delegate in self.lint:
            kind = DELEGATES[delegate].kind
            target = next(name for name in TARGETS if TARGETS[name].title == kind)
            if target not in self.targets:
                given = " and ".join(self.targets)
                raise UsageError(
                    f"--lint {delegate} reads {target} files, and --target is {given}: "
                    f"give --target {target} or all"
                )
        for option, text in (("input", self.input_range), ("output", self.output_range)):
            try:
                Range.parse(text or "0..1")
            except ValueError:
                raise UsageError(
                    f"--{option}-range {text}: give one of {', '.join(RANGES)}, two numbers as in "
                    "-0.5..0.5, or mean=M/std=S"
                ) from None
        if self.max_drop is not None and not self.max_drop < float("inf"):
            raise UsageError(f"--max-drop {self.max_drop}: give a number of dB, as in 0.3")

    @property
    def encodings(self) -> list[Encoding] | None:
        """Those that the network may have, the ones before preferred; None: nothing was said."""
        given = self.input_range, self.output_range
        if {*given, self.channels} == {None}:
            return None
        input, output = (None if text is None else Range.parse(text) for text in given)
        return encodings(input, output, self.channels or "rgb")

    @property
    def targets(self) -> list[TargetName]:
        """Each target asked for, once."""
        return [name for name in TARGETS if {name, ALL} & {*self.target}]

    @property
    def precisions(self) -> list[Precision]:
        """Each precision asked for, once."""
        every = PRECISIONS if ALL in self.precision else ()
        return [name for name in get_args(Precision) if name in (*self.precision, *every)]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Each (height, width) asked for, once."""
        return list(dict.fromkeys(map(parse_sides, self.input_size)))
