"""State dicts as people keep them: plain weights of a network whose class is not ours.

Weights are found under the keys that training frameworks use, without the prefixes that wrappers
add, and loaded into the class that the user names (``user_module.py``) or that spandrel knows
(``spandrel_module.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ailsr.runtime.errors import EngineError, ModelError, one_line

StateDict = dict[str, Tensor]

KEYS = (
    *("params_ema", "ema", "model_ema", "generator_ema", "params", "state_dict"),
    *("model_state_dict", "model", "net", "network", "generator", "netG", "G", "weights"),
)
"""Keys under which checkpoints hold weights, the better first: an average before the last step."""
COUNTERS = re.compile(r"(.*\.)?(total_ops|total_params|num_batches_tracked|n_averaged)")
"""Names of tensors that are no weights: what profilers and optimisers leave in a state dict."""
NAMED = 3
"""Number of names in a message."""


def read_safetensors(path: Path) -> StateDict:
    """The tensors in the file at ``path``. Raises ModelError; EngineError without safetensors."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise EngineError(f'{path} needs safetensors: pip install "ailsr[spandrel]"') from error
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    try:
        state: StateDict = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: a damaged safetensors file ({one_line(error)})") from error
    return state


def find_state_dict(content: Any) -> StateDict:  # noqa: ANN401
    """The weights in what a checkpoint holds, in float32. Raises ModelError when there are none."""
    found = {key: state for key, state in _state_dicts(content) if state}
    for key in (*KEYS, *found):
        if key in found:
            return {name: _real(tensor) for name, tensor in found[key].items()}
    holds = type(content).__name__
    if isinstance(content, Mapping):
        holds = "{" + _some(map(str, content)) + "}"
    raise ModelError(
        f"it has no weights: it holds {holds}, where tensors by their names are needed, under "
        f"a key such as {', '.join(KEYS[:1] + KEYS[4:6])} or none"
    )


def fitted(state: StateDict, module: nn.Module) -> StateDict:
    """``state`` with the names that ``module`` has, without the prefix of a wrapper.

    Raises ModelError, which says what of it does not fit.
    """
    own = {name: t for name, t in module.state_dict().items() if not COUNTERS.fullmatch(name)}
    state = {name: tensor for name, tensor in state.items() if not COUNTERS.fullmatch(name)}
    starts = {name: [0, *(dot.end() for dot in re.finditer(r"\.", name))] for name in state}
    prefixes = {n[:start] for n in state for start in starts[n] if n[start:] in own} or {""}
    candidates = [
        {name.removeprefix(p): t for name, t in state.items() if name.startswith(p)}
        for p in sorted(prefixes, key=lambda p: ("ema" not in p, len(p)))
    ]
    best = min(candidates, key=lambda named: len(own.keys() - named.keys()))
    faults = []
    if missing := own.keys() - best.keys():
        faults.append(f"lacks {len(missing)} of the {len(own)} tensors ({_some(sorted(missing))})")
    if further := best.keys() - own.keys():
        faults.append(f"has {len(further)} others ({_some(sorted(further))})")
    unlike = [
        f"{name} is {_sides(best[name])}, not {_sides(own[name])}"
        for name in own.keys() & best.keys()
        if best[name].shape != own[name].shape
    ]
    if unlike and not missing:
        faults.append(f"{len(unlike)} of its tensors have other sizes ({_some(sorted(unlike))})")
    if faults:
        raise ModelError(
            f"its weights are not those of {type(module).__name__}: it {'; it '.join(faults)}"
        )
    return best


def load_state(module: nn.Module, state: StateDict) -> nn.Module:
    """``module`` with the weights ``state``, in eval mode. Raises ModelError as ``fitted`` does."""
    module.load_state_dict(fitted(state, module), strict=False)
    return module.eval().requires_grad_(False)


def _state_dicts(content: Any, key: str = "", levels: int = 3) -> list[tuple[str, StateDict]]:  # noqa: ANN401
    """(key, tensors by their names) for each mapping in ``content`` that has such."""
    if not isinstance(content, Mapping):
        return []
    tensors = {n: t for n, t in content.items() if isinstance(n, str) and isinstance(t, Tensor)}
    found = [(key, tensors)]
    if levels:
        for name, value in content.items():
            if name not in ("optimizer", "optimizers", "optimizer_states", "optim"):
                found += _state_dicts(value, str(name), levels - 1)
    return found


def _real(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _some(names: Any) -> str:  # noqa: ANN401
    """The first of ``names``, and the number of the others."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return one_line(", ".join(names[:NAMED]), 200) + more


def _sides(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
