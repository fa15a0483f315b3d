"""The simulation by itself: records, spawning, ground, walkers, lights, determinism."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from carla_bridge.headless import wire
from carla_bridge.headless.actors import pack_records
from carla_bridge.headless.blueprints import ActorKind, blueprint_library
from carla_bridge.headless.contacts import resolve_contacts
from carla_bridge.headless.motion import move_bodies, place_attached
from carla_bridge.headless.signals import LightColumn, touch_triggers
from carla_bridge.headless.towns import Town
from carla_bridge.headless.world import SpawnError, UnknownActor, World, warm_world

CAR, WALKER = "vehicle.tesla.model3", "walker.pedestrian.0001"


def put(world: World, what: str, *place: float, attributes: Any = ()) -> int:
    """x, y, z, pitch, yaw, roll, CARLA's frame; what is left out is 0."""
    full = [*place, *([0.0] * (6 - len(place)))]
    return world.spawn([0, what, list(attributes)], [full[:3], full[3:]])[0]


def record(world: World, actor: int, kind: int = 0) -> Any:
    """The bytes that a client would read of an actor, as sent."""
    message = world.episode_message(0.05)
    dtype = (wire.VEHICLE_RECORD, wire.WALKER_RECORD, wire.LIGHT_RECORD)[kind]
    rows = np.frombuffer(message[48 + 36 :], dtype)
    return rows[rows["id"] == actor][0]


def test_every_blueprint_of_the_release_is_there_and_spawns(plain_town: Town) -> None:
    library = blueprint_library()
    world = World(plain_town)
    count = dict.fromkeys(ActorKind, 0)
    for blueprint in library:
        count[blueprint.kind] += 1
        if blueprint.kind in (ActorKind.VEHICLE, ActorKind.WALKER, ActorKind.PROP):
            actor = put(world, blueprint.id, 300.0, 0.0, 1.0)
            center, extent, _, owner = world.bounding_box(actor)
            assert tuple(extent) == pytest.approx(blueprint.extent)
            assert owner == actor
            assert center[2] == pytest.approx(
                0.0 if blueprint.kind == ActorKind.WALKER else extent[2]
            )
            world.step(0.05)
            assert world.destroy(actor)
    assert (count[ActorKind.VEHICLE], count[ActorKind.WALKER]) == (41, 52)
    assert count[ActorKind.PROP] == 99 + 1  # and our open door
    tesla = library.find(CAR)
    assert tesla is not None
    assert [2.0 * v for v in tesla.extent] == pytest.approx([4.792, 2.163, 1.488], abs=1e-3)
    kinds = {b.base_type for b in library if b.kind == ActorKind.VEHICLE}
    assert kinds == {"car", "truck", "van", "bus", "motorcycle", "bicycle"}


def test_records_are_119_bytes_and_in_carlas_frame(plain_town: Town) -> None:
    world = World(plain_town)
    car = put(world, CAR, 50.0, 5.0, 0.0, 0.0, 30.0, 0.0)
    walker = put(world, WALKER, 80.0, -5.0, 1.0)
    world.step(0.05)
    world.set_target_velocity(car, [6.0, 2.0, 0.0])
    world.apply_vehicle_control(car, [0.25, 0.5, 0.0, False, False, True, 2])
    world.apply_walker_control(walker, [[0.0, 1.0, 0.0], 1.5, True])
    world.step(0.05)
    message = world.episode_message(0.05)
    assert len(message) == 48 + 36 + 119 * len(world.table)
    seen = record(world, car)
    assert seen["alive"] == 1
    assert seen["yaw"] == pytest.approx(30.0, abs=3.0)
    assert (seen["throttle"], seen["steer"], seen["manual"]) == (0.25, 0.5, 1)
    assert seen["vx"] > 0.0
    assert seen["y"] > 5.0  # CARLA's y, to the south
    assert seen["wz"] > 0.0  # steered to the right, clockwise
    walking = record(world, walker, 1)
    assert (walking["dx"], walking["dy"], walking["speed"]) == (0.0, 1.0, 1.5)
    assert walking["jump"] == 1
    assert walking["y"] > -5.0
    assert walking["z"] == pytest.approx(0.93, abs=1e-3)


def test_a_car_steers_right_where_the_wheel_says(plain_town: Town) -> None:
    world = World(plain_town)
    car = put(world, CAR, 50.0, 0.0)
    for _ in range(100):
        world.apply_vehicle_control(car, [0.5, 0.3, 0.0, False, False, False, 0])
        world.step(0.05)
    seen = record(world, car)
    assert seen["yaw"] > 10.0
    assert seen["y"] > 1.0
    assert world.wheel_steer_angle(car, 0) > 0.0


