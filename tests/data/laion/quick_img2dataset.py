"""Writes what img2dataset 1.47.0 writes with the options of ``download.arguments``, in a moment.

``QUICK_DIES=N`` ends it by a signal after N shards; ``QUICK_FULL=N`` is a disk that is full from the Nth shard on.
"""

from __future__ import annotations

import io
import json
import math
import os
import signal
import sys
import tarfile
import urllib.request
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

REFUSED = {"noai", "noimageai", "noindex", "noimageindex"}


def fetch(url: str, timeout: float) -> tuple[bytes | None, str | None]:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            if REFUSED & set((answer.headers.get("X-Robots-Tag") or "").split(", ")):
                return None, "Use of image disallowed by X-Robots-Tag directive"
            return answer.read(), None
    except Exception as error:
        return None, str(error)


def write_shard(rows: list[dict[str, str]], folder: Path, number: int, size: int, timeout: float) -> None:
    digits, table = math.ceil(math.log10(size)), []
    with tarfile.open(folder / f"{number:05d}.tar", "w") as archive:
        # in the order of the downloads, which is not that of the links
        for place, row in reversed(list(enumerate(rows))):
            data, error = fetch(row["url"], timeout)
            key = f"{10**digits * number + place:0{digits + 5}d}"
            known = {**row, "key": key, "status": "failed_to_download" if error else "success"}
            table.append({**known, "error_message": error})
            files = {"jpg": data, "txt": row["caption"].encode(), "json": json.dumps(table[-1]).encode()}
            for extension, content in files.items() if data is not None else ():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    schema = pa.schema([(k, pa.string()) for k in table[0]])
    pq.write_table(pa.Table.from_pylist(table, schema), folder / f"{number:05d}.parquet")
    stats = {"count": len(rows)}
    (folder / f"{number:05d}_stats.json").write_text(json.dumps(stats))


def main() -> None:
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    rows = pq.read_table(options["--url_list"]).to_pylist()
    folder, size = Path(options["--output_folder"]), int(options["--number_sample_per_shard"])
    for number in range(math.ceil(len(rows) / size)):
        if number == int(os.environ.get("QUICK_DIES", -1)):
            (folder / f"{number:05d}.tar").write_bytes(b"half a shard")
            os.kill(os.getpid(), signal.SIGKILL)
        if number >= int(os.environ.get("QUICK_FULL", 1 << 30)):
            print(f"shard {number} failed with error [Errno 28] No space left on device")
            continue
        write_shard(
            rows[number * size : (number + 1) * size], folder, number, size, float(options["--timeout"])
        )


main()
