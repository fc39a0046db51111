"""``make fuzz``: damaged and made-up files and replies, and what becomes of them.

    python tests/fuzz.py [CASES [SEED]]

Each kind of input is damaged in a process of its own, under limits of time and memory. Counted are
one-line errors, inputs that were used all the same, tracebacks, signals, time-outs, runs that took
more memory than they may, and images that came out otherwise without a word. All but the first two
have to be 0; else the exit code is 1 and the first such case of each kind is told by its seed.
Model files are also run, one in ``RUN_EVERY`` of the cases: each takes a process of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
SECONDS = 60.0
"""For one case, the start of Python left out."""
MEMORY = 2 << 30
"""Bytes beside what the libraries take, for one kind."""
OUTCOMES = ("one line", "used", "traceback", "signal", "time-out", "memory", "changed")
MODELS = ("onnx", "onnx resealed", "tflite", "tflite resealed")
RUNS = tuple(f"{kind} run" for kind in MODELS)
RUN_EVERY = 20
IMAGES = ("png", "png resealed", "ppm", "jpg", "tif", "gif", "webp", "bmp")
KINDS = (*MODELS, *RUNS, *IMAGES, "card", "report", "reply", "toml")
TOKENS = (
    *(b"1e999", b"NaN", b"-1", b"8.5", b"null", b"[]", b"{}", b'"x"', b"true", b"[" * 200),
    *(b"9" * 400, b'"\\ud800"', b"\x1b[2J", b"\xff\xfe", b"\0", b"4294967295", b"0"),
)


def seeds_of(folder: Path) -> dict[str, bytes]:
    """A right input of each kind."""
    from ailsr.export.graph.graph import Conv, DepthToSpace, Graph
    from ailsr.export.targets.onnx import writer as onnx_writer
    from ailsr.export.targets.tflite import writer as tflite_writer
    from ailsr.runtime.card import Card
    from ailsr.train.recipe import Recipe

    card = Card("net", 2, "rgb", "float32", "float32", (12, 12), 1, training={"train": ["a"]})
    convolution = Conv(
        "image", "x", np.ones((12, 3, 3, 3), np.float32) / 27, np.zeros(12, np.float32), (1,) * 4
    )
    graph = Graph((convolution, DepthToSpace("x", "upscaled", 2)), (3, 12, 12))
    inputs = {}
    for kind, writer in (("onnx", onnx_writer), ("tflite", tflite_writer)):
        writer.write(graph, card, folder / f"net.{kind}", None)
        content = (folder / f"net.{kind}").read_bytes()
        inputs |= {name: content for name in (*MODELS, *RUNS) if name.split()[0] == kind}
    for kind in IMAGES:
        path = folder / f"image.{kind.split()[0]}"
        Image.fromarray(photograph()).save(path)
        inputs[kind] = path.read_bytes()
    report = (ROOT / "tests" / "parity" / "report.json").read_bytes()
    return {
        **inputs,
        "card": card.to_json().encode(),
        "report": report,
        "reply": json.dumps({"report": json.loads(report)}).encode(),
        "toml": Recipe(train=[Path("photos")]).to_toml().encode(),
    }


def photograph() -> np.ndarray:
    """An image without flat parts, 24×32."""
    from ailsr.runtime.probe import probe_image

    return probe_image(24, 32)


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """``content`` cut, with flipped bytes, or with a part replaced by something else."""
    how = random.integers(6)
    at = int(random.integers(len(content)))
    if how == 0:
        return content[:at]
    if how == 1:
        flipped = np.frombuffer(content, np.uint8).copy()
        places = random.integers(0, len(content), 4)
        places[:2] %= 600
        flipped[places % len(flipped)] ^= random.integers(1, 256, 4, dtype=np.uint8)
        return flipped.tobytes()
    token = TOKENS[random.integers(len(TOKENS))]
    if how == 2:
        return content[:at] + token + content[at:]
    return replaced(content, token, random)


def replaced(content: bytes, token: bytes, random: np.random.Generator) -> bytes:
    """``content`` with a value of its JSON or TOML replaced."""
    import re

    values = [*re.finditer(rb"(?<=[:=] |.[:,\[])(\d[\d.]*|\"[^\"\n]*\"|null|true)", content)]
    if not values:
        return token + content
    found = values[random.integers(len(values))]
    return content[: found.start()] + token + content[found.end() :]


def resealed(content: bytes) -> bytes:
    """``content`` with the seal that is right for it; of a PNG, with the right checksums."""
    if content.startswith(b"\x89PNG"):
        return with_checksums(content)
    from ailsr.runtime.seal import UNSEALED, sealed

    prefix = UNSEALED[:-64].encode()
    at = content.find(prefix)
    if at < 0 or at + len(UNSEALED) > len(content):
        return content
    return sealed(content[:at] + UNSEALED.encode() + content[at + len(UNSEALED) :])


def with_checksums(png: bytes) -> bytes:
    """``png`` with the right CRC-32 behind each chunk that is whole."""
    whole, at = bytearray(png), 8
    while at + 12 <= len(whole):
        end = at + 8 + int.from_bytes(whole[at : at + 4], "big")
        if end + 4 > len(whole):
            break
        whole[end : end + 4] = zlib.crc32(whole[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(whole)


def result(kind: str, path: Path) -> np.ndarray:
    """The image that comes of an image, or of a model file. Raises AilsrError."""
    if kind in IMAGES:
        from ailsr.runtime.imaging.image import read

        return read(path)
    from ailsr.runtime import load

    return load(path, threads=1).upscale(photograph())


def is_changed(kind: str, path: Path, right: np.ndarray, found: np.ndarray) -> bool:
    """Whether an image differs from ``right`` though nothing was allowed to change it; what Pillow
    reads in the same way is another image, not a damaged one."""
    if kind not in ("png", "onnx run", "tflite run") or np.array_equal(found, right):
        return False
    if kind == "png":
        try:
            with Image.open(path) as image:
                return not np.array_equal(np.asarray(image.convert("RGB")), found)
        except Exception:
            return True
    return True


def use(kind: str, path: Path) -> None:
    """What the program does with such an input. Raises AilsrError when it is refused."""
    from ailsr.runtime.errors import ModelError

    if kind in MODELS:
        from ailsr.runtime.anatomy.lint import lint, reads
        from ailsr.runtime.anatomy.lint_rules import DELEGATES
        from ailsr.runtime.anatomy.registry import anatomy
        from ailsr.runtime.commands.show import document
        from ailsr.runtime.documents import dump

        found = anatomy(str(path))
        dump(document(str(path), found))
        for delegate in DELEGATES:
            if reads(delegate, found):
                list(lint(found, delegate).lines())
    elif kind == "card":
        from ailsr.runtime.card import Card

        if (card := Card.of_file(path.read_bytes(), sealed=True)) is not None:
            card.to_json()
    elif kind == "report":
        from ailsr.runtime.bench.comparison import compare, load_report

        report = load_report(path)
        compare(report, report)
    elif kind == "reply":
        from ailsr.runtime import documents
        from ailsr.runtime.bench.report_document import read_results, to_document

        try:
            reply = documents.parse(path.read_bytes())
        except ValueError as error:
            raise ModelError(str(error)) from None
        results = read_results(reply.get("report") if isinstance(reply, dict) else None, "device")
        to_document(results)
    else:
        from ailsr.train import option_file
        from ailsr.train.recipe import Recipe

        values = option_file.read(path, Recipe)
        values["train"] = [Path(folder) for folder in values.get("train", ["a"])]
        Recipe(**values)


def child(kind: str, path: Path, cases: int, first: int) -> None:
    """Use damaged inputs; one line of standard output for each, before and after it."""
    from ailsr.runtime.errors import AilsrError

    content = path.read_bytes()
    makes_image = kind in (*IMAGES, *RUNS)
    right = result(kind, path) if makes_image else np.empty(0)
    for seed in range(first, cases):
        damage = damaged(content, np.random.default_rng(seed))
        path.write_bytes(resealed(damage) if "resealed" in kind else damage)
        print(f"case {seed}", flush=True)  # noqa: T201
        try:
            if makes_image:
                found = result(kind, path)
                outcome = "changed" if is_changed(kind, path, right, found) else "used"
            else:
                use(kind, path)
                outcome = "used"
        except AilsrError as error:
            text = str(error)
            outcome = "one line" if "\n" not in text and len(text) < 2000 else "traceback"
        except MemoryError:
            outcome = "memory"
        print(outcome, flush=True)  # noqa: T201


def fuzz(kind: str, content: bytes, cases: int, first: int) -> tuple[Counter[str], str]:
    """How often each outcome came, and the first case that went wrong; empty for none."""
    found: Counter[str] = Counter()
    wrong = ""
    if kind in RUNS:
        cases = -(-cases // RUN_EVERY)
    end = first + cases
    with tempfile.TemporaryDirectory() as folder:
        ending = kind.split()[0]
        path = Path(folder, f"input.{ending}")
        while first < end:
            path.write_bytes(content)
            command = [sys.executable, __file__, "child", kind, str(path), str(end), str(first)]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=SECONDS + cases * 2
                )
                code, output, words = done.returncode, done.stdout, done.stderr
            except subprocess.TimeoutExpired as error:
                code, words = None, ""
                output = (error.stdout or b"").decode()
            lines = output.split("\n")
            found.update(line for line in lines if line in OUTCOMES)
            started = [int(line[5:]) for line in lines if line.startswith("case ")]
            ended = sum(line in OUTCOMES for line in lines)
            if code == 0:
                break
            outcome = "time-out" if code is None else "signal" if code < 0 else "traceback"
            found[outcome] += 1
            last = started[-1] if started else first
            wrong = wrong or f"{kind}, seed {last}: {outcome} {words.strip()[-200:]}"
            first = max(first + ended + 1, last + 1)
    return found, wrong


def main(cases: int, first: int) -> int:
    """Fuzz each kind; print a line for each."""
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        inputs = seeds_of(Path(folder))
    for kind in KINDS:
        found, wrong = fuzz(kind, inputs[kind], cases, first)
        counts = ", ".join(f"{found[outcome]} {outcome}" for outcome in OUTCOMES)
        print(f"{kind:>19}: {counts}", flush=True)  # noqa: T201
        if wrong or any(found[outcome] for outcome in OUTCOMES[2:]):
            print(f"{'':>19}  {wrong}")  # noqa: T201
            code = 1
    return code


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        with Path("/proc/self/statm").open() as statm:
            taken = int(statm.read().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (taken + MEMORY, taken + MEMORY))
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        numbers = [int(word) for word in sys.argv[1:]]
        raise SystemExit(main(*[*numbers, *(1000, 0)[len(numbers) :]]))
