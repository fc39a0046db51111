"""The execution providers of onnxruntime: what computes a session's operators instead of its own
kernels for the CPU.

A provider is part of the onnxruntime package, or comes in a package of its own beside it, which has
to be registered (onnxruntime 1.23 or later).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ailsr.runtime.engines.engine import Backend
from ailsr.runtime.errors import EngineError, one_line

_SUFFIX = "ExecutionProvider"
_RECORD = "session.record_ep_graph_assignment_info"  # from onnxruntime 1.24


@dataclass(frozen=True)
class Provider:
    """An execution provider, and the package that brings it."""

    title: str
    """Its name, as people and onnxruntime write it."""
    install: str
    """What brings it."""
    options: Callable[[int], Mapping[str, str]] = lambda threads: {}
    """Its options, for so many CPU threads."""
    plugin: str = ""
    """The module of the package that brings it beside onnxruntime; empty: there is none."""
    device: str = "GPU"
    """The kind of device that is taken of a package's: CPU, GPU or NPU."""
    code: str = ""
    """onnxruntime's name for it where that is not the title."""

    @property
    def full_name(self) -> str:
        """Its name in onnxruntime's interface."""
        return f"{self.code or self.title}{_SUFFIX}"


def _openvino(threads: int) -> dict[str, str]:
    """On the CPU in the file's own precision: on cores with AMX, float32 would be bfloat16."""
    config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    return {"load_config": json.dumps({"CPU": config})}


CPU = "onnxruntime"
"""The name of the engine that has no provider but the CPU."""
PROVIDERS: dict[str, Provider] = {
    "cuda": Provider("CUDA", 'pip install "onnxruntime-gpu[cuda,cudnn]" in place of onnxruntime'),
    "tensorrt": Provider(
        "TensorRT",
        "pip install onnxruntime-gpu tensorrt in place of onnxruntime",
        code="Tensorrt",
    ),
    "directml": Provider(
        "DirectML",
        "on Windows: pip install onnxruntime-directml in place of onnxruntime",
        code="Dml",
    ),
    "coreml": Provider("CoreML", "onnxruntime's own package has it on macOS"),
    "openvino": Provider(
        "OpenVINO",
        "pip install onnxruntime-ep-openvino beside onnxruntime 1.23 or later",
        _openvino,
        "onnxruntime_ep_openvino",
        "CPU",
    ),
    "qnn": Provider(
        "QNN",
        "pip install onnxruntime-qnn beside onnxruntime 1.23 or later",
        plugin="onnxruntime_qnn",
        device="NPU",
    ),
    "xnnpack": Provider(
        "XNNPACK",
        "no package on PyPI has it, build onnxruntime with --use_xnnpack",
        lambda threads: {"intra_op_num_threads": str(threads)},
        device="CPU",
        code="Xnnpack",
    ),
    "webgpu": Provider(
        "WebGPU",
        "pip install onnxruntime-ep-webgpu beside onnxruntime 1.24.4 or later",
        plugin="onnxruntime_ep_webgpu",
        code="WebGpu",
    ),
}
"""By the name of the engine."""

PACKAGES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
    *("onnxruntime-ep-openvino", "onnxruntime-qnn", "onnxruntime-webgpu", "onnxruntime-ep-webgpu"),
    *("openvino", "tensorrt"),
)
"""Names of the packages that decide what is available, and how fast it is."""


def available() -> list[str]:
    """The names of those that the installed packages have, of whatever the machine has devices
    for. Raises ImportError where onnxruntime is missing."""
    return [name for name, provider in PROVIDERS.items() if _has(provider)]


def check_installed(name: str) -> None:
    """Raise EngineError when the installed packages do not have provider ``name``, or no device for
    it is there; the message says what to install."""
    import onnxruntime

    provider = PROVIDERS[name]
    if provider.full_name in _built_in():
        return
    if (devices := _plugin_devices(provider)) is None:
        names = sorted(n.removesuffix(_SUFFIX) for n in onnxruntime.get_available_providers())
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} has no {provider.title} here (it has "
            f"{', '.join(names)}): {provider.install}"
        )
    if not devices:
        raise EngineError(
            f"{provider.plugin} finds no {provider.device} that it can use on this machine: check "
            "its driver (on Linux a GPU needs Vulkan, libvulkan.so.1), or leave out --engine"
        )


