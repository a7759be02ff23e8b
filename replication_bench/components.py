"""U-Nets whose class is not diffusers' own, in folders: loaded through installed packages, never by running the folder.

An exported pipeline may carry the code of its U-Net, which stock diffusers runs with ``trust_remote_code=True``. Here
the class of that name comes through the door ``replication_bench.components`` instead, and the file is not run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from replication_bench import plugins
from replication_bench.errors import WeightsError


def custom_class(folder: Path) -> str | None:
    """The name of the U-Net's class where the pipeline in ``folder`` carries its code, else None."""
    try:
        library, name = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["unet"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(name) if (folder / "unet" / f"{library}.py").is_file() else None


def custom_unet(location: str) -> Any:
    """The U-Net in float32 of a folder that carries code for it; None where a stock class does.

    Raises:
        WeightsError: no installed package offers the class, or the weights do not fit it.
    """
    name = custom_class(Path(location))
    if name is None:
        return None
    if name not in plugins.available("components"):
        raise WeightsError(
            f"the U-Net's class '{name}' is not installed",
            where=location,
            got="code in the folder, which replbench does not run",
            hint=f"Install the package that offers the component '{name}'.",
        )
    model = plugins.load("components", name)
    try:
        return model.from_pretrained(Path(location) / "unet", torch_dtype=None).float()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise WeightsError(f"the weights are not those of a {name}", where=location, got=first) from error
