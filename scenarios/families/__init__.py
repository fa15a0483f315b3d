"""The scenario types: a file a family, a coroutine a type that reads like its description."""

from __future__ import annotations

from scenarios.families import obstacles
from scenarios.stage import Play

PLAYS: dict[str, Play] = {**obstacles.PLAYS}


def play_of(kind: str) -> Play:
    """Return the coroutine that plays a type of scenario.

    Raises:
        ValueError: we have none.
    """
    if kind not in PLAYS:
        raise ValueError(f"scenario type {kind!r} is not among ours: {', '.join(sorted(PLAYS))}")
    return PLAYS[kind]
