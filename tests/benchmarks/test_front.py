"""The page and the figure of what to take for a budget, and of shapes for the kernels."""

import errno
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmark_runs import BENCHMARKS, repeating, run

from ailsr.runtime.cpu import read_text

SVG = "{http://www.w3.org/2000/svg}"


def test_the_front_holds_what_nothing_beats(photos):
    repeating(1.0, photos / "nearest.tflite", (40, 60))
    (table,) = run(
        "front.py", "--calibration", "photos", "--test", "photos", "--only", "sesr_m3",
        "--only", "sesr_m5", "--only", "sesr_m5_research", "--scale", 2, "--input-size", "40x60",
        "--file", "nearest.tflite", "--runs", 3, "--seconds", 0.1, "--processes", 1,
        "--kept", "kept", "--output", "front.md", "--figure", "front.svg", cwd=photos,
    )  # fmt: skip
    rows = {row["name"]: row for row in table["rows"]}
    assert {"FSRCNN, OpenCV", "ArtCNN C4F16", "eSR-MAX"} <= set(table["left_out"])
    assert set(table["left_out"].values()) == {"no --peers given"}
    nearest, m3, m5, research = (
        rows[name] for name in ("nearest.tflite", "sesr_m3", "sesr_m5", "sesr_m5_research")
    )
    assert (m5["images"], research["images"], nearest["images"]) == ("free", "research", "peer")
    assert rows["Pillow Lanczos"]["psnr"]["photos"] > rows["Pillow bicubic"]["psnr"]["photos"]
    assert research["p50_ms"] == m5["p50_ms"] and m5["ratio"] == 1
    places = {n: (-row["p50_ms"], round(row["psnr"]["photos"], 2)) for n, row in rows.items()}
    for name, row in rows.items():
        behind = any(
            place != places[name] and all(np.greater_equal(place, places[name]))
            for place in places.values()
        )
        alike = [rows[n]["front"] for n, place in places.items() if place == places[name]]
        assert sorted(filter(None, alike)) == ([] if behind else [["photos"]])
        assert row["free_front"] == [] or row["images"] in ("free", "CC0", "")
    # 5×5 from RGB to 16, 3×3 from 16 to 16 three times, 5×5 from 16 to four RGB pixels, and the
    # skip, 1×1 from RGB to four pixels; by four.
    count = 25 * 3 * 16 + 3 * 9 * 16 * 16 + 25 * 16 * 12 + 3 * 12
    assert m3["multiplications"] == count / 4
    assert nearest["multiplications"] == 3 * 12 / 4
    page = (photos / "front.md").read_text()
    (choice,) = (line for line in page.splitlines() if line.startswith("- ×2: "))
    chosen = {name for name, row in rows.items() if row["images"] and row["free_front"]}
    assert chosen and set(re.findall(r"`(\w+)` \S+ ms \d", choice)) == chosen
    assert page.count("\n| `sesr_m") == 3 and "FSRCNN, OpenCV (no --peers given)" in page
    words = [text.text for text in ElementTree.parse(photos / "front.svg").iter(f"{SVG}text")]
    assert {"images for research", "images for commercial use", "of others"} <= set(words)


@pytest.mark.skipif(
    "amx_tile" not in (read_text("/proc/cpuinfo") or ""), reason="AMX NOT TESTED: there is none"
)
def test_amx_is_refused_to_a_process_and_its_children():
    request = "libc.syscall(amx.ARCH_PRCTL, amx.REQUEST_TILES, 18), ctypes.get_errno()"
    child = f"import amx, ctypes; libc = ctypes.CDLL(None, use_errno=True); print({request})"
    code = "import amx, subprocess, sys; amx.switch_off(); subprocess.run(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, "-c", child],
        cwd=BENCHMARKS, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["-1", str(errno.EPERM)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "sesr_m5_x2"], "name it without its scale"),
        (["--scale", "0"], "--scale 0 is not supported"),
        (["--input-size", "360"], "--input-size 360: give height and width"),
        (["--output", "text.md"], "text.md has no lines"),
        (["--peers", "nowhere"], "--peers nowhere: there is no such folder"),
        (["--test", "./photos"], "are both called photos"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(photos, arguments, says):
    (photos / "text.md").write_text("text")
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "front.py", "--calibration", "photos", "--test", "photos",
         "--output", "new.md", "--kept", "nothing", *arguments],
        cwd=photos, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (photos / "nothing").exists()


def test_shapes_of_networks_are_timed():
    (deep,) = run(
        "kernel_shapes.py", "sesr3_m4_w8", "--size", "24x32", "--seconds", 0, cwd=BENCHMARKS
    )
    # 3×3 from RGB to 8, from 8 to 8 four times, from 8 to four RGB pixels, and the skip, 1×1
    count = 24 * 32 * (9 * 3 * 8 + 4 * 9 * 8 * 8 + 9 * 8 * 12 + 3 * 12)
    assert deep["gmac"] == pytest.approx(count / 1e9)
    assert deep["block_gmac"] == pytest.approx(24 * 32 * 9 * 8 * 8 / 1e9)
    assert deep["ms"] > 0
