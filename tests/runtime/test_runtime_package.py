"""What ``ailsr.runtime`` exports, and what importing it must not cost."""

from __future__ import annotations

import subprocess
import sys

import ailsr.runtime
from ailsr.runtime import errors

ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)}
PUBLIC = {"Card", "Upscaler", "load", *ERRORS}


def test_the_public_names_are_these():
    assert set(ailsr.runtime.__all__) == PUBLIC
    assert all(hasattr(ailsr.runtime, name) for name in PUBLIC)


def test_importing_it_brings_numpy_and_at_most_pillow():
    code = "import sys, ailsr.runtime; print(*{name.split('.')[0] for name in sys.modules})"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(child.stdout.split())
    assert "numpy" in loaded
    heavy = {"torch", "typer", "rich", "onnxruntime", "ai_edge_litert", "onnx", "coremltools"}
    assert not loaded & {*heavy, "matplotlib", "scipy", "flatbuffers"}
