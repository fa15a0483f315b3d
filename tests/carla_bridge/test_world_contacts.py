"""Nothing passes through anything, and blows exchange momentum."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from carla_bridge.headless.towns import Town
from carla_bridge.headless.world import World

CAR, TRUCK = "vehicle.tesla.model3", "vehicle.carlamotors.firetruck"
BIKE, WALKER = "vehicle.diamondback.century", "walker.pedestrian.0001"
BARRIER = "static.prop.streetbarrier"


def put(world: World, what: str, x: float, y: float, yaw: float = 0.0) -> int:
    """Spawn on the plain; y is CARLA's, to the right when looking east."""
    z = 1.0 if what.startswith("walker") else 0.0
    return world.spawn([0, what, []], [[x, y, z], [0.0, yaw, 0.0]])[0]


def gap(world: World, a: int, b: int) -> float:
    """Distance [m] between two boxes along their best separating axis; negative: they overlap."""
    c = world.table.columns
    i, j = world.table.row(a), world.table.row(b)
    axes = []
    for row in (i, j):
        yaw = c.pose[row, 5]
        axes += [(math.cos(yaw), math.sin(yaw)), (-math.sin(yaw), math.cos(yaw))]
    best = -math.inf
    for ux, uy in axes:
        reach = 0.0
        for row in (i, j):
            yaw = c.pose[row, 5]
            along = abs(ux * math.cos(yaw) + uy * math.sin(yaw)) * c.extent[row, 0]
            reach += along + abs(uy * math.cos(yaw) - ux * math.sin(yaw)) * c.extent[row, 1]
        apart = abs((c.pose[j, 0] - c.pose[i, 0]) * ux + (c.pose[j, 1] - c.pose[i, 1]) * uy)
        best = max(best, apart - reach)
    return best


def momentum(world: World, *ids: int) -> np.ndarray:
    c = world.table.columns
    rows = [world.table.row(a) for a in ids]
    return sum(c.mass[r] * c.velocity[r, :2] for r in rows)


@pytest.mark.parametrize("what", [CAR, TRUCK, BIKE, WALKER, BARRIER])
@pytest.mark.parametrize("speed", [5.0, 30.0])
@pytest.mark.parametrize("phase", [0.0, 0.4, 1.1])
def test_a_car_cannot_drive_through(
    plain_town: Town, what: str, speed: float, phase: float
) -> None:
    world = World(plain_town)
    car = put(world, CAR, 50.0 + phase, 5.0)
    turned = 90.0 if what == BARRIER else 0.0
    other = put(world, what, 70.0, 5.0, turned)
    world.step(0.05)
    world.set_target_velocity(car, [speed, 0.0, 0.0])
    for _ in range(80):
        world.step(0.05)
        c = world.table.columns
        front, back = c.pose[world.table.row(car), 0], c.pose[world.table.row(other), 0]
        sideways = abs(c.pose[world.table.row(car), 1] - c.pose[world.table.row(other), 1])
        assert front < back or sideways > 1.0, "it came out on the other side"
        assert gap(world, car, other) > -0.02


def test_two_cars_head_on_at_30_meters_per_second_each(plain_town: Town) -> None:
    world = World(plain_town)
    left, right = put(world, CAR, 50.0, 0.0), put(world, CAR, 100.0, 0.3, 180.0)
    world.step(0.05)
    world.set_target_velocity(left, [30.0, 0.0, 0.0])
    world.set_target_velocity(right, [-30.0, 0.0, 0.0])
    for _ in range(60):
        world.step(0.05)
        c = world.table.columns
        assert c.pose[world.table.row(left), 0] < c.pose[world.table.row(right), 0]
        assert gap(world, left, right) > -0.02


def test_bikes_that_cross_at_speed_do_not_slip_through_each_other(plain_town: Town) -> None:
    for offset in np.linspace(-0.7, 0.7, 8):
        world = World(plain_town)
        east = put(world, BIKE, 50.0, 0.0)
        north = put(world, BIKE, 60.0 + offset, 10.0, -90.0)
        world.step(0.05)
        for bike, velocity in ((east, [25.0, 0.0, 0.0]), (north, [0.0, -25.0, 0.0])):
            world.set_target_velocity(bike, velocity)
        touched = False
        for _ in range(20):
            world.step(0.05)
            touched |= bool((world._scratch.impulse[: world.last_pairs, 2] > 0.0).any())
            assert gap(world, east, north) > -0.02
        assert touched


def test_a_row_of_cars_against_a_wall_stays_in_order(plain_town: Town) -> None:
    world = World(plain_town)
    wall = put(world, "static.prop.container", 120.0, 5.0)
    cars = [put(world, CAR, 110.0 - 8.0 * k, 5.0) for k in range(5)]
    world.step(0.05)
    for car in cars:
        world.set_target_velocity(car, [20.0, 0.0, 0.0])
        world.apply_vehicle_control(car, [1.0, 0.0, 0.0, False, False, False, 0])
    for _ in range(200):
        world.step(0.05)
        c = world.table.columns
        x = [c.pose[world.table.row(a), 0] for a in (wall, *cars)]
        assert all(ahead > behind for ahead, behind in itertools.pairwise(x))
    assert max(-gap(world, a, b) for a, b in zip([wall, *cars], cars, strict=False)) < 0.05


