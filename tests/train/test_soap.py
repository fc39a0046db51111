"""The SOAP optimiser."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ailsr.train.soap import DECAY, Soap


def correlated() -> tuple[Tensor, Tensor]:
    """Inputs of 12 channels whose spectrum falls to 1e-4, and the outputs of a linear map."""
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q
    x = torch.randn(256, 12, generator=generator) * torch.logspace(0, -4, 12) @ turn
    return x, x @ torch.randn(12, 5, generator=generator)


def loss_after(steps: int, optimizer: type[torch.optim.Optimizer], **options: Any) -> float:
    x, y = correlated()
    linear = nn.Linear(12, 5)
    nn.init.zeros_(linear.weight), nn.init.zeros_(linear.bias)
    steps_of = optimizer(linear.parameters(), **options)
    for step in range(steps):
        steps_of.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
        loss = (linear(x) - y).square().mean()
        steps_of.zero_grad()
        loss.backward()
        steps_of.step()
    return float(loss.detach())


def test_it_fits_correlated_inputs_that_adam_does_not() -> None:
    adam = loss_after(300, torch.optim.Adam, lr=0.1, betas=(0.95, 0.95))
    assert loss_after(300, Soap, lr=0.1) < adam / 10


def test_a_bias_takes_adams_steps() -> None:
    bias, by_adam = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    ours = Soap([bias], lr=0.1)
    adam = torch.optim.Adam([by_adam], lr=0.1, betas=(DECAY, DECAY))
    for step in range(20):
        bias.grad = by_adam.grad = torch.tensor([1.0, -2.0, 0.1 * step + 0.1])
        before = by_adam.detach().clone()
        ours.step(), adam.step()
        if step == 0:  # it only measures
            by_adam.data.copy_(before)
    torch.testing.assert_close(bias, by_adam)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (1, 6, 5, 5), (7, 1), (5,), ()])
def test_a_stored_state_goes_on_exactly(shape: tuple[int, ...]) -> None:
    parameter = nn.Parameter(torch.zeros(shape))
    generator = torch.Generator().manual_seed(0)

    def advance(optimizer: Soap, parameter: nn.Parameter, gradients: list[Tensor]) -> None:
        for gradient in gradients:
            parameter.grad = gradient
            optimizer.step()

    gradients = [torch.randn(shape, generator=generator) for _ in range(25)]
    whole = Soap([parameter], lr=0.01)
    advance(whole, parameter, gradients[:12])
    kept, resumed = copy.deepcopy(whole.state_dict()), nn.Parameter(parameter.detach().clone())
    second = Soap([resumed], lr=0.01)
    second.load_state_dict(kept)
    advance(whole, parameter, gradients[12:])
    advance(second, resumed, gradients[12:])
    assert torch.equal(parameter, resumed)
    assert parameter.isfinite().all() and (parameter != 0).all()


@pytest.mark.parametrize(
    ("shape", "turned"),
    [
        ((16, 16, 3, 3), [16, 144]),
        ((4, 16, 5, 5), [4, None]),  # columns more than 16 times as many as rows
        ((8, 120, 3, 3), [8, None]),  # more than 1024
        ((12,), [None, None]),
    ],
)
def test_which_sides_are_turned(shape: tuple[int, ...], turned: list[int | None]) -> None:
    parameter = nn.Parameter(torch.zeros(shape))
    optimizer = Soap([parameter], lr=0.01)
    for _ in range(2):
        parameter.grad = torch.randn(shape)
        optimizer.step()
    bases = optimizer.state[parameter]["bases"]
    assert [None if basis is None else len(basis) for basis in bases] == turned


def test_the_state_of_another_optimiser_is_not_taken_up() -> None:
    parameter = nn.Parameter(torch.zeros(4, 3, 3, 3))
    adam = torch.optim.Adam([parameter], lr=0.01)
    parameter.grad = torch.ones_like(parameter)
    adam.step()
    with pytest.raises(ValueError, match="not of these weights"):
        Soap([parameter], lr=0.01).load_state_dict(adam.state_dict())


def test_a_dead_kernel_stays_as_it_is() -> None:
    parameter = nn.Parameter(torch.ones(4, 3, 3, 3))
    optimizer = Soap([parameter], lr=0.01)
    for _ in range(25):
        parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert torch.equal(parameter, torch.ones(4, 3, 3, 3))
