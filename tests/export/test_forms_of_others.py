"""Files of others in other forms: layouts, half precision, quantised, several outputs, batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export_runs import SIZE, Theirs, ailsr_export, model_of, saved
from graph_reference import run as run_graph
from onnx import helper, numpy_helper
from onnxruntime import quantization as ort_quantization
from torch import nn

from ailsr.export.reading.from_torch import quiet, to_onnx
from ailsr.export.reading.onnx_forms import Forms
from ailsr.export.reading.source import Source, open_source
from ailsr.runtime.engines.encoding import Encoding
from ailsr.runtime.errors import ModelError, UsageError

IMAGE_SHAPE = (1, 3, *SIZE)


@pytest.fixture(scope="module")
def image(photographs):
    return photographs["chelsea"][50:74, 100:132].astype(np.float32) / 255


@pytest.fixture(scope="module")
def expected(image):
    with torch.inference_mode():
        batch = torch.from_numpy(image).permute(2, 0, 1)[None]
        return Theirs().eval()(batch)[0].permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """Theirs of a fixed size, which onnxruntime's quantisers want."""
    return saved(Theirs(), tmp_path_factory.mktemp("plain") / "plain.onnx", dynamic=False)


def assert_computes(source: Source, image, expected, atol=1e-5):
    """``source`` and its graph compute ``expected``."""
    np.testing.assert_allclose(source.run(image), expected, atol=atol)
    found = run_graph(source.graph(SIZE), image)["upscaled"]
    np.testing.assert_allclose(found, source.run(image), atol=1e-5)


class ChannelsLast(nn.Module):
    """As TensorFlow's converters write it: NHWC at both ends and for what is not a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Theirs()
        self.register_buffer("gains", torch.tensor([0.5, 2.0, 1.5]))

    def forward(self, x):
        # Channels that are taken apart and put together again, and a mean that is taken off.
        red, others = x[..., :1] * self.gains[0], x[..., 1:] * self.gains[1:]
        mixed = torch.cat([red, others], 3) / self.gains
        upscaled = self.network(mixed.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        mean = upscaled.mean((1, 2), keepdim=True)
        return torch.relu(upscaled - mean + mean)


@pytest.mark.parametrize("dynamic", [False, True])
def test_channels_last(tmp_path, image, expected, dynamic):
    sides = {1: torch.export.Dim("h", min=4), 2: torch.export.Dim("w", min=4)}
    shapes = ({0: None, 3: None, **sides},) if dynamic else None
    with quiet():
        example = (torch.rand(1, *SIZE, 3),)
        program = torch.export.export(ChannelsLast().eval(), example, dynamic_shapes=shapes)
    onnx.save(to_onnx(program), tmp_path / "nhwc.onnx")
    source = open_source(tmp_path / "nhwc.onnx")
    assert source.input_size == (None if dynamic else SIZE)
    assert_computes(source, image, expected)


@pytest.mark.parametrize("ends", ["half", "cast"])
def test_float16(tmp_path, image, expected, ends):
    """With float16 at the ends, or float32 there and casts behind them."""
    with quiet():
        model = to_onnx(Theirs().eval().half(), torch.rand(IMAGE_SHAPE).half())
    if ends == "cast":
        for value, order in ((model.graph.input[0], 1), (model.graph.output[0], -1)):
            names = [value.name, f"{value.name}_half"][::order]
            to = onnx.TensorProto.FLOAT16 if order == 1 else onnx.TensorProto.FLOAT
            for node in model.graph.node:
                for listed in (node.input, node.output):
                    listed[:] = [f"{n}_half" if n == value.name else n for n in listed]
            node = helper.make_node("Cast", names[:1], names[1:], to=to)
            model.graph.node.insert(0 if order == 1 else len(model.graph.node), node)
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "half.onnx")
    assert_computes(open_source(tmp_path / "half.onnx"), image, expected, atol=1e-3)


class Reader(ort_quantization.CalibrationDataReader):
    def __init__(self, image: np.ndarray, name: str) -> None:
        self.feeds = iter([{name: image.transpose(2, 0, 1)[None]}])

    def get_next(self):
        return next(self.feeds, None)


@pytest.fixture(scope="module")
def quantized(plain, image, tmp_path_factory) -> dict[str, Path]:
    """By format: ``plain`` as onnxruntime's quantisers make it int8."""
    folder = tmp_path_factory.mktemp("quantized")
    name = onnx.load(plain).graph.input[0].name
    found = {form: folder / f"{form}.onnx" for form in ("QDQ", "QOperator", "dynamic")}
    for form in ("QDQ", "QOperator"):
        ort_quantization.quantize_static(
            plain, found[form], Reader(image, name),
            quant_format=ort_quantization.QuantFormat[form], per_channel=form == "QDQ",
        )  # fmt: skip
    ort_quantization.quantize_dynamic(
        plain, found["dynamic"], weight_type=ort_quantization.QuantType.QUInt8
    )
    return found


@pytest.mark.parametrize("form", ["QDQ", "dynamic"])
def test_a_quantised_model_is_taken_back_on_request(quantized, image, expected, form):
    with pytest.raises(ModelError, match=r"quantised already \(it has .*--dequantize"):
        open_source(quantized[form])
    source = open_source(quantized[form], forms=Forms(dequantize=True))
    (note,) = source.notes
    assert "is quantised: its int8 weights" in note
    assert_computes(source, image, expected, atol=0.02)  # two levels of int8 and a half


