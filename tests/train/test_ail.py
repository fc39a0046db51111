import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ailsr.train.ail import (
    Importance,
    importance_loss,
    initial_importance,
    raised_importance,
    teacher_gap,
)

PAPER = Importance()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("error", "expected"),
    [(0.0, 1.0), (0.01, 0.5 / sigmoid(1)), (0.02, sigmoid(-1) / sigmoid(1)), (0.5, 0.0)],
)
def test_initial_importance_is_the_papers_sigmoid(error, expected):
    w = initial_importance(torch.tensor([error]), PAPER)
    assert float(w) == pytest.approx(expected, abs=1e-6)


def test_importance_rises_round_by_round_up_to_one():
    w0, error = torch.tensor([0.2]), torch.tensor([0.1])
    rises = [float(raised_importance(w0, error, k, PAPER)) for k in range(1, 20)]
    expected = [min(1.0, 0.2 + 0.15 * k * math.exp(-1)) for k in range(1, 20)]
    assert rises == pytest.approx(expected, abs=1e-6)
    assert rises[-1] == 1.0


@given(
    st.floats(0, 1), st.floats(0, 1), st.integers(1, 9), st.floats(0, 1, width=32),
)  # fmt: skip
def test_importance_is_monotone_in_the_error_and_in_unit_range(e1, e2, k, student_error):
    low, high = sorted((e1, e2))
    errors = torch.tensor([low, high], dtype=torch.float32)
    w0 = initial_importance(errors, PAPER)
    assert w0[0] >= w0[1]
    raised = raised_importance(w0, torch.tensor(student_error), k, PAPER)
    assert torch.all(raised >= w0)
    assert 0 <= float(raised.min()) <= float(raised.max()) <= 1


def test_loss_weighs_the_residual_before_squaring():
    rng = np.random.default_rng(0)
    s, y, w = (rng.random((2, 1, 5, 4)).astype(np.float32) for _ in range(3))
    loss = importance_loss(*(torch.from_numpy(a) for a in (s, y, w)))
    assert float(loss) == pytest.approx(np.mean((w * (s - y)) ** 2), rel=1e-6)


def test_the_gap_to_the_teacher_is_the_mean_over_channels():
    output = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1)
    taught = torch.tensor([0.3, 0.4, 0.4]).view(1, 3, 1, 1)
    torch.testing.assert_close(teacher_gap(taught, output), torch.full((1, 1, 1, 1), 0.1))
