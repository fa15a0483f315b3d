"""The scenario types: a file a family, a coroutine a type that reads like its description."""

from __future__ import annotations

from scenarios.cast import Play
from scenarios.families import cut_ins, flows, obstacles, pedestrians, runner, surprises, turns

PLAYS: dict[str, Play] = {
    **cut_ins.PLAYS,
    **flows.PLAYS,
    **obstacles.PLAYS,
    **pedestrians.PLAYS,
    **runner.PLAYS,
    **surprises.PLAYS,
    **turns.PLAYS,
}
