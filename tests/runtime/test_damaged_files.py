"""Damaged files of every kind: one clear error each, never the end of the process.

The damage is seeded. It is done in child processes, so that a crash is seen as what it is; each
prints how many files were refused and how many were used all the same. Anything that is raised but
an AilsrError ends the child with a traceback.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

from ailsr.export.graph.graph import Conv, DepthToSpace, Graph
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.anatomy.tflite import tflite_metadata
from ailsr.runtime.card import FORMAT, Card
from ailsr.runtime.devices.device import scale_of
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.errors import ModelError
from ailsr.runtime.seal import UNSEALED
from ailsr.train import checkpoint
from ailsr.train.checkpoint import Checkpoint
from ailsr.train.networks import create

CHILD = """
import sys
from pathlib import Path
import numpy as np
from ailsr.runtime import AilsrError
from ailsr.runtime.anatomy.registry import anatomy
kind, path, part, cuts, flips = sys.argv[1], *map(Path, sys.argv[2:4]), *map(int, sys.argv[4:])

def use():
    if kind == "show":
        anatomy(str(path))
    elif kind == "checkpoint":
        from ailsr.train import checkpoint
        checkpoint.load(path)
    else:
        from ailsr.runtime import load
        upscaler = load(path, threads=1, trusted=kind == "trusted")
        upscaler.upscale(np.zeros((12, 12, 3), np.uint8))

content, random = part.read_bytes(), np.random.default_rng(0)
damages = [content[:length] for length in np.linspace(0, len(content) - 1, cuts, dtype=int)]
for _ in range(flips):
    flipped = np.frombuffer(content, np.uint8).copy()
    places = random.integers(0, len(content), 4)
    # Half of them in the tables at the beginning, where damage does the most.
    places[:2] %= 600
    flipped[places] ^= random.integers(1, 256, 4, dtype=np.uint8)
    damages.append(flipped.tobytes())
refused = 0
for damage in damages:
    part.write_bytes(damage)
    try:
        use()
    except AilsrError as error:
        assert str(path) in str(error) and len(str(error)) < 700, error
        refused += 1
