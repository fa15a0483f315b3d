"""How single vehicles and walkers behave, on roads laid by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.traffic import EGO, Hold, TrafficConfig, TrafficModel, WalkerMode
from headway.traffic.arrays import make_fleet
from headway.traffic.control import PedalMap
from headway.traffic.following import idm_accel, stopping_accel
from headway.traffic.junctions import travel_time
from headway.traffic.rng import uniform
from headway.traffic.surroundings import in_sight
from headway.types import Command, SignalState
from scenarios.kernel_car import KernelCar

DT = 0.05
STRAIGHT_LIMIT = 14.0


def line(x0, y0, x1, y1):
    n = max(2, round(math.hypot(x1 - x0, y1 - y0)) + 1)
    return np.stack([np.linspace(x0, x1, n), np.linspace(y0, y1, n), np.zeros(n)], axis=1)


def lay(lanes, succ, *, junction=(), kinds=None, left=None, opposite=None, conflicts=(), stops=(),
        limit=STRAIGHT_LIMIT):  # fmt: skip
    """A LaneGraph of polylines.

    `succ` maps lane to lanes; `left` maps lane to the neighbour that it may change to (and back);
    conflicts are (lane, other, own from, own to, other from, other to, yields); stops are
    (lane, s, kind, signal).
    """
    num = len(lanes)
    arcs = [np.concatenate([[0], np.cumsum(np.hypot(*np.diff(p[:, :2], axis=0).T))]) for p in lanes]
    yaws = [np.arctan2(*np.gradient(p[:, :2], axis=0).T[::-1]) for p in lanes]
    points = np.concatenate(lanes)
    yaw = np.concatenate(yaws)
    arc = np.concatenate(arcs)
    curvature = np.concatenate(
        [np.gradient(np.unwrap(a), s) for a, s in zip(yaws, arcs, strict=True)]
    )
    owner = np.concatenate([np.full(len(p), i) for i, p in enumerate(lanes)])
    origin, cell = points[:, :2].min(axis=0) - 1.0, 10.0
    shape = np.ceil((points[:, :2].max(axis=0) - origin) / cell).astype(np.int32) + 1
    at = np.floor((points[:, :2] - origin) / cell).astype(int)
    cell_of = at[:, 0] * shape[1] + at[:, 1]
    order = np.argsort(cell_of, kind="stable")

    def csr(table):
        rows = [list(table.get(i, ())) for i in range(num)]
        starts = np.cumsum([0] + [len(r) for r in rows]).astype(np.int32)
        return starts, np.array([v for r in rows for v in r], np.int32)

    pred = {}
    for a, following in succ.items():
        for b in following:
            pred.setdefault(b, []).append(a)
    by_lane = {i: [c for c in conflicts if c[0] == i] for i in range(num)}
    rows = [c for i in range(num) for c in by_lane[i]]
    left_of, right_of = np.full(num, -1, np.int32), np.full(num, -1, np.int32)
    for a, b in (left or {}).items():
        left_of[a], right_of[b] = b, a
    against = np.full(num, -1, np.int32)
    for a, b in (opposite or {}).items():
        against[a] = b
    succ_start, succ_flat = csr(succ)
    pred_start, pred_flat = csr(pred)
    num_signals = max([s[3] for s in stops] + [-1]) + 1
    return LaneGraph(
        name="by hand",
        road_id=np.arange(num, dtype=np.int32),
        section_id=np.zeros(num, np.int32),
        lane_id=np.full(num, -1, np.int32),
        junction=np.array([0 if i in junction else -1 for i in range(num)], np.int32),
        kind=np.array([(kinds or {}).get(i, LaneKind.DRIVING) for i in range(num)], np.int8),
        length=np.array([a[-1] for a in arcs]),
        speed_limit=np.full(num, limit),
        left=left_of,
        right=right_of,
        left_change=left_of >= 0,
        right_change=right_of >= 0,
        opposite=against,
        point_start=np.cumsum([0] + [len(p) for p in lanes]).astype(np.int32),
        xyz=points,
        s=arc,
        yaw=yaw,
        curvature=curvature,
        width=np.full(len(points), 3.5),
        succ_start=succ_start,
        succ=succ_flat,
        pred_start=pred_start,
        pred=pred_flat,
        turn=np.zeros(num, np.int8),
        conflict_start=np.cumsum([0] + [len(by_lane[i]) for i in range(num)]).astype(np.int32),
        conflict=np.array([c[1] for c in rows], np.int32),
        conflict_s=np.array([c[2:6] for c in rows]).reshape(-1, 4),
        conflict_yields=np.array([c[6] for c in rows], bool),
        signal_id=np.array([str(i) for i in range(num_signals)]),
        stop_lane=np.array([s[0] for s in stops], np.int32),
        stop_s=np.array([s[1] for s in stops], float),
        stop_kind=np.array([s[2] for s in stops], np.int8),
        stop_signal=np.array([s[3] for s in stops], np.int32),
        stop_junction_lane=np.full(len(stops), -1, np.int32),
        crosswalk_start=np.zeros(1, np.int32),
        crosswalk_xy=np.zeros((0, 2)),
        grid_origin=origin,
        grid_cell=cell,
        grid_shape=shape,
        grid_start=np.searchsorted(
            cell_of[order], np.arange(shape[0] * shape[1] + 1)
        ).astype(np.int32),
        grid_point=order.astype(np.int32),
        point_lane=owner.astype(np.int32),
        road_name=np.full(num, "", np.str_),
        landmark_name=np.zeros(0, np.str_),
        landmark_kind=np.zeros(0, np.str_),
        landmark_xy=np.zeros((0, 2)),
        landmark_lane=np.zeros(0, np.int32),
        landmark_s=np.zeros(0),
    )  # fmt: skip


class Bench:
    """Vehicles that do at once what traffic asks of them."""

    def __init__(self, graph, vehicles=4, walkers=0, seed=0):
        config = TrafficConfig(vehicles, walkers, num_foreign=0, num_foreign_walkers=1)
        self.model = TrafficModel(graph, config, seed)
        self.fleet, self.crowd = self.model.fleet, self.model.crowd
        self.signals = np.full(max(len(graph.signal_id), 1), SignalState.GREEN, np.int8)
        self.now = 0.0

    def put(self, row, x, y, yaw, speed, driven=True):
        f = self.fleet
        f.x[row], f.y[row], f.yaw[row], f.speed[row] = x, y, yaw, speed
        f.active[row], f.driven[row] = True, driven

    def run(self, seconds, each=None):
        f, c = self.fleet, self.crowd
        for _ in range(round(seconds / DT)):
            self.model.step(self.signals, self.now, DT)
            yaw_rate = f.speed * np.tan(f.wheel_angle) / f.wheelbase
            half = 0.5 * f.wheelbase
            slip = half * yaw_rate * DT
            f.x[:] += f.speed * np.cos(f.yaw) * DT - slip * np.sin(f.yaw)
            f.y[:] += f.speed * np.sin(f.yaw) * DT + slip * np.cos(f.yaw)
            f.yaw[:] += yaw_rate * DT
            f.speed[:] = np.maximum(f.speed + f.accel * DT, 0.0)
            c.vx[:], c.vy[:] = c.dir_x * c.out_speed, c.dir_y * c.out_speed
            c.x[:] += c.vx * DT
            c.y[:] += c.vy * DT
            self.now += DT
            if each:
                each()


LONG_ROAD = [line(0, 0, 600, 0)]


def crossing(yields, stops=()):
    """West-east road 0-1-2 and south-north road 3-4-5; lanes 1 and 4 cross at the origin."""
    lanes = [line(-150, 0, -10, 0), line(-10, 0, 10, 0), line(10, 0, 200, 0),
             line(0, -150, 0, -10), line(0, -10, 0, 10), line(0, 10, 0, 200)]  # fmt: skip
    area = (7.5, 12.5, 7.5, 12.5)
    conflicts = [(1, 4, *area, yields == 1), (4, 1, *area, yields == 4)]
    return lay(
        lanes, {0: [1], 1: [2], 3: [4], 4: [5]}, junction=(1, 4), conflicts=conflicts, stops=stops
    )


def test_idm_equilibrium_gap_is_the_models():
    """At equal speeds the gap that gives no acceleration is (s0 + v T) / sqrt(1 - (v/v0)^4)."""
    speed, desired, time_gap, min_gap = 10.0, 15.0, 1.4, 2.0
    gap = (min_gap + speed * time_gap) / math.sqrt(1.0 - (speed / desired) ** 4)
    assert idm_accel(speed, desired, gap, speed, time_gap, min_gap, 1.5, 2.0) == pytest.approx(0.0)


def test_stopping_accel_stops_in_the_gap():
    for speed in (3.0, 8.0, 14.0, 25.0):
        gap, v = speed * speed / 3.0, speed
        for _ in range(4000):
            accel = stopping_accel(v, gap, 1.5, 2.0)
            gap -= max(v * 0.01 + 0.5 * accel * 1e-4, 0.0)
            v = max(v + accel * 0.01, 0.0)
        assert v < 0.05
        assert -0.05 <= gap <= 1.0


def test_travel_time_is_that_of_constant_acceleration_then_speed():
    assert travel_time(0.5 * 2.0 * 3.0**2, 0.0, 2.0, 100.0) == pytest.approx(3.0)
    assert travel_time(100.0, 10.0, 2.0, 10.0) == pytest.approx(10.0)


def test_random_streams_are_uniform_and_repeat():
    state = np.array([7], np.uint64)
    first = [uniform(state, 0) for _ in range(4000)]
    state[0] = 7
    assert first == [uniform(state, 0) for _ in range(4000)]
    assert np.mean(first) == pytest.approx(0.5, abs=0.02)
    assert min(first) >= 0.0
    assert max(first) < 1.0


def test_lone_vehicle_keeps_its_lane_and_reaches_its_speed():
    bench = Bench(lay(LONG_ROAD, {}))
    bench.put(1, 20.0, 1.0, 0.05, 0.0)
    bench.run(20.0)
    wanted = STRAIGHT_LIMIT * bench.fleet.speed_factor[1]
    assert bench.fleet.speed[1] == pytest.approx(wanted, rel=0.05)
    assert abs(bench.fleet.y[1]) < 0.1


def test_follows_a_slower_lead_at_its_time_gap():
    bench = Bench(lay(LONG_ROAD, {}))
    bench.put(1, 20.0, 0.0, 0.0, 12.0)
    bench.put(EGO, 60.0, 0.0, 0.0, 6.0, driven=False)
    bench.run(30.0)
    f = bench.fleet
    assert f.speed[1] == pytest.approx(6.0, abs=0.2)
    wanted = f.min_gap[1] + 6.0 * f.time_gap[1]
    gap = f.x[EGO] - f.x[1] - f.half_length[EGO] - f.half_length[1]
    assert wanted <= gap < 1.15 * wanted


def test_stops_behind_an_obstacle_that_stands_across():
    bench = Bench(lay(LONG_ROAD, {}))
    bench.put(1, 20.0, 0.0, 0.0, 12.0)
    bench.put(EGO, 120.0, 2.0, math.pi / 2, 0.0, driven=False)
    bench.run(30.0)
    f = bench.fleet
    gap = f.x[EGO] - f.half_width[EGO] - f.x[1] - f.half_length[1]
    assert f.speed[1] < 0.05
    assert 0.5 < gap < 4.0


def test_red_light_stops_at_the_line_and_green_lets_go():
    graph = crossing(0, stops=[(0, 135.0, StopKind.LIGHT, 0)])
    bench = Bench(graph)
    bench.signals[:] = SignalState.RED
    bench.put(1, -130.0, 0.0, 0.0, 10.0)
    bench.run(30.0)
    front = bench.fleet.x[1] + bench.fleet.half_length[1]
    assert bench.fleet.hold[1] == Hold.LIGHT
    assert -17.5 < front < -15.0
    bench.signals[:] = SignalState.GREEN
    bench.run(10.0)
    assert bench.fleet.x[1] > 0.0


@pytest.mark.parametrize(("gap", "passes"), [(10.0, True), (45.0, False)])
def test_yellow_is_passed_only_when_too_near_to_stop(gap, passes):
    graph = crossing(0, stops=[(0, 135.0, StopKind.LIGHT, 0)])
    bench = Bench(graph)
    bench.put(1, -15.0 - gap - 2.3, 0.0, 0.0, 10.0)
    bench.signals[:] = SignalState.YELLOW
    bench.run(3.0)
    bench.signals[:] = SignalState.RED
    bench.run(10.0)
    assert (bench.fleet.x[1] > 0.0) == passes


def test_stop_sign_is_a_full_stop_and_then_goes():
    graph = crossing(0, stops=[(0, 135.0, StopKind.STOP, -1)])
    bench = Bench(graph)
    bench.put(1, -100.0, 0.0, 0.0, 10.0)
    slowest = {"near": 9.0}

    def watch():
        front = bench.fleet.x[1] + bench.fleet.half_length[1]
        if -18.0 < front < -15.0:
            slowest["near"] = min(slowest["near"], bench.fleet.speed[1])

    bench.run(30.0, watch)
    assert slowest["near"] < 0.15
    assert bench.fleet.x[1] > 10.0


@pytest.mark.parametrize("yields", [1, 4])
def test_who_has_to_give_way_arrives_later(yields):
    bench = Bench(crossing(yields))
    bench.put(1, -80.0, 0.0, 0.0, 10.0)
    bench.put(2, 0.0, -80.0, math.pi / 2, 10.0)
    closest = {"d": 99.0}
    passed = {}

    def watch():
        f = bench.fleet
        closest["d"] = min(closest["d"], math.hypot(f.x[1] - f.x[2], f.y[1] - f.y[2]))
        if f.x[1] > 0.0:
            passed.setdefault(1, bench.now)
        if f.y[2] > 0.0:
            passed.setdefault(4, bench.now)

    bench.run(25.0, watch)
    assert passed[yields] > passed[5 - yields]
    assert closest["d"] > 4.0


def test_four_that_all_give_way_do_not_wait_for_ever():
    """Everybody yields to everybody: first come, first served has to solve it."""
    lanes, succ, conflicts = [], {}, []
    area = (5.0, 15.0, 5.0, 15.0)
    for k in range(4):
        yaw = k * math.pi / 2
        turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
        for piece in (line(-150, -2, -10, -2), line(-10, -2, 10, -2), line(10, -2, 150, -2)):
            piece[:, :2] = piece[:, :2] @ turn
            lanes.append(piece)
        succ.update({3 * k: [3 * k + 1], 3 * k + 1: [3 * k + 2]})
        for other in range(4):
            if other % 2 != k % 2:
                conflicts.append((3 * k + 1, 3 * other + 1, *area, True))
    graph = lay(lanes, succ, junction=(1, 4, 7, 10), conflicts=conflicts)
    bench = Bench(graph)
    for k in range(4):
        yaw = k * math.pi / 2
        x, y = (
            -40.0 * math.cos(yaw) + 2.0 * math.sin(yaw),
            -40.0 * math.sin(yaw) - 2 * math.cos(yaw),
        )
        bench.put(k + 1, x, y, yaw, 8.0)
    bench.run(40.0)
    f = bench.fleet
    for k in range(4):
        yaw = k * math.pi / 2
        assert f.x[k + 1] * math.cos(yaw) + f.y[k + 1] * math.sin(yaw) > 15.0


def test_does_not_enter_when_the_exit_is_blocked():
    bench = Bench(crossing(0))
    bench.put(1, -80.0, 0.0, 0.0, 10.0)
    bench.put(EGO, 15.0, 0.0, 0.0, 0.0, driven=False)
    bench.run(20.0)
    assert bench.fleet.x[1] + bench.fleet.half_length[1] < -9.9
    assert bench.fleet.hold[1] == Hold.EXIT_BLOCKED


def test_overtakes_by_a_lane_change_where_allowed():
    lanes = [line(0, 0, 900, 0), line(0, 3.5, 900, 3.5)]
    for left, expected in (({0: 1}, True), ({}, False)):
        bench = Bench(lay(lanes, {}, left=left))
        bench.put(1, 20.0, 0.0, 0.0, 12.0)
        bench.put(EGO, 60.0, 0.0, 0.0, 3.0, driven=False)
        bench.run(25.0)
        assert (bench.fleet.x[1] > bench.fleet.x[EGO] + 5.0) == expected


def test_no_lane_is_changed_to_while_a_body_reaches_into_it():
    """Somebody two lanes over drives askew beside us: it is on no lane of ours, its body is."""
    lanes = [line(0, 3.5 * k, 900, 3.5 * k) for k in range(3)]
    bench = Bench(lay(lanes, {}, left={0: 1, 1: 2}))
    f, beside = bench.fleet, 2
    bench.put(1, 20.0, 0.0, 0.0, 8.0)
    bench.put(EGO, 60.0, 0.0, 0.0, 4.0, driven=False)
    bench.put(beside, 20.0, 5.4, 0.0, 8.0, driven=False)
    began = []

    def watch():
        f.x[beside], f.speed[beside] = f.x[1], f.speed[1]
        began.append(f.indicator[1] != 0 or f.y[1] > 0.3)

    bench.run(15.0, watch)
    assert f.plan[beside, 0] == 2
    assert not any(began)
    f.active[beside] = False
    bench.run(15.0)
    assert f.y[1] > 3.0


@pytest.mark.parametrize("accel", [1.5, 0.0, -1.0])
def test_who_rolls_backwards_brakes_whatever_is_asked(accel):
    pedals, fleet = PedalMap(1), make_fleet(1, 0)
    pedals.set_type(0, "vehicle.tesla.model3")
    fleet["accel"] = accel
    for speed in (-0.2, -0.5, -2.0):
        fleet["speed"] = speed
        throttle, _, brake = pedals.controls(fleet, slice(0, 1), DT)[0]
        assert throttle == 0.0
        assert brake == 1.0
    fleet["speed"], fleet["accel"] = 3.0, 1.5
    throttle, _, brake = pedals.controls(fleet, slice(0, 1), DT)[0]
    assert throttle > 0.0
    assert brake == 0.0


@pytest.mark.parametrize("type_id", ["vehicle.kawasaki.ninja", "vehicle.yamaha.yzf"])
@pytest.mark.parametrize("asked", [-2.0, -4.0])
def test_a_motorcycle_that_is_in_another_gear_than_the_map_thinks_still_stops(type_id, asked):
    # Their engines brake with 12 m/s^2 in a low gear, so the map slows them down by less throttle.
    car, speeds = KernelCar(0.0, 0.0, 0.0, type_id=type_id), []
    pedals, fleet = PedalMap(1), make_fleet(1, 0)
    pedals.set_type(0, type_id)
    for k in range(440):
        speed = car.ego().speed
        fleet["speed"] = speed
        fleet["accel"] = np.clip(10.0 - speed, -2.0, 1.8) if k < 240 else asked
        throttle, _, brake = pedals.controls(fleet, slice(0, 1), DT)[0]
        car.step(Command(throttle, brake))
        speeds.append(car.ego().speed)
    at_first = speeds[239]
    assert at_first > 9.0
    assert speeds[-1] < 0.1
    assert DT * sum(speeds[240:]) < 2.0 * at_first**2 / (2.0 * -asked)


def test_vehicle_lets_a_crossing_walker_pass():
    bench = Bench(lay(LONG_ROAD, {}), walkers=0)
    bench.put(1, 20.0, 0.0, 0.0, 10.0)
    c = bench.crowd
    c.active[0], c.x[0], c.y[0], c.mode[0] = True, 80.0, -6.0, WalkerMode.CROSS
    c.dir_x[0], c.dir_y[0], c.out_speed[0] = 0.0, 1.0, 1.2
    closest = {"d": 99.0}

    def watch():
        f = bench.fleet
        ahead, aside = abs(c.x[0] - f.x[1]) - f.half_length[1], abs(c.y[0] - f.y[1])
        if aside < f.half_width[1] + 0.3:
            closest["d"] = min(closest["d"], ahead)

    bench.run(15.0, watch)
    assert closest["d"] > 0.5
    bench.run(5.0)
    assert bench.fleet.x[1] > 85.0


@pytest.mark.parametrize(
    ("angle", "dist", "seen"),
    [(0.0, 89.0, True), (0.0, 91.0, False), (math.pi, 49.0, True), (math.pi, 51.0, False),
     (1.6, 69.0, True), (1.6, 71.0, False)],
)  # fmt: skip
def test_nothing_appears_in_egos_sight(angle, dist, seen):
    yaw = 0.7
    x, y = 10.0 + dist * math.cos(yaw + angle), -5.0 + dist * math.sin(yaw + angle)
    assert in_sight(10.0, -5.0, yaw, x, y) == seen


def test_walker_passes_the_front_of_a_vehicle_that_stands_at_its_shins():
    """Each waiting for the other, they once stood so for ever, and half a town behind them."""
    bench = Bench(lay(LONG_ROAD, {}), walkers=1)
    bench.put(EGO, 80.0, 0.0, 0.0, 0.0, driven=False)
    c = bench.crowd
    c.active[0] = c.driven[0] = True
    c.mode[0], c.x[0], c.y[0] = WalkerMode.CROSS, 80.25 + bench.fleet.half_length[EGO], -0.4
    c.to_x[0], c.to_y[0], c.dir_y[0] = c.x[0], 20.0, 1.0
    front = []
    bench.run(8.0, lambda: front.append(c.x[0] - 80.0 - bench.fleet.half_length[EGO]))
    assert c.y[0] > 3.0
    assert min(front) > 0.2  # round it, not through it


def test_walkers_that_meet_pass_each_other():
    """Two on one line towards each other: both arrive, and they never stand in each other."""
    bench = Bench(lay(LONG_ROAD, {}), vehicles=0, walkers=2)
    c = bench.crowd
    for w, x, direction in ((0, 100.0, 1), (1, 112.0, -1)):
        c.active[w] = c.driven[w] = True
        c.way[w], c.s[w], c.direction[w], c.side[w] = 0, x, direction, 0.0
        c.x[w], c.y[w] = x, -2.95
    closest = {"d": 99.0}

    def watch():
        closest["d"] = min(closest["d"], math.hypot(c.x[0] - c.x[1], c.y[0] - c.y[1]))

    bench.run(15.0, watch)
    assert c.x[0] > 112.0
    assert c.x[1] < 100.0
    assert closest["d"] > 0.3


def test_right_of_way_is_waived_for_whom_has_stood_at_its_line_for_long():
    """Ego stands at its line: first others pass, after some seconds they stop for it."""
    bench = Bench(crossing(1), vehicles=4)
    bench.put(EGO, -13.0, 0.0, 0.0, 0.0, driven=False)
    for row, y in enumerate((-30.0, -60.0, -90.0, -130.0), start=1):
        bench.put(row, 0.0, y, math.pi / 2, 9.0)
    stood = []

    def watch():
        f = bench.fleet
        front = f.y[1:5] + f.half_length[1:5]
        if np.any((front > -14.0) & (front < -9.5) & (f.speed[1:5] < 0.1)):
            stood.append(bench.now)

    bench.run(40.0, watch)
    f = bench.fleet
    assert stood
    assert 7.0 < stood[0] < 20.0
    assert np.count_nonzero(np.diff(stood) < 0.1) * DT > 3.0
    assert np.all(f.y[1:5] > 15.0)  # ego never went: they do not wait for ever


def test_who_lets_ego_go_stays_while_it_sets_off():
    """Ego, let go at last, is not driven before again as soon as its wheels turn."""
    bench = Bench(crossing(1), vehicles=2)
    bench.put(EGO, -13.0, 0.0, 0.0, 0.0, driven=False)
    bench.put(1, 0.0, -100.0, math.pi / 2, 9.0)
    bench.put(2, 0.0, -130.0, math.pi / 2, 9.0)
    f, fronts = bench.fleet, []

    def drive():
        lets_go = f.speed[1] < 0.1 and f.y[1] > -20.0
        if lets_go or f.speed[EGO] > 0.0:
            f.speed[EGO] += 1.2 * DT
        if f.speed[EGO] > 0.0 and f.x[EGO] < -7.0:
            fronts.append(f.y[1] + f.half_length[1])

    f.waited[EGO] = 8.0
    bench.run(25.0, drive)
    assert f.x[EGO] > 10.0
    assert fronts
    assert max(fronts) < -10.5  # it stood at its line until ego was over its own
    assert f.y[1] > 10.0  # and went on afterwards
