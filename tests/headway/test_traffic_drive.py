"""Traffic closed loop, in process: nobody collides, runs a light, or is stuck for ever."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from headway.road.lane_graph import LaneGraph, StopKind
from headway.traffic import EGO, TrafficConfig, TrafficModel, WalkerMode
from headway.types import SignalState

DT = 0.05


def cycle(graph: LaneGraph, now: float) -> np.ndarray:
    """Lights as in CARLA: of a junction's approaches one after the other is green."""
    state = np.full(len(graph.signal_id), SignalState.RED, np.int8)
    phases: dict[int, list[int]] = {}
    for q in range(len(graph.stop_lane)):
        if graph.stop_kind[q] != StopKind.LIGHT:
            continue
        follow = [j for j in graph.successors(graph.stop_lane[q]) if graph.junction[j] >= 0]
        junction = int(graph.junction[follow[0]]) if follow else -2
        phases.setdefault(junction, [])
        if graph.stop_signal[q] not in phases[junction]:
            phases[junction].append(int(graph.stop_signal[q]))
    for signals in phases.values():
        phase = (now / 13.0) % len(signals)
        within = (phase % 1.0) * 13.0
        state[signals[int(phase)]] = (
            SignalState.GREEN if within < 8.0
            else SignalState.YELLOW if within < 11.0 else SignalState.RED
        )  # fmt: skip
    return state