print(refused, len(damages) - refused)
"""


def damaged(kind: str, path: Path, part: Path | None = None, cuts: int = 30, flips: int = 0):
    """(files refused, files used) of ``cuts`` + ``flips`` damaged versions of ``part``."""
    arguments = [kind, str(path), str(part or path), str(cuts), str(flips)]
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    refused, used = map(int, child.stdout.split())
    return refused, used


def unsealed(path: Path) -> Path:
    """The file as if others had written it: without a seal that could tell damage."""
    content = path.read_bytes().replace(UNSEALED[:-64].encode(), b"another-name:")
    content = content.replace(f'"format":{FORMAT}'.encode(), b'"format":1')
    foreign = path.with_name(f"foreign{path.suffix}")
    foreign.write_bytes(content)
    return foreign


@pytest.mark.parametrize(
    "kind",
    ["onnx float32 float32", "onnx int8 uint8", "tflite float32 float32", "tflite int8 int8"],
)
def test_of_our_files_no_damage_goes_unseen(write_network, kind):
    """Not even where it takes the seal away: then the card tells that there was one."""
    refused, used = damaged("use", write_network(kind, (12, 12)), flips=90)
    assert (refused, used) == (120, 0)


def test_a_tflite_file_of_others_cannot_end_the_process(write_network):
    """Each is tried in a process of its own."""
    path = unsealed(write_network("tflite int8 uint8", (12, 12)))
    refused, used = damaged("use", path, cuts=4, flips=6)
    assert refused >= 4
    assert used <= 6


def test_a_tflite_file_that_crashes_the_interpreter_is_an_error(write_network, tmp_path):
    """ai-edge-litert 2.3.0 dereferences the filters that a convolution lacks (SIGSEGV)."""
    content = unsealed(write_network("tflite int8 uint8", (12, 12))).read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    convolution = next(o for o in model.subgraphs[0].operators if len(o.inputs) == 3)
    convolution.inputs = [convolution.inputs[0], -1, convolution.inputs[2]]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "no_filters.tflite"
    path.write_bytes(bytes(builder.Output()))
    code = "import sys; from ailsr.runtime import load; load(sys.argv[1])"
    child = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert child.returncode == 1
    last = child.stderr.splitlines()[-1]
    assert "ModelError" in last
    # What is found where the filters should be decides: nothing, or sizes that no memory has.
    ends = ("crashes on it (SIGSEGV)", "cannot load it", "it takes more than")
    assert any(end in last for end in ends), last


@pytest.mark.parametrize("kind", ["onnx float32 float32", "onnx int8 uint8"])
def test_an_onnx_file_of_others_cannot_end_the_process(write_network, kind):
    """Not even without a trial."""
    refused, _ = damaged("trusted", unsealed(write_network(kind, (12, 12))), flips=150)
    assert refused >= 30


def test_a_small_tflite_file_cannot_stand_for_a_large_one(tmp_path):
    """60,000 metadata and as many buffers that are all the same: each byte of the file is read a
    bounded number of times, whatever its offsets say."""
    count = 60_000
    builder = flatbuffers.Builder(1 << 20)
    name = builder.CreateString("a name")
    content = builder.CreateByteVector(bytes(1 << 17))
    schema.BufferStart(builder)
    schema.BufferAddData(builder, content)
    buffer = schema.BufferEnd(builder)
    schema.MetadataStart(builder)
    schema.MetadataAddName(builder, name)
    entry = schema.MetadataEnd(builder)
    vectors = []
    for item in (entry, buffer):
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(item)
        vectors.append(builder.EndVector())
    schema.ModelStart(builder)
    schema.ModelAddMetadata(builder, vectors[0])
    schema.ModelAddBuffers(builder, vectors[1])
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    content = bytes(builder.Output())
    assert len(content) < 700_000
    assert tflite_metadata(content, "another name") is None
    path = tmp_path / "aliases.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="overlap many times over"):
        anatomy(str(path))


def test_an_onnx_file_without_the_shape_of_its_input_is_refused(write_peer, tmp_path):
    model = onnx.load(write_peer([1, 3, 8, 8]))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    path = tmp_path / "shapeless.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"it takes .* one RGB image each"):
        open_engine(path)
    assert scale_of(str(path)) is None


@pytest.mark.parametrize("kind", ["onnx float32 float32", "tflite int8 uint8"])
def test_showing_a_damaged_file_needs_no_seal(write_network, kind):
    refused, used = damaged("show", unsealed(write_network(kind, (12, 12))), flips=400)
    assert refused >= 25
    assert used > 0


def test_a_core_ml_package_is_refused_whatever_is_damaged(tmp_path):
    path = tmp_path / "net.mlpackage"
    convolution = Conv("image", "x", np.ones((12, 3, 3, 3), np.float32), np.zeros(12, np.float32))
    graph = Graph((convolution, DepthToSpace("x", "upscaled", 2)), (3, 12, 12))
    coreml_writer.write(graph, Card("net", 2, "rgb", "float32", "float32", (12, 12), 1), path)
    for kind, file in (
        ("use", coreml_writer.SPECIFICATION),
        ("show", coreml_writer.SPECIFICATION),
        ("show", "weights/weight.bin"),  # "use" begins with the same check
    ):
        part = path / "Data" / coreml_writer.CONTENT / file
        whole = part.read_bytes()
        assert damaged(kind, path, part, cuts=4, flips=12) == (16, 0)
        part.write_bytes(whole)


def test_a_checkpoint_is_refused_whatever_is_damaged(tmp_path):
    """The names and numbers that only describe the archive may change."""
    path = tmp_path / "best.pt"
    checkpoint.save(Checkpoint(create("sesr_m3", 2), {"steps": 1}), path)
    refused, used = damaged("checkpoint", path, flips=170)
    assert refused >= 190
    assert refused + used == 200
