"""What lies among images and is not read: counted in one sentence, so that nothing disappears silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# images by name: what Pillow has a reader for and is not among images.EXTENSIONS, and what it has none for
NAMES = (
    ".apng .arw .avif .avifs .blp .bw .cr2 .cr3 .cur .dcx .dds .dib .dng .emf .eps .exr .fit .fits .ftc .ftu .gbr "
    ".hdr .heic .heif .icb .icns .ico .iim .im .j2c .j2k .jfif .jp2 .jpc .jpe .jpf .jpx .jxl .mpo .msp .nef .orf "
    ".palm .pbm .pcd .pcx .pfm .pnm .psd .pxr .qoi .ras .rgb .rgba .rw2 .sgi .svg .tga .vda .vst .wmf .xbm .xpm"
)
KINDS = frozenset(NAMES.split())
NO_EXTENSION, LINKED = "without extension", "link to a folder"
SHOWN = 8


def is_hidden(path: Path) -> bool:
    """Whether a part of the relative ``path`` begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def kind_of(path: Path) -> str | None:
    """What an unread file might be an image of: its extension, or that it has none; None for other files."""
    extension = path.suffix.lower()
    if is_hidden(path) or (extension and extension not in KINDS):
        return None
    return extension or NO_EXTENSION


def told(kinds: Iterable[str | None]) -> str:
    """``3 files of other kinds were not read: .avif 2, .heic 1``; empty where there are none."""
    counts = Counter(kind for kind in kinds if kind is not None)
    if not counts:
        return ""
    order = sorted(counts, key=lambda kind: (-counts[kind], kind))
    parts = [f"{kind} {counts[kind]}" for kind in order[:SHOWN]]
    more = [f"{len(order) - SHOWN} more kinds"] if len(order) > SHOWN else []
    total = counts.total()
    files = "1 file of another kind was" if total == 1 else f"{total} files of other kinds were"
    return f"{files} not read: {', '.join(parts + more)}"


def others_in(folder: Path) -> str:
    """As ``told``, of everything below ``folder``; links to folders are not followed, and are counted too."""

    def kind(path: Path) -> str | None:
        relative = path.relative_to(folder)
        if path.is_dir():
            return LINKED if path.is_symlink() and not is_hidden(relative) else None
        return kind_of(relative)

    return told(map(kind, folder.rglob("*")))