@pytest.mark.parametrize("other", [CAR, TRUCK])
def test_momentum_is_conserved_along_the_blow(plain_town: Town, other: str) -> None:
    world = World(plain_town)
    striker, struck = put(world, CAR, 50.0, 5.0), put(world, other, 60.0, 5.0)
    world.step(0.05)
    world.set_target_velocity(striker, [12.0, 0.0, 0.0])
    before = momentum(world, striker, struck)
    for _ in range(80):
        world.step(0.01)
        if (world._scratch.impulse[: world.last_pairs, 2] > 0.0).any():
            break
        before = momentum(world, striker, struck)
    after = momentum(world, striker, struck)
    # what tyres and air take in the one step of the blow is all that may be missing
    assert after == pytest.approx(before, rel=0.01)
    c = world.table.columns
    fast, slow = (c.velocity[world.table.row(a), 0] for a in (struck, striker))
    assert fast > slow  # they part
    assert slow < 12.0


def test_the_lighter_body_flies(plain_town: Town) -> None:
    world = World(plain_town)
    car, walker = put(world, CAR, 50.0, 5.0), put(world, WALKER, 60.0, 5.0)
    world.step(0.05)
    world.set_target_velocity(car, [15.0, 0.0, 0.0])
    c = world.table.columns
    i, j = world.table.row(car), world.table.row(walker)
    for _ in range(100):
        before = c.velocity[i, 0]
        world.step(0.01)
        if c.velocity[j, 0] > 0.0:
            break
    mass = c.mass[i]
    exchanged = 1.1 * before / (1.0 / 80.0 + 1.0 / mass)  # restitution 0.1
    assert c.velocity[j, 0] == pytest.approx(exchanged / 80.0, rel=0.01)
    assert before - c.velocity[i, 0] == pytest.approx(exchanged / mass, abs=0.05)
    impulse = world._scratch.impulse[: world.last_pairs, 2].max()
    assert impulse == pytest.approx(exchanged, rel=0.01)


def test_an_off_centre_blow_turns_the_struck_car(plain_town: Town) -> None:
    world = World(plain_town)
    striker, struck = put(world, CAR, 50.0, -2.0, 90.0), put(world, CAR, 52.0, 5.0)
    world.step(0.05)
    world.set_target_velocity(striker, [0.0, 10.0, 0.0])  # to the south, into the rear half
    for _ in range(30):
        world.step(0.05)
    row = world.table.row(struck)
    yaw = world.table.columns.pose[row, 5]
    assert yaw > 0.05  # its tail goes south: counter-clockwise seen from above
    assert world.table.columns.pose[row, 1] < -5.0


def test_a_car_scrapes_along_a_wall_and_stays_on_its_side(plain_town: Town) -> None:
    world = World(plain_town)
    walls = [put(world, "static.prop.container", 60.0 + 3.0 * k, 12.0) for k in range(12)]
    car = put(world, CAR, 40.0, 9.0, 20.0)
    world.step(0.05)
    world.set_target_velocity(car, [18.0, 6.0, 0.0])
    for _ in range(60):
        world.step(0.05)
        assert all(gap(world, car, wall) > -0.05 for wall in walls)


def test_walkers_do_not_shove_parked_cars(plain_town: Town) -> None:
    world = World(plain_town)
    car, walker = put(world, CAR, 50.0, 5.0, 90.0), put(world, WALKER, 46.0, 5.0)
    for _ in range(200):
        world.apply_walker_control(walker, [[1.0, 0.0, 0.0], 2.0, False])
        world.step(0.05)
    c = world.table.columns
    assert c.pose[world.table.row(car), 0] == pytest.approx(50.0, abs=0.02)
    assert c.pose[world.table.row(walker), 0] < 50.0


def test_bodies_without_collisions_pass(plain_town: Town) -> None:
    world = World(plain_town)
    car, walker = put(world, CAR, 50.0, 5.0), put(world, WALKER, 60.0, 5.0)
    world.set_collisions(walker, False)
    world.step(0.05)
    world.set_target_velocity(car, [15.0, 0.0, 0.0])
    for _ in range(30):
        world.step(0.05)
    c = world.table.columns
    assert c.pose[world.table.row(car), 0] > 65.0
    assert c.pose[world.table.row(walker), 0] == pytest.approx(60.0, abs=1e-6)


def test_a_crowd_of_random_bodies_never_overlaps_for_long(plain_town: Town) -> None:
    world = World(plain_town)
    random = np.random.default_rng(7)
    ids = []
    for k in range(40):
        what = (CAR, TRUCK, BIKE, WALKER)[k % 4]
        spot = 100.0 + 12.0 * (k % 8), -16.0 + 7.0 * (k // 8)
        ids.append(put(world, what, *spot, float(random.uniform(-180.0, 180.0))))
    world.step(0.05)
    for actor in ids:
        velocity = random.uniform(-15.0, 15.0, 2)
        world.set_target_velocity(actor, [*velocity, 0.0])
    for _ in range(100):
        world.step(0.05)
    worst = min(gap(world, a, b) for k, a in enumerate(ids) for b in ids[:k])
    assert worst > -0.05
