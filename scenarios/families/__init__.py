"""The scenario types: a file a family, a coroutine a type that reads like its description."""

from __future__ import annotations

from scenarios.families import obstacles, pedestrians
from scenarios.stage import Play

PLAYS: dict[str, Play] = {**obstacles.PLAYS, **pedestrians.PLAYS}
