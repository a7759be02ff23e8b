"""A WordNet of seven nouns in the layout of the real one."""

from __future__ import annotations

from pathlib import Path

LICENCE = "  1 licence\n"
# offset file lemmas pointers gloss; entity > animal > {bird > {gull, Owl(i)}, bat}, entity > tool > bat
DATA = """\
00000001 03 n 01 entity 0 002 ~ 00000002 n 0000 ~ 00000003 n 0000 | that which is
00000002 05 n 02 animal 0 beast 0 003 @ 00000001 n 0000 ~ 00000004 n 0000 ~ 00000005 n 0000 | a living thing
00000003 06 n 01 tool 0 002 @ 00000001 n 0000 ~ 00000006 n 0000 | a thing to work with
00000004 05 n 01 bird 0 003 @ 00000002 n 0000 ~ 00000007 n 0000 ~i 00000008 n 0000 | it flies; "a bird"
00000005 05 n 01 bat 0 001 @ 00000002 n 0000 | it flies at night
00000006 04 n 01 bat 0 001 @ 00000003 n 0000 | a turn at hitting
00000007 05 n 02 gull 0 sea_gull 0 001 @ 00000004 n 0000 | a bird of the coast
00000008 05 n 01 Archimedes 0 001 @i 00000004 n 0000 | an owl
"""
INDEX = """\
entity n 1 1 ~ 1 1 00000001
animal n 1 1 ~ 1 1 00000002
beast n 1 1 ~ 1 0 00000002
tool n 1 1 ~ 1 1 00000003
bird n 1 1 ~ 1 1 00000004
bat n 2 1 @ 2 1 00000006 00000005
gull n 1 1 @ 1 0 00000007
sea_gull n 1 1 @ 1 0 00000007
archimedes n 1 1 @i 1 0 00000008
"""
COUNTS = """\
animal%1:05:00:: 1 3
beast%1:05:00:: 1 9
bird%1:05:00:: 1 8
bat%1:04:00:: 1 5
bat%1:05:00:: 2 6
gull%2:41:00:: 1 7
"""


def write_wordnet(folder: Path) -> None:
    """Its files in a new folder."""
    folder.mkdir()
    for name, text in {"data.noun": DATA, "index.noun": INDEX, "cntlist.rev": COUNTS}.items():
        (folder / name).write_text(LICENCE + text, encoding="utf-8")
    (folder / "noun.exc").write_text("oxen ox\nbirdies bird\n", encoding="utf-8")