def test_spawned_above_the_road_it_falls_and_stands(hill_town: Town) -> None:
    world = World(hill_town)
    car = put(world, CAR, 200.0, 5.0, 11.0, 0.0, 180.0, 0.0)
    world.apply_vehicle_control(car, [0.0, 0.0, 1.0, True, False, False, 0])
    world.step(0.05)
    assert record(world, car)["z"] > 10.5  # still falling
    for _ in range(40):
        world.step(0.05)
    seen = record(world, car)
    assert seen["z"] == pytest.approx(10.0, abs=0.02)
    assert seen["pitch"] == pytest.approx(-math.degrees(math.atan(0.05)), abs=0.05)
    assert seen["x"] == pytest.approx(200.0, abs=0.05)


def test_a_body_on_another_keeps_the_next_one_away(plain_town: Town) -> None:
    world = World(plain_town)
    put(world, CAR, 50.0, 5.0)
    with pytest.raises(SpawnError, match=r"^Spawn failed because of collision at spawn position$"):
        put(world, CAR, 53.0, 5.0, 0.3, 0.0, 30.0)
    put(world, CAR, 53.0, 8.5, 0.3)


def test_unknown_actors_and_broken_numbers_are_named(plain_town: Town) -> None:
    world = World(plain_town)
    car, walker = put(world, CAR, 50.0, 5.0), put(world, WALKER, 80.0, 5.0, 1.0)
    nan, inf = math.nan, math.inf
    with pytest.raises(UnknownActor, match="999"):
        world.set_transform(999, [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="finite"):
        world.set_transform(car, [[nan, 0.0, 0.0], [0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="beyond"):
        world.set_target_velocity(car, [1e300, 0.0, 0.0])
    with pytest.raises(ValueError, match="no vehicle"):
        world.apply_vehicle_control(walker, [0.0, 0.0, 0.0, False, False, False, 0])
    with pytest.raises(ValueError, match="no traffic light"):
        world.signals.set_state(car, 2)
    with pytest.raises(SpawnError, match=r"vehicle\.nobody"):
        put(world, "vehicle.nobody", 0.0, 0.0)
    world.apply_vehicle_control(car, [nan, inf, nan, False, False, False, 0])
    world.apply_walker_control(walker, [[nan, 1.0, 0.0], inf, False])
    for _ in range(20):
        world.step(0.05)
    for column in (world.table.columns.pose, world.table.columns.velocity):
        assert np.isfinite(column).all()
    assert record(world, car)["steer"] == 1.0
    assert world.bounding_box(12345)[3] == 12345  # an error here would end a client
    assert world.destroy(car)
    assert not world.destroy(car)
    assert world.bounding_box(car)[1][0] > 2.0


def test_rows_follow_their_actors_through_destruction(plain_town: Town) -> None:
    world = World(plain_town)
    cars = [put(world, CAR, 20.0 + 6.0 * k, 5.0) for k in range(90)]  # more than one growth
    child = world.spawn([0, "sensor.other.imu", []], [[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]], cars[50])[
        0
    ]
    world.step(0.05)
    for car in cars[::2]:
        if car != cars[50]:
            world.destroy(car)
    world.step(0.05)
    ids = np.frombuffer(world.episode_message(0.0)[84:], wire.VEHICLE_RECORD)["id"]
    assert list(ids) == world.actor_ids() == sorted(ids)
    for k in (1, 33, 89):
        assert record(world, cars[k])["x"] == pytest.approx(20.0 + 6.0 * k, abs=0.01)
    assert record(world, child)["x"] == pytest.approx(321.0, abs=0.01)
    world.destroy(cars[50])
    world.step(0.05)
    assert record(world, child)["x"] == pytest.approx(321.0, abs=0.01)


def test_walkers_walk_turn_and_stop(hill_town: Town) -> None:
    world = World(hill_town)
    walker = put(world, WALKER, 100.0, 5.0, 6.5)
    for _ in range(40):
        world.apply_walker_control(walker, [[1.0, 0.0, 0.0], 1.5, False])
        world.step(0.05)
    seen = record(world, walker, 1)
    assert seen["x"] == pytest.approx(100.0 + 40 * 0.05 * 1.5, abs=0.1)
    assert seen["z"] == pytest.approx(0.05 * seen["x"] + 0.93, abs=0.02)
    assert math.hypot(seen["vx"], seen["vy"]) == pytest.approx(1.5, abs=1e-3)
    for _ in range(20):
        world.apply_walker_control(walker, [[0.0, -1.0, 0.0], 1.0, False])
        world.step(0.05)
    assert record(world, walker, 1)["yaw"] == pytest.approx(-90.0, abs=0.1)
    world.apply_walker_control(walker, [[0.0, -1.0, 0.0], 0.0, False])
    for _ in range(5):
        world.step(0.05)
    assert math.hypot(*record(world, walker, 1)[["vx", "vy"]].tolist()) < 1e-6


def test_constant_velocity_is_held_and_physics_can_be_off(plain_town: Town) -> None:
    world = World(plain_town)
    held, still = put(world, CAR, 50.0, 5.0), put(world, CAR, 80.0, 15.0)
    world.enable_constant_velocity(held, [7.0, 0.0, 0.0])
    world.set_simulate_physics(still, False)
    world.set_transform(still, [[80.0, 15.0, 4.0], [10.0, 45.0, 0.0]])
    world.apply_vehicle_control(still, [1.0, 0.0, 0.0, False, False, False, 0])
    for _ in range(40):
        world.step(0.05)
    assert record(world, held)["x"] == pytest.approx(50.0 + 40 * 0.05 * 7.0, abs=0.01)
    seen = record(world, still)
    assert [float(seen[n]) for n in ("x", "y", "z", "pitch", "yaw")] == pytest.approx(
        [80.0, 15.0, 4.0, 10.0, 45.0]
    )
    world.disable_constant_velocity(held)
    world.apply_vehicle_control(held, [0.0, 0.0, 1.0, False, False, False, 0])
    for _ in range(100):
        world.step(0.05)
    assert abs(record(world, held)["vx"]) < 0.01


def test_an_impulse_gives_its_velocity(plain_town: Town) -> None:
    world = World(plain_town)
    car = put(world, CAR, 50.0, 5.0)
    world.step(0.05)
    mass = world.table.columns.mass[world.table.row(car)]
    world.add_impulse(car, [4.0 * mass, 0.0, 0.0])
    world.step(0.01)
    assert record(world, car)["vx"] == pytest.approx(4.0, rel=0.03)


def test_physics_control_round_trip_and_change(plain_town: Town) -> None:
    world = World(plain_town)
    car = put(world, CAR, 50.0, 5.0)
    before = world.physics_control(car)
    assert before[11] == pytest.approx(1845.0, rel=0.2)  # mass
    world.apply_physics_control(car, before)
    assert world.physics_control(car) == before
    heavier = [*before[:11], 2.0 * before[11], *before[12:]]
    world.apply_physics_control(car, heavier)
    assert world.physics_control(car)[11] == 2.0 * before[11]
    assert world.table.columns.mass[world.table.row(car)] == 2.0 * before[11]
    with pytest.raises(ValueError, match="17 fields"):
        world.apply_physics_control(car, [1.0])


def test_a_friction_trigger_makes_braking_longer(plain_town: Town) -> None:
    stops = []
    for slippery in (False, True):
        world = World(plain_town)
        if slippery:
            values = {"friction": 0.1, "extent_x": 300.0, "extent_y": 30.0, "extent_z": 5.0}
            put(world, "static.trigger.friction", 200.0, 5.0,
                attributes=[[k, 3, str(v)] for k, v in values.items()])  # fmt: skip
        car = put(world, CAR, 50.0, 5.0)
        world.step(0.05)
        world.set_target_velocity(car, [15.0, 0.0, 0.0])
        world.apply_vehicle_control(car, [0.0, 0.0, 1.0, False, False, False, 0])
        for _ in range(400):
            world.step(0.05)
        stops.append(record(world, car)["x"] - 50.0)
    assert stops[0] < 25.0
    # mu g = 0.1 * 9.81: v^2 / (2 mu g) = 115 m
    assert stops[1] == pytest.approx(115.0, rel=0.1)


def test_lights_of_a_group_take_turns(grid_town: Town) -> None:
    world = World(grid_town)
    groups = [g for g in world.signals.groups.values() if len(g.stages) > 1]
    assert groups
    seen: dict[int, list[set[int]]] = {}
    for _ in range(1400):
        world.step(0.05)
        for number, group in enumerate(groups):
            states = [{world.signals.state(a) for a in stage} for stage in group.stages]
            assert all(len(s) == 1 for s in states)  # one stage, one colour
            lit = [s for s in states if s != {0}]
            assert len(lit) <= 1  # nobody else while one is green or yellow
            seen.setdefault(number, []).append({k for k, s in enumerate(states) if s == {2}})
    for number, group in enumerate(groups):
        greens = set().union(*seen[number])
        assert greens == set(range(len(group.stages)))


def test_light_times_freeze_reset_and_state(grid_town: Town) -> None:
    world = World(grid_town)
    group = next(g for g in world.signals.groups.values() if len(g.stages) > 1)
    light = group.stages[0][0]
    world.signals.set_green_time(light, 1.0)
    world.signals.set_yellow_time(light, 0.5)
    history = []
    for _ in range(32):
        world.step(0.05)
        history.append(world.signals.state(light))
    assert history[18] == 2
    assert history[19:29] == [1] * 10
    assert history[29:] == [0] * 3
    world.signals.reset_group(light)
    world.signals.freeze(light, True)
    for _ in range(100):
        world.step(0.05)
    assert world.signals.state(light) == 2
    row = world.table.row(light)
    assert world.table.columns.light[row, LightColumn.FROZEN] == 1.0
    world.signals.set_state(light, 0)
    world.step(0.05)
    seen = record(world, light, 2)
    assert (seen["state"], seen["frozen"], seen["green"]) == (0, 1, 1.0)
    assert seen["sign_id"].decode() == world.signals.opendrive_id[light]
    world.signals.freeze(light, False)
    for _ in range(25):
        world.step(0.05)
    assert world.signals.state(light) == 1  # its green second passed, the group went on
    assert sorted(world.signals.group(light)) == sorted(group.lights)


def test_a_car_in_a_lights_volume_knows_the_light(grid_town: Town) -> None:
    world = World(grid_town)
    spec = next(s for s in grid_town.signals if s.type_id == "traffic.traffic_light" and s.boxes)
    box = spec.boxes[0]
    car = put(world, CAR, *box.center, 0.0, box.yaw, 0.0)
    world.step(0.05)
    seen = record(world, car)
    assert seen["has_light"] == 1
    light = int(seen["light_id"])
    assert world.signals.opendrive_id[light] == spec.opendrive_id
    assert seen["light_state"] == world.signals.state(light)
    world.set_transform(car, [[5000.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    world.step(0.05)
    seen = record(world, car)
    assert (seen["has_light"], seen["light_id"], seen["light_state"]) == (0, 0, 2)


def test_a_speed_sign_sets_the_limit_until_the_next(grid_town: Town) -> None:
    world = World(grid_town)
    spec = next(s for s in grid_town.signals if s.value > 0.0 and s.boxes)
    car = put(world, CAR, *spec.boxes[0].center, 0.0, spec.boxes[0].yaw, 0.0)
    world.step(0.05)
    assert record(world, car)["speed_limit"] == pytest.approx(spec.value)
    world.set_transform(car, [[5000.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    world.step(0.05)
    assert record(world, car)["speed_limit"] == pytest.approx(spec.value)


def test_rays_meet_the_ground_and_bodies(hill_town: Town) -> None:
    world = World(hill_town)
    car = put(world, CAR, 100.0, 5.0, 5.0)
    found, (place, label) = world.project_point([300.0, 5.0, 50.0], [0.0, 0.0, -1.0], 100.0)
    assert (found, label) == (True, 1)
    assert place == pytest.approx([300.0, 5.0, 15.0], abs=0.01)
    assert not world.project_point([300.0, 5.0, 50.0], [0.0, 0.0, -1.0], 10.0)[0]
    (near, tag), *_ = world.cast_ray([90.0, 5.0, 6.0], [99.0, 5.0, 6.0])
    assert tag == 14
    assert near[0] == pytest.approx(100.0 - world.bounding_box(car)[1][0], abs=0.01)


def drive(town: Town, seed: int, steps: int) -> list[bytes]:
    """A seeded melee of 50 vehicles and 10 walkers; every record of every 50th step."""
    world = World(town, seed)
    random = np.random.default_rng(seed)
    kinds = [b.id for b in blueprint_library() if b.kind == ActorKind.VEHICLE]
    cars = []
    for k in range(50):
        what = kinds[int(random.integers(len(kinds)))]
        cars.append(put(world, what, 30.0 + 14.0 * (k // 2), -6.0 if k % 2 else 6.0, 0.3))
    walkers = [put(world, WALKER, 60.0 + 30.0 * k, 0.0, 1.0) for k in range(10)]
    kept = []
    for step in range(steps):
        for car in cars:
            throttle, steer, brake = random.uniform(0, 1), random.uniform(-0.3, 0.3), 0.0
            if random.uniform() < 0.1:
                throttle, brake = 0.0, random.uniform(0, 1)
            world.apply_vehicle_control(car, [throttle, steer, brake, False, False, False, 0])
        if step % 20 == 0:
            for walker in walkers:
                way = [*random.uniform(-1, 1, 2), 0.0]
                world.apply_walker_control(walker, [way, random.uniform(0, 3), False])
        if step == 500:
            world.destroy(cars.pop(7))
        world.step(0.05)
        if step % 50 == 0:
            kept.append(world.episode_message(0.05)[84:])
    return kept


def test_the_same_seed_and_calls_give_the_same_bits(plain_town: Town) -> None:
    first = drive(plain_town, 3, 2000)
    assert first == drive(plain_town, 3, 2000)
    assert first[-1] != drive(plain_town, 4, 200)[-1]


def test_warming_up_compiles_what_a_world_needs(plain_town: Town) -> None:
    warm_world(plain_town)
    for kernel in (move_bodies, resolve_contacts, pack_records, place_attached, touch_triggers):
        assert kernel.signatures, kernel
