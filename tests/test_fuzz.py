"""A few hundred cases of ``make fuzz``: none but one-line errors, or use."""

from __future__ import annotations

import pytest
from fuzz import KINDS, OUTCOMES, RUN_EVERY, RUNS, fuzz, seeds_of


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return seeds_of(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_input_is_one_line_or_used(inputs, kind):
    found, wrong = fuzz(kind, inputs[kind], 60, 0)
    assert wrong == ""
    cases = 60 // RUN_EVERY if kind in RUNS else 60
    assert sum(found.values()) == cases
    assert not any(found[outcome] for outcome in OUTCOMES[2:])
    assert kind in RUNS or found["one line"] >= 10
