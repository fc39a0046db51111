"""Small files that unpack to gigabytes: reading has a bound, beyond which it names the reason."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import pytest
from image_files import chunk

ZEROS = 384 << 20
READ = """
import sys
from pathlib import Path
from ailsr.runtime import ImageError
from ailsr.runtime.imaging.image import Limit, read_image
from ailsr.runtime.memory import peak_memory_bytes
path, memory = Path(sys.argv[1]), int(sys.argv[2])
before = peak_memory_bytes()
try:
    print(*read_image(path, limit=Limit(memory, path.parent) if memory else None).size)
except ImageError as error:
    print(error)
print((peak_memory_bytes() or 0) - (before or 0))
"""


@pytest.fixture(scope="module")
def zeros():
    """A zlib stream of ZEROS zeros, in two megabytes or less."""
    pack, block = zlib.compressobj(1), bytes(1 << 22)
    return b"".join(pack.compress(block) for _ in range(ZEROS >> 22)) + pack.flush()


def png(size, depth, color, pixels, *before):
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0)
    parts = [(b"IHDR", header), *before, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


SMALL = zlib.compress(bytes(4 * (1 + 3 * 4)))
BOMBS = {
    "profile": (lambda z: png((4, 4), 8, 2, SMALL, (b"iCCP", b"x\0\0" + z)), "metadata (iCCP) of"),
    "raw profile": (
        lambda z: png((4, 4), 8, 2, SMALL, (b"zTXt", b"Raw profile type exif\0\0" + z)),
        "metadata (zTXt) of",
    ),
    "XMP": (
        lambda z: png((4, 4), 8, 2, SMALL, (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + z)),
        "metadata (iTXt) of",
    ),
    "comment": (lambda z: png((4, 4), 8, 2, SMALL, (b"zTXt", b"Comment\0\0" + z)), "4 4"),
    "pixels": (lambda z: png((4, 4), 8, 2, z), "4 4"),
    "row": (lambda z: png((ZEROS // 4, 1), 8, 2, z), f"rows of {ZEROS // 4} pixels, too long"),
    "row of bits": (lambda z: png((ZEROS, 1), 1, 0, z), f"rows of {ZEROS} pixels, too long"),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("memory", [0, 96 << 20])
def test_what_is_unpacked_has_a_bound(tmp_path, zeros, bomb, memory):
    make, expected = BOMBS[bomb]
    path = tmp_path / "bomb.png"
    path.write_bytes(make(zeros))
    assert path.stat().st_size < 3 << 20
    done = subprocess.run(
        [sys.executable, "-c", READ, path, str(memory)], capture_output=True, text=True
    )
    assert done.stderr == ""
    answer, peak = done.stdout.splitlines()
    assert expected in answer
    assert int(peak) < (memory or ZEROS * 3 // 4)