def overlap(a: tuple, b: tuple) -> bool:
    """Separating axes of two oriented boxes (x, y, yaw, half length, half width)."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    for yaw in (a[2], a[2] + math.pi / 2, b[2], b[2] + math.pi / 2):
        ux, uy = math.cos(yaw), math.sin(yaw)
        reach = 0.0
        for _, _, box_yaw, hl, hw in (a, b):
            reach += hl * abs(math.cos(box_yaw - yaw)) + hw * abs(math.sin(box_yaw - yaw))
        if abs(dx * ux + dy * uy) > reach:
            return False
    return True


@dataclass
class Street:
    """Traffic with kinematic vehicles that take 0.2 s to accelerate and 0.4 rad/s to steer."""

    graph: LaneGraph
    config: TrafficConfig
    seed: int
    now: float = 0.0
    collisions: set = field(default_factory=set)
    reds: set = field(default_factory=set)
    near: list = field(default_factory=list)
    speeds: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = TrafficModel(self.graph, self.config, self.seed)
        fleet, rng = self.model.fleet, np.random.Generator(np.random.PCG64(self.seed))
        n = len(fleet.x)
        fleet.half_length[:] = rng.uniform(1.8, 2.6, n)
        fleet.half_width[:] = rng.uniform(0.85, 1.05, n)
        fleet.wheelbase[:] = 1.2 * fleet.half_length
        self.accel, self.angle = np.zeros(n), np.zeros(n)
        lanes = np.flatnonzero(
            (self.graph.kind == 0) & (self.graph.junction < 0) & (self.graph.length > 40.0)
        )
        lane = int(rng.choice(lanes))
        row = self.graph.points(lane).start + 15
        fleet.x[EGO], fleet.y[EGO] = self.graph.xyz[row, 0], self.graph.xyz[row, 1]
        fleet.yaw[EGO], fleet.z[EGO] = self.graph.yaw[row], self.graph.xyz[row, 2]
        fleet.active[EGO] = fleet.driven[EGO] = True
        self.model.look(0.0)
        for i in range(self.model.vehicles.start, self.model.vehicles.stop):
            self.model.place_vehicle(i, first=True)
        for w in range(self.config.num_walkers):
            self.model.place_walker(w, first=True)

    def step(self, recycle: bool = True) -> None:
        fleet, crowd = self.model.fleet, self.model.crowd
        signals = cycle(self.graph, self.now)
        before = self.fronts()
        self.model.step(signals, self.now, DT)
        self.accel += (fleet.accel - self.accel) * DT / 0.2
        turn = np.clip(fleet.wheel_angle - self.angle, -0.4 * DT * 2, 0.4 * DT * 2)
        self.angle += turn
        speed = np.maximum(fleet.speed + self.accel * DT, 0.0)
        yaw_rate = speed * np.tan(self.angle) / fleet.wheelbase
        rear_x = fleet.x - 0.5 * fleet.wheelbase * np.cos(fleet.yaw)
        rear_y = fleet.y - 0.5 * fleet.wheelbase * np.sin(fleet.yaw)
        rear_x += speed * np.cos(fleet.yaw) * DT
        rear_y += speed * np.sin(fleet.yaw) * DT
        fleet.yaw[:] = fleet.yaw + yaw_rate * DT
        fleet.x[:] = rear_x + 0.5 * fleet.wheelbase * np.cos(fleet.yaw)
        fleet.y[:] = rear_y + 0.5 * fleet.wheelbase * np.sin(fleet.yaw)
        fleet.speed[:] = np.where(fleet.active, speed, 0.0)
        crowd.vx[:] = crowd.dir_x * crowd.out_speed
        crowd.vy[:] = crowd.dir_y * crowd.out_speed
        crowd.x[:] += crowd.vx * DT
        crowd.y[:] += crowd.vy * DT
        self.now += DT
        for i in np.flatnonzero(fleet.active):
            lane = fleet.plan[i, 0]
            row = self.graph.point_start[lane] + int(
                np.clip(fleet.s[i], 0, self.graph.length[lane] - 1)
            )
            fleet.z[i] = self.graph.xyz[min(row, self.graph.point_start[lane + 1] - 1), 2]
        self.count_reds(before, signals)
        if round(self.now / DT) % 4 == 0:
            self.count_collisions()
        if recycle:
            vehicles, _ = self.model.recycle(self.now)
            for spot in vehicles:
                self.accel[spot.row] = self.angle[spot.row] = 0.0
        gap = np.hypot(fleet.x - fleet.x[EGO], fleet.y - fleet.y[EGO])[1:]
        walk = np.hypot(crowd.x - fleet.x[EGO], crowd.y - fleet.y[EGO])
        self.near.append(
            int(np.sum(fleet.active[1:] & (gap < 50)) + np.sum(crowd.active & (walk < 50)))
        )
        self.speeds.append(float(fleet.speed[fleet.active].mean()))

    def fronts(self) -> dict[int, tuple[int, float]]:
        f = self.model.fleet
        return {
            int(i): (int(f.plan[i, 0]), float(f.s[i] + f.half_length[i]))
            for i in np.flatnonzero(f.active) if f.plan_size[i] > 0
        }  # fmt: skip

    def count_reds(self, before: dict, signals: np.ndarray) -> None:
        f, g = self.model.fleet, self.graph
        for q in range(len(g.stop_lane)):
            if g.stop_kind[q] != StopKind.LIGHT or signals[g.stop_signal[q]] != SignalState.RED:
                continue
            for i, (lane, front) in before.items():
                if lane != g.stop_lane[q] or int(f.plan[i, 0]) != lane:
                    continue
                now_front = f.s[i] + f.half_length[i]
                guards = g.stop_junction_lane[q] in (-1, f.plan[i, 1])
                if guards and front <= g.stop_s[q] < now_front and f.speed[i] > 1.0:
                    self.reds.add((i, q, round(self.now)))

    def count_collisions(self) -> None:
        f, c = self.model.fleet, self.model.crowd
        rows = np.flatnonzero(f.active)
        boxes = {
            int(i): (f.x[i], f.y[i], f.yaw[i], f.half_length[i], f.half_width[i]) for i in rows
        }
        for n, i in enumerate(rows):
            for j in rows[n + 1 :]:
                if (
                    math.hypot(f.x[i] - f.x[j], f.y[i] - f.y[j]) < 6.0
                    and abs(f.z[i] - f.z[j]) < 2
                    and overlap(boxes[int(i)], boxes[int(j)])
                ):
                    self.collisions.add(("vehicles", int(i), int(j)))
            for w in np.flatnonzero(c.active):
                if math.hypot(f.x[i] - c.x[w], f.y[i] - c.y[w]) < 4.0 and overlap(
                    boxes[int(i)], (c.x[w], c.y[w], 0.0, 0.25, 0.25)
                ):
                    self.collisions.add(("walker", int(i), int(w)))


def run(graph: LaneGraph, seconds: float, seed: int, vehicles: int = 40, walkers: int = 20):
    street = Street(graph, TrafficConfig(vehicles, walkers, 0, 0), seed)
    driven = np.zeros(len(street.model.fleet))
    for _ in range(round(seconds / DT)):
        street.step()
        driven += street.model.fleet.speed * DT
    return street, driven


@pytest.fixture(scope="module")
def grid() -> LaneGraph:
    from carla_bridge.headless.towns import load_town

    return load_town("grid").lane_graph


def test_nobody_collides_runs_a_light_or_gets_stuck(grid):
    street, driven = run(grid, 45.0, seed=1)
    moving_hits = {
        c for c in street.collisions
        if c[0] == "vehicles" or street.model.fleet.speed[c[1]] > 0.5
    }  # fmt: skip
    assert not moving_hits
    assert not street.reds
    assert np.mean(street.near) >= 8.0
    active = street.model.fleet.active
    assert np.mean(driven[active]) > 60.0
    assert np.quantile(driven[active], 0.1) > 15.0


def test_aggressive_drivers_are_faster_and_jaywalkers_cross_anywhere(grid):
    street = Street(grid, TrafficConfig(40, 40, 0, 0, aggressive=0.5, jaywalkers=0.5), 1)
    fleet, crowd, net = street.model.fleet, street.model.crowd, street.model.net
    between = {False: 0, True: 0}
    fastest = np.zeros(len(fleet))
    limit = grid.speed_limit
    for _ in range(900):
        street.step()
        for w in np.flatnonzero(crowd.active & (crowd.mode == WalkerMode.CROSS)):
            between[bool(crowd.jaywalks[w])] += bool(net.cross_anywhere[crowd.crossing[w]])
        fastest = np.maximum(fastest, fleet.speed / limit[fleet.plan[:, 0]])
    assert between[True] > 100  # ticks
    assert between[False] == 0
    hot = fleet.politeness == 0.0
    assert 10 < hot[1:41].sum() < 30
    assert fastest[1:41][hot[1:41]].max() > 1.05 > fastest[1:41][~hot[1:41]].max()
    assert not {c for c in street.collisions if fleet.speed[c[1]] > 0.5}


def test_who_is_on_a_closed_line_goes_even_where_it_is_full():
    from carla_bridge.headless.towns import load_town

    ring = load_town("ring").lane_graph
    street = Street(ring, TrafficConfig(120, 0, 0, 0), 1)
    fleet = street.model.fleet
    lanes, count = np.unique(fleet.plan[1:, 0][fleet.active[1:]], return_counts=True)
    lane = int(lanes[np.argmax(count)])
    closed = ring.xyz[ring.points(lane), :2]
    street.model.keep_off(closed)

    def on_it() -> int:
        near = np.hypot(fleet.x[1:, None] - closed[:, 0], fleet.y[1:, None] - closed[:, 1])
        return int(((near.min(axis=1) < 1.2) & fleet.active[1:]).sum())

    begin = on_it()
    assert begin >= 4
    for _ in range(60):
        street.step()
    assert on_it() <= 1


def test_same_seed_gives_the_same_bits(grid):
    def state(seed):
        street, _ = run(grid, 8.0, seed)
        return street.model.fleet.tobytes() + street.model.crowd.tobytes()

    assert state(3) == state(3)
    assert state(3) != state(4)


def test_agents_appear_out_of_sight_and_clear_of_others(grid):
    from headway.traffic.surroundings import in_sight

    street = Street(grid, TrafficConfig(40, 20, 0, 0), 2)
    fleet, crowd = street.model.fleet, street.model.crowd
    placed = 0
    for _ in range(400):
        street.step(recycle=False)
        vehicles, walkers = street.model.recycle(street.now)
        for spot in vehicles + walkers:
            assert not in_sight(fleet.x[EGO], fleet.y[EGO], fleet.yaw[EGO], spot.x, spot.y)
        for spot in vehicles:
            placed += 1
            others = fleet.active & (np.arange(len(fleet)) != spot.row)
            for j in np.flatnonzero(others):
                boxes = [
                    (fleet.x[i], fleet.y[i], fleet.yaw[i], fleet.half_length[i] + 1.0,
                     fleet.half_width[i]) for i in (spot.row, j)
                ]  # fmt: skip
                assert not overlap(*boxes)
        placed += len(walkers)
        assert np.all(np.isfinite(crowd.x))
    assert placed > 3


@pytest.mark.parametrize("town", ["Town01", "Town04"])
def test_carlas_towns_flow(shared, town):
    from carla_bridge.lane_graph import lane_graph_from_xodr

    graph = lane_graph_from_xodr(town, (shared / "towns" / f"{town}.xodr").read_text())
    street, driven = run(graph, 25.0, seed=1)
    assert not [c for c in street.collisions if c[0] == "vehicles"]
    assert not street.reds
    assert np.mean(driven[street.model.fleet.active]) > 25.0


@pytest.mark.slow
@pytest.mark.parametrize("town", ["ring", "old_town", "harbour", "interchange", "village"])
def test_our_other_towns_flow(town):
    from carla_bridge.headless.towns import load_town

    street, driven = run(load_town(town).lane_graph, 60.0, seed=1)
    assert not [c for c in street.collisions if c[0] == "vehicles"]
    assert not street.reds
    active = street.model.fleet.active
    assert np.mean(driven[active]) > 100.0
    assert np.quantile(driven[active], 0.1) > 15.0