def add_provider(options: Any, name: str, threads: int) -> dict[str, Any]:  # noqa: ANN401
    """Tell the session ``options`` of provider ``name``; what else to give ``InferenceSession``.

    Raises EngineError where the installed packages do not have it.
    """
    import onnxruntime

    provider = PROVIDERS[name]
    own = dict(provider.options(threads))
    if name == "directml":
        options.enable_mem_pattern = False  # it has to be off
    if name == "xnnpack":  # it has threads of its own
        options.intra_op_num_threads = 1
    if name in ("cuda", "tensorrt") and hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()
    if provider.full_name in _built_in():
        if name == "openvino":
            own["device_type"] = "CPU"
        others = [f"CUDA{_SUFFIX}"] if name == "tensorrt" else []  # for what it does not take
        return {"providers": [(provider.full_name, own), *others, f"CPU{_SUFFIX}"]}
    check_installed(name)
    devices = _plugin_devices(provider) or []
    options.add_provider_for_devices(devices[:1], own)
    return {}


def check_taken(session: Any, name: str) -> None:  # noqa: ANN401
    """Raise EngineError when ``session`` does without provider ``name``, of which onnxruntime tells
    nobody."""
    provider = PROVIDERS[name]
    if provider.full_name not in session.get_providers():
        raise EngineError(
            f"onnxruntime cannot start {provider.title} here, and would use the CPU instead: check "
            f"its drivers and libraries ({provider.install}), or leave out --engine"
        )


def record_assignment(options: Any) -> None:  # noqa: ANN401
    """Have the sessions of ``options`` remember what ``assigned`` tells."""
    options.add_session_config_entry(_RECORD, "1")


def assigned(session: Any, name: str) -> tuple[Backend, ...] | None:  # noqa: ANN401
    """The operators of the file by provider, first ``name``'s, then what is left to the CPU; None
    where onnxruntime is too old to tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    types: dict[str, list[str]] = {PROVIDERS[name].full_name: []}
    for part in session.get_provider_graph_assignment_info():
        types.setdefault(part.ep_name, []).extend(node.op_type for node in part.get_nodes())
    return tuple(Backend.of(title(name), kinds) for name, kinds in types.items())


def title(full_name: str) -> str:
    """The name for people of the provider that onnxruntime calls ``full_name``."""
    for provider in PROVIDERS.values():
        if provider.full_name == full_name:
            return provider.title
    return full_name.removesuffix(_SUFFIX)


def _has(provider: Provider) -> bool:
    try:
        return provider.full_name in _built_in() or bool(_plugin_devices(provider))
    except EngineError:
        return False


@functools.cache
def _built_in() -> frozenset[str]:
    """What onnxruntime has without any other package; asked for before those are registered."""
    import onnxruntime

    return frozenset(onnxruntime.get_available_providers())


@functools.cache
def _plugin_devices(provider: Provider) -> list[Any] | None:
    """The devices of the package that brings ``provider``, registered; None: it is not installed.

    Raises EngineError for a package that onnxruntime refuses.
    """
    import onnxruntime

    _built_in()
    if not provider.plugin or not hasattr(onnxruntime, "register_execution_provider_library"):
        return None
    try:
        package = importlib.import_module(provider.plugin)
    except ImportError:
        return None
    try:
        onnxruntime.register_execution_provider_library(provider.plugin, package.get_library_path())
    except Exception as error:  # onnxruntime has a dozen classes and no common base
        raise EngineError(f"onnxruntime refuses {provider.plugin}: {one_line(error)}") from error
    kind = getattr(onnxruntime.OrtHardwareDeviceType, provider.device)
    return [
        device
        for device in onnxruntime.get_ep_devices()
        if device.ep_name == provider.full_name and device.device.type == kind
    ]
