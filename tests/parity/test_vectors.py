"""The runtime computes what the vectors hold, as its twins in Java and TypeScript do."""

from __future__ import annotations

import pytest
from parity import vectors

CASES = [(name, case) for name in vectors.ANSWERS for case in vectors.read(name)]


@pytest.mark.parametrize(("name", "case"), CASES, ids=[name for name, _ in CASES])
def test_the_runtime_computes_what_its_vectors_hold(name, case):
    found, expected = vectors.ANSWERS[name](**case["given"]), case["expected"]
    if name in ("statistics", "scores"):  # sums, in whatever order numpy takes them
        expected = pytest.approx(expected, rel=1e-9)
    assert found == expected
