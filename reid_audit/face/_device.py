"""Where ONNX graphs run: on the CPU, or on a CUDA device where onnxruntime finds one.

There is one onnxruntime per environment. The packages ``onnxruntime`` and ``onnxruntime-gpu`` bring the same module:
with both installed, whichever came last has overwritten the other.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from reid_audit.records import EngineError, InputError

DEVICES: tuple[str, ...] = ("auto", "cpu", "cuda")
"""What may be asked for."""

CPU_PROVIDER, CUDA_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"
_INSTALL = "pip uninstall --yes onnxruntime && pip install --force-reinstall 'onnxruntime-gpu>=1.19'"

_in_use: ContextVar[str] = ContextVar("device", default="cpu")


def device_in_use() -> str:
    """Return where graphs are loaded now: ``"cpu"`` or ``"cuda"``."""
    return _in_use.get()


def list_providers() -> list[str]:
    """Return what onnxruntime is to run graphs with now, the first that can do a node's work first."""
    return [CUDA_PROVIDER, CPU_PROVIDER] if device_in_use() == "cuda" else [CPU_PROVIDER]


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Load the graphs of a block on ``"cpu"`` or ``"cuda"``."""
    token = _in_use.set(device)
    try:
        yield
    finally:
        _in_use.reset(token)


def choose_device(asked: str, offered: Sequence[str]) -> str:
    """Return the device for what was asked, by the providers that onnxruntime offers.

    Parameters
    ----------
    asked : str
        One of `DEVICES`; ``"auto"`` is CUDA where it is offered.
    offered : sequence of str
        ``onnxruntime.get_available_providers()``; empty where no graph is to be run.

    Raises
    ------
    InputError
        Where the name is none.
    EngineError
        Where CUDA was asked for by name and is not offered.
    """
    if asked not in DEVICES:
        raise InputError(f"--device must be one of {', '.join(DEVICES)}. Got {asked!r} instead.")
    if asked == "cuda" and not offered:
        raise EngineError("--device cuda: dlib runs on the CPU alone; take an ONNX encoder, or --device cpu")
    if asked == "cuda" and CUDA_PROVIDER not in offered:
        raise EngineError(
            f"--device cuda: the installed onnxruntime offers {', '.join(offered)} and no {CUDA_PROVIDER}; never have "
            f"two onnxruntimes installed: {_INSTALL}; or take --device cpu"
        )
    return "cuda" if asked != "cpu" and CUDA_PROVIDER in offered else "cpu"


def check_started(session: Any) -> None:
    """Check that a session runs where it was told to: onnxruntime itself goes on without CUDA where that fails.

    Raises
    ------
    EngineError
        Where it does not.
    """
    if device_in_use() == "cuda" and CUDA_PROVIDER not in session.get_providers():
        raise EngineError(
            "CUDA could not be started, though onnxruntime offers it: driver, CUDA and cuDNN must be those that "
            "onnxruntime-gpu was built for (onnxruntime.ai/docs/execution-providers); take --device cpu until they are"
        )
