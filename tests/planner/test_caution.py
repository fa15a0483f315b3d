"""Before who may step onto the road ego drives so that it can still stop."""

from __future__ import annotations

import numpy as np
import pytest

from headway.types import AgentKind
from planner.mpc.planner import MpcPlanner

from .harness import Scripted, World, along, make_driver
from .test_drive import assert_clear
from .test_passing import straight  # noqa: F401 - a fixture

KERB = 45.0  # [m] along the route


def facing(route, d: float, turn: float):
    """Somebody who stands beside the road and looks this far [rad] left of along it."""

    def motion(t: float) -> tuple[float, float, float, float]:
        x, y, yaw, _ = along(route, lambda t: KERB, d)(t)
        return x, y, yaw + turn, 0.0

    return Scripted(motion, AgentKind.WALKER, (0.2, 0.2))


@pytest.mark.parametrize(
    ("d", "turn", "slows"),
    [(-2.5, 0.5 * np.pi, True), (-2.5, -0.5 * np.pi, False), (-2.5, 0.0, False),
     (-8.0, 0.5 * np.pi, False)],
)  # fmt: skip
def test_who_looks_across_from_the_kerb_is_passed_slowly(grid, straight, d, turn, slows):  # noqa: F811
    walker = facing(straight, d, turn)
    world = World(grid, straight, [walker], start_s=5.0, driver=make_driver(MpcPlanner()))
    world.drive(20.0, lambda w: w.s_d()[0][-1] > KERB + 25.0)
    assert_clear(world)
    s = world.s_d()[0]
    speed = world.driver.trace.column("speed")
    there = np.abs(s - (KERB - 3.0)) < 2.0
    assert (speed[there].max() < 6.0) == slows
    assert speed[-1] > 7.0, "and then it goes on"
