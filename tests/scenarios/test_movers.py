"""Vehicles on lines, on a real server, while ego stands at the beginning of its route."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, SimulatorConfig
from headway.frames import boxes, points_to_local
from headway.road.frenet import project_on_route
from headway.types import AgentKind, Command
from scenarios.cast import Cast
from scenarios.flows import flow, oncoming_line, straight_line
from scenarios.movers import bend_speeds
from scenarios.script import first
from scenarios.spots import Spot
from scenarios.stage import Stage
from scenarios.suites import sites
from scenarios.suites.spec import Place
from tests.scenarios.played import spec_of


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


def watch(session, play, ticks: int):
    """Let a scenario play and yield the stage and each frame."""
    route = sites.two_ways(session.lane_graph)
    stage = Stage(session, route, 1)
    cast = Cast(stage, {"Played": play}, [spec_of("Played", route)])
    simulator = CarlaSimulator(session, SimulatorConfig(settle_s=0.5), lambda *_: cast)
    simulator.reset(route, 1)
    for _ in range(ticks):
        yield stage, simulator.step(Command(brake=1.0))
    cast.script.close()
    simulator.close()
    assert cast.script.failures == {}


def test_a_flow_keeps_its_speed_and_its_spacing_and_leaves_at_the_end(session):
    async def play(stage, spec):
        del spec
        line = oncoming_line(stage.spot_at(100.0))
        await flow(stage, line, 10.0, (25.0, 40.0), filled=True)

    line = oncoming_line(Spot.near(session.lane_graph, _place(session, 100.0)))
    seen, gaps = set(), []
    for k, (_, frame) in enumerate(watch(session, play, 500)):
        actors = frame.actors
        seen |= set(actors.id.tolist())
        if k < 100:
            continue
        s, d, _ = project_on_route(line, actors.pose[:, :2])
        assert np.abs(d).max() < 0.3
        assert s.max() < line.length + 1.0
        speed = np.hypot(*actors.velocity.T)
        assert speed[s > 5.0].min() > 9.0
        assert speed.max() < 10.5
        gaps.append(np.diff(np.sort(s)))
    gaps = np.concatenate(gaps)
    assert gaps.min() > 24.0
    assert gaps.max() < 42.0
    assert len(seen) > 10, "they go on coming"


def test_a_mover_stops_behind_who_stands_and_at_the_end_of_its_line(session):
    movers = []

    async def play(stage, spec):
        del spec
        lane = stage.spot_at(20.0)
        model = "vehicle.audi.tt"
        stage.place(model, lane.ahead(100.0).beside(0.0))
        movers.append(stage.launch(model, lane.line(200.0), 12.0))
        other = lane.oncoming().back(60.0)
        movers.append(stage.launch(model, other.line(60.0), 8.0))
        movers[1].stops = True
        await stage.forever()

    for _stage, _frame in watch(session, play, 400):
        pass
    heeds, stops = movers
    assert heeds.speed < 0.1
    assert not heeds.hit
    assert 2.0 < 100.0 - heeds.s - 2.0 * heeds.half_length < 8.0
    assert stops.speed < 0.1
    assert abs(stops.left) < 1.5


def test_who_is_brought_in_waits_until_nobody_stands_there(session):
    born = []

    async def play(stage, spec):
        del spec
        lane = stage.spot_at(20.0)
        standing = stage.place("vehicle.audi.tt", lane.ahead(60.0).beside(0.0))

        async def leave() -> None:
            await stage.seconds(2.0)
            stage.remove([standing])
            await stage.forever()

        async def come() -> None:
            line = lane.ahead(60.0).line(50.0)
            born.append((stage.t, await stage.bring("vehicle.audi.tt", line, 5.0), stage.t))

        await first(come(), leave())

    for _stage, _frame in watch(session, play, 80):
        pass
    ((asked, mover, came),) = born
    assert 1.9 < came - asked < 2.3
    assert mover.s > 1.0


def test_a_door_opens_beside_its_car_as_soon_as_nobody_is_in_its_way(session):
    car, opened = [], []

    async def play(stage, spec):
        del spec
        lane = stage.spot_at(60.0)
        car.append(stage.place("vehicle.lincoln.mkz_2020", lane.beside(0.0)))
        standing = stage.place("vehicle.audi.tt", lane.beside(2.5))
        await stage.seconds(1.0)

        async def leave() -> None:
            await stage.seconds(2.0)
            stage.remove([standing])
            await stage.forever()

        async def alight() -> None:
            opened.append((stage.t, *await stage.open_door(car[0], 1), stage.t))

        await first(alight(), leave())
        await stage.forever()

    frame = [frame for _stage, frame in watch(session, play, 80)][-1]
    ((asked, door, came),) = opened
    assert 1.9 < came - asked < 2.3
    rows = [int(np.flatnonzero(frame.actors.id == actor)[0]) for actor in (car[0], door)]
    pose, extent = frame.actors.pose[rows], frame.actors.extent[rows]
    corners = points_to_local(boxes(pose[1], extent[1]), pose[0])
    assert frame.actors.kind[rows[1]] == AgentKind.PROP
    assert 0.0 < corners[:, 1].min() - extent[0, 1] < 0.1, "it is hung on the car's left"
    assert 0.8 < corners[:, 1].max() - extent[0, 1] < 1.1
    assert corners[:, 0].max() < 0.5 * extent[0, 0], "not before its front seats"
    assert frame.events == ()


def _place(session, s: float):
    route = sites.two_ways(session.lane_graph)
    k = int(np.searchsorted(route.s, s))
    return Spot(session.lane_graph, int(route.lane[k]), float(route.lane_s[k])).beside(0.0)


def test_who_flows_slows_down_for_a_bend():
    s = np.arange(0.0, 200.0, 1.0)
    yaw = np.clip(s - 100.0, 0.0, 40.0) / 20.0  # 20 m wide, from 100 to 140 m
    line = replace(straight_line(Place(0.0, 0.0, 0.0, 0.0), 199.0), s=s, yaw=yaw)
    caps = bend_speeds(line)
    assert caps[110:130] == pytest.approx(np.sqrt(3.0 * 20.0), rel=0.01)
    # The bend is there in full 5 m behind its beginning.
    assert caps[80] == pytest.approx(np.sqrt(3.0 * 20.0 + 2.0 * 2.0 * 25.0), rel=0.01)
    assert caps[150:].min() > 50.0
