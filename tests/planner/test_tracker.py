"""The tracker alone on the vehicle kernel: what comes of a plan that asks for one plain thing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from headway.road.routing import random_route
from headway.types import NUM_INPUTS, NUM_STATES, EgoState, Plan, StateIndex
from headway.vehicle import VehicleParam, VehicleState, launch_delay
from perception.privileged import PrivilegedPerception
from planner.tracker import PlanTracker

from .harness import DT, World

MODEL3 = "vehicle.tesla.model3"
MKZ = "vehicle.lincoln.mkz_2020"
STEPS = np.full(40, 0.1)  # [s] of a plan
SPEED, ACCEL, STEER = StateIndex.SPEED, StateIndex.ACCEL, StateIndex.STEER


def plan(speed: float, accel: float, steer: float = 0.0) -> Plan:
    """From `speed` on with a constant `accel`, down to a stand at most."""
    states = np.zeros((len(STEPS) + 1, NUM_STATES))
    t = np.r_[0.0, np.cumsum(STEPS)]
    states[:, SPEED] = np.maximum(speed + accel * t, 0.0)
    moves = (states[:, SPEED] > 0.0) | (accel > 0.0)
    states[:, ACCEL] = np.where(moves, accel, 0.0)
    states[:, STEER] = steer
    return Plan(states, np.zeros((len(STEPS), NUM_INPUTS)), STEPS, "test")


class Bench:
    """A car on the flat under the tracker; `drive` asks for a new plan each tick."""

    def __init__(self, graph, type_id: str, speed: float = 0.0) -> None:
        route = random_route(graph, 1, min_length=500.0, max_length=800.0)
        self.world = World(graph, route, type_id=type_id, start_speed=speed)
        self.tracker, self.perception = PlanTracker(), PrivilegedPerception()
        self.commands: list[tuple[float, float, float]] = []

    def drive(self, seconds: float, wanted: Callable[[EgoState], Plan]) -> np.ndarray:
        """Vehicle states after each tick, (T, NUM_VEHICLE_STATES)."""
        rows = []
        for _ in range(round(seconds / DT)):
            scene = self.perception.perceive(self.world.observe())
            command = self.tracker.track(wanted(scene.ego), scene)
            self.commands.append((command.throttle, command.brake, command.steer_norm))
            self.world.step(command)
            rows.append(self.world.state[0].copy())
        return np.array(rows)

    def step(self, accel: float, seconds: float) -> np.ndarray:
        """Accelerations (T,) of each tick after the plan went from holding speed to `accel`."""
        self.drive(2.0, lambda ego: plan(ego.speed, 0.0))
        before = self.world.state[0, VehicleState.VX]
        rows = self.drive(seconds, lambda ego: plan(ego.speed, accel))
        return np.diff(np.r_[before, rows[:, VehicleState.VX]]) / DT


def settling(response: np.ndarray, final: float, band: float) -> float:
    """Time [s] from which on `response` stays within `band` of `final`, relative."""
    outside = np.flatnonzero(np.abs(response - final) > band * abs(final))
    return DT * (outside[-1] + 1 if outside.size else 0)


@pytest.mark.parametrize(
    ("type_id", "speed", "accel"),
    [
        (MODEL3, 8.0, 1.5),
        (MODEL3, 8.0, -1.5),
        (MODEL3, 8.0, -3.0),
        (MODEL3, 12.0, 1.0),
        (MODEL3, 12.0, -2.5),
        (MODEL3, 5.0, 2.0),
        (MKZ, 8.0, 1.5),
        (MKZ, 12.0, 1.0),
    ],
)
def test_an_acceleration_step_is_followed(grid, type_id, speed, accel):
    response = Bench(grid, type_id, speed).step(accel, 1.5)
    assert settling(response, accel, 0.15) <= 0.35
    assert (response / accel).max() < 1.3  # overshoot: the inverse map is off by a gear at most
    assert response[10:20].mean() == pytest.approx(accel, rel=0.08)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("column", [SPEED, ACCEL, STEER])
def test_a_plan_that_is_no_number_is_the_full_brake_and_is_forgotten(grid, broken, column):
    bench = Bench(grid, MODEL3, 8.0)
    bench.drive(1.0, lambda ego: plan(ego.speed, 0.0, 0.02))
    before = bench.commands[-1]
    lost = plan(8.0, 0.0, 0.02)
    lost.states[3, column] = broken
    bench.drive(DT, lambda ego: lost)
    assert bench.commands[-1] == (0.0, 1.0, before[2]), "the wheel stays as it was"
    assert before[2] > 0.0
    bench.drive(0.5, lambda ego: plan(ego.speed, 0.0, 0.02))
    assert bench.commands[-1] == pytest.approx(before, abs=0.05)


@pytest.mark.parametrize("mass", [0.8, 1.3])
def test_a_load_that_the_map_does_not_know_is_learnt(grid, mass):
    bench = Bench(grid, MODEL3, 6.0)
    bench.world.params[0, VehicleParam.MASS] *= mass
    response = bench.step(1.2, 5.0)
    first, last = response[5:10].mean(), response[-10:].mean()
    assert abs(first - 1.2) > 0.1
    assert last == pytest.approx(1.2, rel=0.06)


@pytest.mark.parametrize("speed", [8.0, 13.0])
@pytest.mark.parametrize(
    ("type_id", "late", "hardest"),
    # The MKZ's gears change on the way down: it rolls between them, and the clutch jerks.
    [(MODEL3, 0.4, 3.5), (MKZ, 1.0, 12.0)],
)
def test_it_stops_and_stays(grid, type_id, late, hardest, speed):
    """At 2 m/s^2, from plans that begin at the speed that the car has: what is lost stays lost."""
    bench = Bench(grid, type_id, speed)
    bench.drive(2.0, lambda ego: plan(ego.speed, 0.0))
    start = bench.world.state[0].copy()
    v0 = start[VehicleState.VX]
    rows = bench.drive(0.5 * v0 + 4.0, lambda ego: plan(ego.speed, -2.0))
    stands = int(np.argmax(rows[:, VehicleState.VX] == 0.0))
    assert -0.05 < DT * (stands + 1) - 0.5 * v0 < late
    distance = np.hypot(*(rows[-1] - start)[[VehicleState.X, VehicleState.Y]])
    assert 1.0 < distance / (0.25 * v0**2) < 1.0 + 0.5 * late
    accel = np.diff(np.r_[v0, rows[:, VehicleState.VX]]) / DT
    assert accel.min() > -hardest
    assert (rows[stands:, VehicleState.VX] == 0.0).all()
    assert bench.commands[-1][:2] == (0.0, bench.tracker.config.hold_brake)


@pytest.mark.parametrize("type_id", [MODEL3, MKZ, "vehicle.carlamotors.carlacola"])
@pytest.mark.parametrize("accel", [0.6, 1.5])
def test_it_pulls_away(grid, type_id, accel):
    bench = Bench(grid, type_id)
    bench.drive(1.0, lambda ego: plan(ego.speed, 0.0))
    speed = bench.drive(4.0, lambda ego: plan(ego.speed, accel))[:, VehicleState.VX]
    moves = int(np.argmax(speed > 0.01))
    assert DT * moves < float(launch_delay(bench.world.params)[0]) + 0.15
    # The revved engine gives a push when the clutch closes; then the car does as it is told.
    assert speed[moves + 10] < 0.5 * accel + 0.9
    assert speed[moves + 40] - speed[moves + 20] == pytest.approx(accel, rel=0.1)
    assert (np.diff(speed[: moves + 41]) >= 0.0).all()


@pytest.mark.parametrize("type_id", [MODEL3, MKZ])
@pytest.mark.parametrize(("speed", "radius"), [(5.0, 15.0), (10.0, 40.0)])
def test_a_turn_has_the_radius_of_the_plan(grid, type_id, speed, radius):
    """`radius` [m] at the middle of the car, which the single track turns on without slip."""
    bench = Bench(grid, type_id, speed)
    length = bench.world.info.wheelbase
    angle = math.atan(length / math.sqrt(radius**2 - (0.5 * length) ** 2))
    rows = bench.drive(8.0, lambda ego: plan(ego.speed, speed - ego.speed, angle))
    driven = rows[:, VehicleState.VX] / rows[:, VehicleState.YAW_RATE]
    assert settling(driven, radius, 0.03) <= 0.5
    assert driven[-20:] == pytest.approx(np.full(20, radius), rel=0.01)
    assert driven.min() > 0.96 * radius  # it does not turn in too far
    assert rows[:, VehicleState.VX] == pytest.approx(np.full(len(rows), speed), rel=0.05)


@pytest.mark.parametrize("speed", [14.0, 18.0, 23.0])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.6])
def test_it_speeds_up_again_after_braking(grid, speed, seconds):
    """The throttle that has not acted yet is no gear shift: a car was slowed down for ever."""
    bench = Bench(grid, MKZ, speed)
    bench.drive(1.0, lambda ego: plan(ego.speed, 0.0))
    bench.drive(seconds, lambda ego: plan(ego.speed, -4.0))
    before = bench.world.state[0, VehicleState.VX]
    rows = bench.drive(6.0, lambda ego: plan(ego.speed, 1.5))
    assert rows[-1, VehicleState.VX] > before + 4.5  # 9 without any shift
