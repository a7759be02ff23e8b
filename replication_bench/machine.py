"""What this machine is: device, precision, packages; recorded in every result and shown by ``replbench doctor``."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from replication_bench.errors import ConfigError
from replication_bench.processes.launch import on_cpu

RECORDED = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "faiss-cpu",
    "faiss-gpu-cu12",
    "numpy",
    "onnxruntime",
    "pillow",
    "resvg-py",
    "replbench",
)


MIB = 2**20
# M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of glibc's malloc.h; the last one can be no larger.
KEPT = ((-1, 1024 * MIB), (-2, 64 * MIB), (-3, 32 * MIB))


def keep_freed_memory() -> None:
    """Keep up to 1 GiB that was freed for what comes next, where the C library is glibc.

    The tensors of a step have the sizes of those of the step before. By default their pages go back to the system in
    between, which then fills new ones with zeros; see ``benchmarks/environment.py``.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, size in KEPT:
            mallopt(option, size)


def choose_device() -> str:
    """``cuda`` where there is one, else ``cpu``; also where the launcher asks for the CPU."""
    import torch

    if on_cpu():
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """The device as a result names it: the model of a GPU decides the last bits."""
    import torch

    return f"{device}, {torch.cuda.get_device_name()}" if device.startswith("cuda") else device


def computes_bf16(device: str) -> bool:
    """Whether bf16 is native and therefore faster; emulated bf16 is many times slower than fp32."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(native()) if native else False


def choose_precision(asked: str, device: str) -> str:
    """Accelerate's name of the mixed precision: ``no``, ``bf16`` or ``fp16``.

    Raises:
        ConfigError: fp16 on a CPU, where Accelerate would train in float32 without a word.
    """
    if asked == "fp16" and device == "cpu":
        raise ConfigError(
            "a CPU does not train in fp16", where="train.precision", got=asked, want="fp32, bf16 or auto"
        )
    if asked == "auto":
        return "bf16" if computes_bf16(device) else "no"
    return {"fp32": "no"}.get(asked, asked)


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a number."""
    found = {}
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of a source checkout, marked where files differ from it; None for an installed package."""
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        top = subprocess.run(
            [*git, "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=True
        )
        if Path(top.stdout.strip()) != folder.parent:
            return None
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changed" if changed.stdout.strip() else "")