def test_what_saturation_cut_off_stays_cut_off(quantized, image):
    """Quantisers leave out a ReLU that the range of the integers replaces."""
    assert "Relu" not in {node.op_type for node in onnx.load(quantized["QDQ"]).graph.node}
    graph = open_source(quantized["QDQ"], forms=Forms(dequantize=True)).graph(SIZE)
    clamps = [node.clamp for node in graph.nodes if hasattr(node, "clamp")]
    assert any(low == 0 and high < 10 for low, high in clamps)


def test_integer_arithmetic_is_refused(quantized):
    with pytest.raises(ModelError, match=r"computes in integers \(QLinear.*in the format QDQ"):
        open_source(quantized["QOperator"], forms=Forms(dequantize=True))


def test_the_command_says_that_a_model_was_quantised(quantized, tmp_path, capsys, pictures):
    code, _, err = ailsr_export(
        capsys, quantized["QDQ"], "--dequantize", "--target=onnx", "--precision=float32",
        f"--output={tmp_path}", *pictures,
    )  # fmt: skip
    assert code == 0, err
    assert "is quantised: its int8 weights are taken" in err


# Several outputs -----------------------------------------------------------------------------


class Several(Theirs):
    """It also returns what it was given, and features."""

    def __init__(self, form: type) -> None:
        super().__init__()
        self.form = form

    def forward(self, x):
        results = {"features": self.body[0](x), "sr": super().forward(x), "lr": x * 1.0}
        return results if self.form is dict else self.form(results.values())


class Alone(Theirs):
    def forward(self, x):
        return {"sr": super().forward(x)}


@pytest.mark.parametrize(("form", "name"), [(dict, "sr"), (list, "1"), (tuple, "1")])
def test_an_output_of_a_program_is_chosen_by_name(tmp_path, image, expected, form, name):
    path = saved(Several(form), tmp_path / "several.pt2")
    with pytest.raises(UsageError, match=r"outputs .*, .*, .*--output-name NAME"):
        open_source(path)
    with pytest.raises(UsageError, match=r"--output-name none: it has the outputs"):
        open_source(path, forms=Forms("none"))
    with pytest.raises(ModelError, match=r"it returns \(1, 8, 64, 64\)"):
        open_source(path, forms=Forms("features" if form is dict else "0"))
    assert_computes(open_source(path, forms=Forms(name)), image, expected)


def test_one_tensor_in_a_dict_needs_no_name(tmp_path, image, expected):
    path = saved(Alone(), tmp_path / "alone.pt2")
    assert_computes(open_source(path), image, expected)
    assert_computes(open_source(path, forms=Forms("sr")), image, expected)


def test_an_output_of_an_onnx_model_is_chosen_by_name(tmp_path, image, expected, pictures, capsys):
    model = to_onnx(Several(tuple).eval(), torch.rand(IMAGE_SHAPE))
    names = [value.name for value in model.graph.output]
    onnx.save(model, tmp_path / "several.onnx")
    with pytest.raises(UsageError, match=f"it has the outputs {', '.join(names)}: choose"):
        open_source(tmp_path / "several.onnx")
    assert_computes(open_source(tmp_path / "several.onnx", forms=Forms(names[1])), image, expected)
    code, _, err = ailsr_export(
        capsys, tmp_path / "several.onnx", f"--output-name={names[1]}", "--target=onnx",
        "--precision=float32", f"--output={tmp_path}", *pictures,
    )  # fmt: skip
    assert code == 0, err


def test_a_batch_becomes_one_image(tmp_path, image, expected):
    onnx.save(to_onnx(Theirs().eval(), torch.rand(4, 3, *SIZE)), tmp_path / "batch.onnx")
    source = open_source(tmp_path / "batch.onnx")
    assert source.input_size == SIZE
    assert_computes(source, image, expected)


def test_casts_to_integers_are_refused(tmp_path):
    operators = [
        helper.make_node("Cast", ["a"], ["b"], to=onnx.TensorProto.INT32),
        helper.make_node("Cast", ["b"], ["c"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Concat", ["c"] * 4, ["d"], axis=1),
        helper.make_node("DepthToSpace", ["d"], ["e"], blocksize=2),
    ]
    (tmp_path / "cast.onnx").write_bytes(model_of(*operators))
    with pytest.raises(ModelError, match="Cast to integers"):
        open_source(tmp_path / "cast.onnx").graph((8, 8))


def test_constants_in_half_are_real(tmp_path, image):
    """A Constant node, not an initializer."""
    half = numpy_helper.from_array(np.full((1, 3, 1, 1), 0.5, np.float16), "half")
    operators = [
        helper.make_node("Constant", [], ["k"], value=half),
        helper.make_node("Cast", ["a"], ["h"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("Mul", ["h", "k"], ["b"]),
        helper.make_node("Concat", ["b"] * 4, ["c"], axis=1),
        helper.make_node("DepthToSpace", ["c"], ["d"], blocksize=2),
        helper.make_node("Cast", ["d"], ["e"], to=onnx.TensorProto.FLOAT),
    ]
    model = onnx.load_from_string(model_of(*operators[1:], shapes=(IMAGE_SHAPE, (1, 3, 48, 64))))
    model.graph.node.insert(0, operators[0])
    onnx.save(model, tmp_path / "constant.onnx")
    source = open_source(tmp_path / "constant.onnx", candidates=[Encoding()])
    found = run_graph(source.graph(SIZE), image)["upscaled"]
    np.testing.assert_allclose(found, np.repeat(np.repeat(image, 2, 0), 2, 1) / 2, atol=1e-6)
