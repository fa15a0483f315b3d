"""The whole driver in closed loop on the grid town, among scripted others."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headway.road.frenet import route_poses
from headway.road.lane_graph import LaneGraph, StopKind
from headway.road.route import Route
from headway.road.routing import plan_route, random_route
from headway.types import AgentKind, SignalState

from .harness import DT, Scripted, World, along, straight
from .spots import chain, guarded

SETTLED = 20  # ticks after which a car that was put down at rest stands as it should


def goal_reached(world: World) -> bool:
    row = world.driver.trace.records[-1]
    return abs(row.ego_speed) < 0.05 and row.active[:1] == ("goal",)


def assert_comfortable(world: World, hardest: float = 4.0) -> None:
    # Over half a second: a clutch that closes is the car's, not the driver's.
    accel = np.convolve(world.driver.trace.column("accel")[SETTLED:], np.full(10, 0.1), "valid")
    assert accel.min() > -hardest
    assert accel.max() < 4.0
    assert world.driver.trace.intervention_share() < 0.01


def assert_clear(world: World) -> None:
    assert not world.overlaps, world.overlaps[:3]


def front(world: World) -> np.ndarray:
    return world.s_d()[0] + world.info.extent[0]


def speeds(world: World) -> np.ndarray:
    return world.driver.trace.column("speed")


def lights(graph: LaneGraph, *changes: tuple[float, SignalState]):
    """All lights show the last of `changes` (from, state) that has begun."""

    def state(t: float) -> np.ndarray:
        shown = [s for begin, s in changes if t >= begin][-1]
        return np.full(len(graph.signal_id), shown, np.int8)

    return state


def spot(graph: LaneGraph, kind: StopKind | None, turn: int, with_yields: bool = False):
    for lane, route, itinerary in guarded(graph, kind, turn):
        if not with_yields or itinerary.conflict_yields.any():
            return lane, route, itinerary
    pytest.fail(f"the grid has no junction with {kind} and turn {turn}")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("type_id", ["vehicle.tesla.model3", "vehicle.lincoln.mkz_2020"])
def test_an_empty_route_is_driven_to_its_end(grid, seed, type_id):
    route = random_route(grid, seed, min_length=500.0, max_length=800.0)
    world = World(grid, route, type_id=type_id).drive(200.0, goal_reached)
    assert goal_reached(world)
    s, d = world.s_d()
    assert abs(s[-1] - route.length) < 1.5
    assert np.abs(d).max() < 0.3
    limit = np.interp(s, route.s, route.speed_limit)
    assert (speeds(world) - limit).max() < 0.5
    assert np.abs(world.driver.trace.column("lateral_accel")[SETTLED:]).max() < 3.0
    # Between two gears the MKZ neither pulls nor holds back, and its clutch makes up for it.
    shifts = type_id == "vehicle.lincoln.mkz_2020"
    assert_comfortable(world, hardest=5.0 if shifts else 3.0)


@pytest.mark.parametrize("turn", [-1, 0, 1])
def test_a_red_light_is_stopped_at_until_it_is_green(grid, turn):
    _, route, itinerary = spot(grid, StopKind.LIGHT, turn)
    line = itinerary.stop_s[0]
    signals = lights(grid, (-1.0, SignalState.RED), (18.0, SignalState.GREEN))
    world = World(grid, route, signals=signals).drive(45.0, goal_reached)
    t, at = world.driver.trace.column("t"), front(world)
    assert 0.3 < line - at[t < 18.0].max() < 4.0
    assert speeds(world)[np.searchsorted(t, 17.9)] < 0.05
    assert goal_reached(world)
    assert_comfortable(world)


@pytest.mark.parametrize(("gap", "stops"), [(45.0, True), (8.0, False)])
def test_a_yellow_light_is_stopped_at_when_there_is_room(grid, gap, stops):
    _, route, itinerary = spot(grid, StopKind.LIGHT, 0)
    line = itinerary.stop_s[0]
    trial = World(grid, route).drive(30.0)  # when is the front so far from the line?
    change = DT * np.searchsorted(front(trial), line - gap)
    signals = lights(
        grid, (-1.0, SignalState.GREEN), (change, SignalState.YELLOW),
        (change + 3.0, SignalState.RED),
    )  # fmt: skip
    world = World(grid, route, signals=signals).drive(30.0)
    at = front(world)
    if stops:
        assert 0.3 < line - at[-1] < 4.0
    else:
        assert at[-1] > line + 20.0
        red = round((change + 3.0) / DT)
        assert at[red] > line, "it was over the line before red"
    assert_comfortable(world)


def test_a_stop_sign_is_a_full_stop_and_then_on(grid):
    _, route, itinerary = spot(grid, StopKind.STOP, 0)
    line = itinerary.stop_s[0]
    world = World(grid, route).drive(45.0, goal_reached)
    at, speed = front(world), speeds(world)
    stood = (at > line - 4.0) & (at < line - 0.3) & (speed < 0.05)
    assert 0.5 < DT * stood.sum() < 4.0
    assert goal_reached(world)
    assert_comfortable(world)


def braking_lead(gap: float, speed: float, brake_at: float, brake: float, stand: float):
    """s(t) of who holds `speed`, brakes to rest at `brake_at` [s], stands, and goes on."""
    halt = speed / brake

    def s(t: float) -> float:
        if t < brake_at:
            return gap + speed * t
        b = min(t - brake_at, halt)
        way = gap + speed * brake_at + speed * b - 0.5 * brake * b * b
        go = max(0.0, t - brake_at - halt - stand)
        return way + min(0.75 * go * go, speed * max(go - speed / 3.0, 0.0) + speed * speed / 6.0)

    return s


@pytest.mark.parametrize("brake", [3.0, 6.0])
def test_a_lead_that_brakes_is_not_hit(grid, brake):
    route = long_straight(grid)
    speed = 9.0
    lead = Scripted(along(route, braking_lead(30.0, speed, 7.0, brake, 6.0)))
    world = World(grid, route, [lead], start_speed=speed).drive(30.0, goal_reached)
    assert_clear(world)
    rear = np.array([braking_lead(30.0, speed, 7.0, brake, 6.0)(t) - 2.3
                     for t in world.driver.trace.column("t")])  # fmt: skip
    gap = rear - front(world)
    ahead = rear < route.length - 10.0
    assert gap[ahead].min() > 1.0
    assert any("lead:2" in r.active for r in world.driver.trace.records)
    assert_comfortable(world, hardest=6.0)


def long_straight(grid: LaneGraph, least: float = 140.0) -> Route:
    """A route outside junctions, as long as there is."""
    lengths = np.where((grid.kind == 0) & (grid.junction < 0), grid.length, 0.0)
    lane = int(np.argmax(lengths))
    route = plan_route(grid, lane, 2.0, lane, float(grid.length[lane]) - 2.0)
    if route.length < least:
        pytest.fail(f"the longest lane outside junctions has {route.length:.0f} m")
    return route


def test_a_standing_vehicle_is_stopped_behind(grid):
    route = long_straight(grid)
    standing = Scripted(along(route, lambda t: 90.0))
    world = World(grid, route, [standing]).drive(30.0)
    gap = 90.0 - 2.3 - front(world)[-1]
    assert 1.0 < gap < 4.0
    assert speeds(world)[-1] < 0.05
    assert_comfortable(world)


def test_parked_and_oncoming_vehicles_beside_the_lane_do_not_matter(grid):
    route = long_straight(grid)
    alone = World(grid, route).drive(20.0)
    parked = [Scripted(along(route, lambda t, k=k: 30.0 + 15.0 * k, -2.9)) for k in range(5)]
    oncoming = Scripted(along(route, lambda t: 140.0 - 10.0 * t, 3.5))
    turned = Scripted(lambda t: (*oncoming.motion(t)[:2], oncoming.motion(t)[2] + math.pi,
                                 -oncoming.motion(t)[3]))  # fmt: skip
    world = World(grid, route, [*parked, turned]).drive(20.0)
    assert abs(front(world)[-1] - front(alone)[-1]) < 0.5
    assert world.driver.trace.intervention_share() == 0.0


@pytest.mark.parametrize("start", [6.0, 8.0, 10.0])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_crossing_walker_is_let_pass(grid, start, side):
    route = long_straight(grid)
    x, y, _, yaw = route_poses(route, np.array([75.0]), 6.0 * side)[0]
    way = lambda t: 1.4 * max(t - start, 0.0)  # noqa: E731
    walker = Scripted(straight(x, y, yaw - side * math.pi / 2, way), AgentKind.WALKER, (0.3, 0.3))
    world = World(grid, route, [walker]).drive(60.0, goal_reached)
    assert_clear(world)
    assert goal_reached(world)
    # Who steps off the kerb 20 m ahead of a car at 48 km/h takes 5 m/s^2 and a reaction to stop.
    assert_comfortable(world, hardest=7.0)


def test_a_walker_on_the_pavement_does_not_matter(grid):
    route = long_straight(grid)
    alone = World(grid, route).drive(20.0)
    walker = Scripted(along(route, lambda t: 60.0 + 1.4 * t, -4.5), AgentKind.WALKER, (0.3, 0.3))
    world = World(grid, route, [walker]).drive(20.0)
    assert abs(front(world)[-1] - front(alone)[-1]) < 0.5


def crossing_agent(grid: LaneGraph, itinerary, yields: bool, speed: float, arrive: float):
    """Somebody with the right of way who comes to the conflict after `arrive` seconds."""
    start, conflicts, offsets = (
        itinerary.approach_start, itinerary.approach_conflict, itinerary.approach_offset,
    )  # fmt: skip
    for lane in range(grid.num_lanes):
        for e in range(start[lane], start[lane + 1]):
            c = conflicts[e]
            if offsets[e] != 0.0 or bool(itinerary.conflict_yields[c]) != yields:
                continue
            other = chain(grid, lane, 80.0, 60.0)
            if other is None:
                continue
            at = float(other.s[np.argmax(other.lane == lane)]) + itinerary.conflict_other_s[c, 0]
            return other, lambda t, at=at: at + speed * (t - arrive)
    return pytest.fail("nobody comes to this junction")


@pytest.mark.parametrize(
    ("kind", "turn"),
    [(StopKind.STOP, 0), (StopKind.YIELD, 1), (StopKind.YIELD, -1), (None, 1), (StopKind.LIGHT, 1)],
)
def test_the_right_of_way_is_given(grid, kind, turn):
    _, route, itinerary = spot(grid, kind, turn, with_yields=True)
    alone = World(grid, route).drive(60.0, goal_reached)
    c = int(np.flatnonzero(itinerary.conflict_yields)[0])
    when = DT * np.searchsorted(front(alone), itinerary.conflict_s[c, 0])
    met = 0
    for shift in (-1.0, 0.0, 1.0):
        other, s = crossing_agent(grid, itinerary, True, 6.0, when + shift)
        agent = Scripted(along(other, s))
        world = World(grid, route, [agent]).drive(70.0, goal_reached)
        assert_clear(world)
        assert goal_reached(world)
        assert_comfortable(world, hardest=5.0)
        met += any(a.startswith("give_way") for r in world.driver.trace.records for a in r.active)
    assert met >= 2


def test_a_junction_whose_exit_is_blocked_is_not_entered(grid):
    _, route, itinerary = spot(grid, StopKind.LIGHT, 0)
    line, leave = itinerary.stop_s[0], itinerary.junction_s[0, 1]
    queue = Scripted(along(route, lambda t: leave + 4.0 + 4.0 * max(t - 20.0, 0.0)))
    world = World(grid, route, [queue]).drive(45.0)
    t, at = world.driver.trace.column("t"), front(world)
    assert 0.3 < line - at[t < 19.0].max() < 4.0
    assert at[-1] > leave
    assert_clear(world)


def test_who_cuts_through_egos_lane_the_other_way_is_waited_for(grid):
    route = long_straight(grid)

    def motion(t: float) -> tuple[float, float, float, float]:
        # A long vehicle, two metres into ego's lane until it is back on its own side at 12 s.
        side = np.interp(t, [9.0, 12.0], [1.5, 3.6])
        x, y, _, yaw = route_poses(route, np.array([80.0 - 3.0 * t]), float(side))[0]
        return x, y, yaw + math.pi, 3.0

    truck = Scripted(motion, AgentKind.VEHICLE, (4.0, 1.45))
    world = World(grid, route, [truck], start_s=12.0).drive(60.0, goal_reached)
    assert_clear(world)
    assert goal_reached(world)
    assert any("lead:2" in r.active for r in world.driver.trace.records)
