"""Runs of ``ailsr-bench`` whose reports are judged by their schema, for the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import fastjsonschema

BENCH = Path(sys.executable).with_name("ailsr-bench")
SCHEMA_DOCUMENT = json.loads(files("ailsr.runtime").joinpath("report.schema.json").read_text())
validate = fastjsonschema.compile(SCHEMA_DOCUMENT)


def run(*arguments):
    return subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True)
