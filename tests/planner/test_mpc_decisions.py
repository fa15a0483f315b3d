"""What the MPC planner decides where rules and forecast look at the others differently."""

from dataclasses import replace

import numpy as np
import pytest

from headway.road.random_route import random_route
from headway.types import AgentKind
from planner.bounds import BoundList, EgoOnRoute
from planner.contacts import others_until
from planner.mpc.planner import MpcPlanner
from planner.mpc.relaxation import Relaxation
from planner.rules import Rules
from tests.planner.harness import Scripted, World, along, make_driver
from tests.world_model.scenes import Agent, scene_of
from world_model.constant_velocity import ConstantVelocity

HORIZON = 8.0


@pytest.mark.parametrize(
    ("agent", "moved", "believed"),
    [
        (Agent(20.0, 5.0, 1.6, 0.0), 0.0, HORIZON),  # stands across, and goes on standing
        (Agent(20.0, 5.0, 1.6, 0.0), 9.0, Rules().forecast_vehicle),  # waits, and will set off
        (Agent(20.0, 5.0, 1.6, 5.0), 9.0, Rules().forecast_vehicle),
        (Agent(20.0, 0.0, 0.1, 5.0), 9.0, HORIZON),  # goes ego's way
        (Agent(20.0, 5.0, 0.1, 1.2, AgentKind.WALKER), 9.0, Rules().forecast_walker),
    ],
)  # fmt: skip
def test_how_long_a_forecast_counts(grid, agent, moved, believed):
    scene = scene_of(grid, [agent, agent], Agent(0.0, 0.0, 0.0, 8.0))
    mean = np.tile(scene.agents.pose[:, None], (1, 20, 1))
    mean[:, :, 1] += np.linspace(0.0, moved, 20)
    until = others_until(scene, mean, np.array([False, True]), HORIZON, Rules())
    assert list(until) == [believed, -1.0]


class Braking(ConstantVelocity):
    """Everybody is forecast to brake to rest within 3 s."""

    def imagine(self, scene, goal, proposals):
        forecast = super().imagine(scene, goal, proposals)
        t = forecast.dt * np.arange(1, forecast.mean.shape[3] + 1)
        rolled = np.where(t < 3.0, t - t * t / 6.0, 1.5)[:, None] * scene.agents.velocity[:, None]
        mean = forecast.mean.copy()
        mean[..., :2] = scene.agents.pose[:, None, :2] + rolled
        return replace(forecast, mean=mean)


def test_who_is_forecast_to_brake_is_followed_and_not_stopped_for(grid):
    route = random_route(grid, 3)
    driver = make_driver(MpcPlanner(), world_model=Braking())
    lead = Scripted(along(route, lambda t: 45.0 + 8.0 * t))
    world = World(grid, route, [lead], start_s=5.0, start_speed=9.0, driver=driver).drive(4.0)
    assert not world.overlaps
    names = [record.plan_name for record in driver.trace.records]
    assert "stop" not in names
    assert driver.trace.column("speed")[-1] > 5.0


def test_the_gap_to_a_new_lead_is_taken_as_it_is_and_grows_to_what_is_wished():
    follows, ego = Relaxation(), EgoOnRoute(0.0, 0.0, 10.0, 2.4, 100.0)
    lead = BoundList([(2.4 + 2.5 + 8.0, 10.0, 0.0)], ["lead:7"])  # 0.8 s behind the standing gap
    gaps = [follows.time_gap(1.5, 2.5, lead, ego, 0.1 * k) for k in range(600)]
    assert gaps[0] == pytest.approx(0.8)
    assert gaps[250] == pytest.approx(1.5 - 0.7 * np.exp(-1.0), abs=0.01)  # after tau = 25 s
    assert gaps == sorted(gaps)
    assert gaps[-1] < 1.5
    assert follows.time_gap(1.5, 2.5, BoundList(), ego, 60.0) == 1.5  # nobody there
    near = BoundList([(2.4 + 2.5 + 2.0, 10.0, 0.0)], ["lead:8"])
    assert follows.time_gap(1.5, 2.5, near, ego, 60.1) == pytest.approx(0.56, abs=0.01)
