"""The ranges on which int8 rests, and the images they are taken on."""

from __future__ import annotations

import numpy as np
import pytest
from graph_reference import run

from ailsr.export import image_sets
from ailsr.export.graph.graph import Add, Concat, Conv, DepthToSpace, Graph, MaxPool, Pad, Resize
from ailsr.export.image_sets import generated, image_set
from ailsr.export.int8.calibration import TILE, channel_ranges, ranges
from ailsr.runtime.errors import ImageError, UsageError
from ailsr.runtime.imaging.image import write


def conv(source: str, output: str, inputs: int, outputs: int, **how) -> Conv:
    weight = np.random.default_rng(outputs).normal(size=(outputs, inputs, 3, 3))
    bias = np.linspace(-1, 1, outputs)
    return Conv(source, output, np.float32(weight), np.float32(bias), (1, 1, 1, 1), **how)


GRAPH = Graph(
    (
        Pad("image", "padded", (1, 1, 1, 1)),
        Conv("padded", "first", np.ones((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)),
        conv("first", "second", 4, 4, clamp=(0.0, np.inf)),
        Add("first", "second", "sum", clamp=(-1.0, 9.0)),
        Concat(("sum", "second"), "both"),
        conv("both", "phases", 8, 12),
        DepthToSpace("phases", "upscaled", 2),
    ),
    (3, 8, 8),  # the images are of other sizes
)


def test_ranges_are_those_of_every_value_over_all_pictures(photographs):
    images = [photographs["chelsea"][:50, :61], photographs["astronaut"][100:140, 200:233]]
    found = channel_ranges(GRAPH, images)
    tensors = [run(GRAPH, image / 255) for image in images]
    assert list(found) == ["first", "second", "sum", "phases"]
    for name, (low, high) in found.items():
        expected = np.concatenate([t[name].reshape(-1, t[name].shape[2]) for t in tensors])
        np.testing.assert_allclose(low, expected.min(axis=0), rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(high, expected.max(axis=0), rtol=1e-5, atol=1e-4)
    whole = ranges(found)
    assert whole["sum"] == (found["sum"][0].min(), found["sum"][1].max())


def test_the_far_corner_of_a_large_picture_counts():
    image = np.zeros((TILE + 40, TILE + 70, 3), np.uint8)
    image[-1, -1] = 255
    low, high = ranges(channel_ranges(GRAPH, [image]))["first"]
    assert low == 0 and high == pytest.approx(3)  # that pixel's three channels


def test_pictures_without_an_inside_are_passed_over(photographs):
    small = np.full((7, 99, 3), 255, np.uint8)
    normal = photographs["chelsea"][:20, :20]
    both, one = channel_ranges(GRAPH, [small, normal]), channel_ranges(GRAPH, [normal])
    assert ranges(both) == ranges(one)
    with pytest.raises(UsageError, match="--calibration"):
        channel_ranges(GRAPH, [small])


def test_default_calibration_and_verification_share_no_picture():
    sets = [image_set(None, purpose, 2) for purpose in ("calibration", "verification")]
    names = [{pair.name for pair in images.pairs} for images in sets]
    assert names[0].isdisjoint(names[1]) and all(names)
    assert all(pair.hr.shape[0] == 2 * pair.lr.shape[0] for s in sets for pair in s.pairs)


def test_pictures_of_the_calibration_judge_before_generated_ones(
    tmp_path, photographs, monkeypatch
):
    for number in range(9):
        write(photographs["chelsea"][:32, :32], tmp_path / f"{number}.png")
    monkeypatch.setattr(image_sets, "find_spec", lambda name: None)  # no scikit-image
    images = image_set(None, "verification", 2, tmp_path)
    assert [pair.name for pair in images.pairs] == ["0", "2", "4", "6"]
    assert images.name == f"4 images of {tmp_path.name}"
    assert image_set(None, "verification", 2).name == "generated"


def test_a_folder_goes_by_its_name(tmp_path, photographs):
    write(photographs["chelsea"], tmp_path / "Set1" / "HR" / "chelsea.png")
    for folder in (tmp_path / "Set1" / "HR", tmp_path / "Set1"):
        images = image_set(folder, "verification", 3)
        assert images.name == "Set1"
        assert images.pairs[0].lr.shape == (100, 150, 3)
    with pytest.raises(ImageError, match="no images"):
        image_set(tmp_path, "calibration", 2)


def test_generated_pictures_are_the_same_everywhere_and_use_the_full_range():
    image = generated(1)
    assert (image == generated(1)).all() and (image != generated(2)).any()
    assert image.dtype == np.uint8 and image.shape == (image_sets.SIDE,) * 2 + (3,)
    assert image.min() == 0 and image.max() == 255
    jumps = np.abs(np.diff(image.astype(int), axis=1)).max(axis=(0, 1))
    assert (jumps > 200).all()  # hard edges in every channel


@pytest.mark.parametrize(
    "pyramid",
    [
        [
            MaxPool("phases", "coarse", (3, 3), (2, 2)),
            Resize("coarse", "smooth", (40, 60)),
        ],
        [
            MaxPool("phases", "coarse", (4, 4), (4, 4)),
            Concat(("coarse",) * 16, "copies"),
            DepthToSpace("copies", "smooth", 4),
        ],
    ],
    ids=["resized to a size", "of a multiple of 4"],
)
def test_a_graph_of_a_fixed_size_is_calibrated_at_it(pyramid, photographs):
    nodes = (
        conv("image", "phases", 3, 12),
        *pyramid,
        Add("phases", "smooth", "sum"),
        DepthToSpace("sum", "upscaled", 2),
    )
    graph = Graph(nodes, (3, 40, 60))
    image = photographs["chelsea"][:40, :90]
    halves = [run(graph, part / 255)["sum"] for part in (image[:, :60], image[:, 30:])]
    low, high = ranges(channel_ranges(graph, [image]))["sum"]
    assert low == pytest.approx(min(half.min() for half in halves), rel=1e-4)
    assert high == pytest.approx(max(half.max() for half in halves), rel=1e-4)
    mirrored = np.pad(image[:, :50], ((0, 0), (0, 10), (0, 0)), "symmetric")
    low, high = ranges(channel_ranges(graph, [image[:, :50]]))["sum"]
    assert (low, high) == pytest.approx(
        (run(graph, mirrored / 255)["sum"].min(), run(graph, mirrored / 255)["sum"].max()), rel=1e-4
    )
