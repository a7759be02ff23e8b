"""The Pareto front: what no other row beats in replication and in quality at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reports.boards import Board

QUALITY = ("kd_heldout", "fd_heldout", "kd_train", "fd_train", "precision")
ALIGNMENT = ("clip_score", "alignment_mean")


def cost(value: float, better: str) -> float:
    """A number of which less is better."""
    return {"up": -value, "zero": abs(value)}.get(better, value)


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other point beats: none is as good in both costs and better in one."""
    return [
        name
        for name, (x, y) in points.items()
        if not any(
            other != name and a <= x and b <= y and (a < x or b < y) for other, (a, b) in points.items()
        )
    ]


def quality_metric(board: Board) -> str | None:
    """The measurement of quality that scatter and front are drawn against: the first that has a value."""
    return next((name for name in QUALITY if has_values(board, name)), None)


def alignment_metric(board: Board) -> str | None:
    """The measurement of text alignment, where there is one: by CLIP before any other image-text model."""
    return next((name for name in ALIGNMENT if has_values(board, name)), None)


def has_values(board: Board, name: str) -> bool:
    """Whether a row of the board has this measurement."""
    return any(group.value(name).value is not None for group in board.groups)


def fronts(board: Board, contenders: Collection[str]) -> dict[str, list[str]]:
    """By measurement of quality or alignment, which of the ``contenders``, by label, stand on its front with R."""
    found = {}
    for name in filter(None, (quality_metric(board), alignment_metric(board))):
        better = next(m.better for g in board.groups for r in g.results if (m := r.measurement(name)))
        groups = [group for group in board.groups if group.label in contenders]
        pairs = {group.label: (group.value("R").value, group.value(name).value) for group in groups}
        found[name] = front(
            {
                k: (cost(r, "down"), cost(q, better))
                for k, (r, q) in pairs.items()
                if r is not None and q is not None
            }
        )
    return found
