"""What a map's signals and lane entries become, checked on the real LibCarla."""

import math

import carla
import numpy as np
import pytest

from carla_bridge.headless.towns.grid import grid
from carla_bridge.headless.towns.load import geo_reference
from carla_bridge.headless.towns.ring import ring
from carla_bridge.headless.towns.signals import signal_specs, spawn_points
from carla_bridge.headless.towns.store import OWN_TOWNS
from carla_bridge.headless.towns.town import SignalSpec, TriggerBox
from carla_bridge.headless.towns.validate import check_xodr

OWN = OWN_TOWNS
CARLAS = ("Town01", "Town02", "Town03", "Town04", "Town05", "Town10HD")


@pytest.fixture(scope="module", params=[*OWN, *CARLAS])
def world(request):
    """Map, XML root and signals of one town."""
    name = request.param
    if name in OWN:
        xodr = OWN[name]()
    else:
        xodr = (request.getfixturevalue("shared") / f"towns/{name}.xodr").read_text()
    root = check_xodr(name, xodr)
    town_map = carla.Map(name, xodr)
    return name, town_map, root, signal_specs(town_map, root)


def corners(box: TriggerBox) -> np.ndarray:
    cos, sin = math.cos(math.radians(box.yaw)), math.sin(math.radians(box.yaw))
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return signs * box.extent @ turn.T + box.center


def in_actor_frame(spec: SignalSpec, points: np.ndarray) -> np.ndarray:
    """With carla's own transform, so that the frame's handedness is not ours to get wrong."""
    x, y, z, pitch, yaw, roll = spec.transform
    transform = carla.Transform(carla.Location(x, y, z), carla.Rotation(pitch, yaw, roll))
    inverse = np.array(transform.get_inverse_matrix())
    return points @ inverse[:3, :3].T + inverse[:3, 3]


def test_trigger_boxes_lie_on_the_lanes_that_they_are_for(world):
    name, town_map, _, specs = world
    boxes = [box for spec in specs for box in spec.boxes]
    assert boxes or name in ("Town03", "Town05")  # those two have no signals
    for box in boxes:
        center = carla.Location(*box.center)
        waypoint = town_map.get_waypoint(center)
        if name in OWN or not waypoint.is_junction:  # CARLA's lanes overlap in junctions
            assert (waypoint.road_id, waypoint.lane_id) == (box.road_id, box.lane_id)
        waypoint = town_map.get_waypoint_xodr(box.road_id, box.lane_id, box.s)
        assert waypoint.transform.location.distance(center) < 0.01
        assert waypoint.lane_type == carla.LaneType.Driving
        turn = (waypoint.transform.rotation.yaw - box.yaw + 180.0) % 360.0 - 180.0
        assert abs(turn) < 0.5
        assert box.extent[1] < waypoint.lane_width / 2


def test_the_actors_volume_holds_the_boxes_of_all_lanes(world):
    _, _, _, specs = world
    for spec in specs:
        if not spec.boxes:
            continue
        local = in_actor_frame(spec, np.concatenate([corners(box) for box in spec.boxes]))
        low = np.subtract(spec.trigger_center, spec.trigger_extent)
        high = np.add(spec.trigger_center, spec.trigger_extent)
        np.testing.assert_allclose(local.min(axis=0), low, atol=2e-3)
        np.testing.assert_allclose(local.max(axis=0), high, atol=2e-3)


@pytest.mark.parametrize("name", OWN)
def test_own_signals_stand_at_the_roadside_and_act_just_before_the_junction(name):
    xodr = OWN[name]()
    town_map = carla.Map(name, xodr)
    for spec in signal_specs(town_map, check_xodr(name, xodr)):
        on_road = town_map.get_waypoint(carla.Location(*spec.transform[:3]), project_to_road=False)
        assert on_road is None, f"signal {spec.opendrive_id} stands on a lane"
        for box in spec.boxes:
            # right-hand traffic: the post stands on the right of its lane, turned by 90 degrees
            turn = (spec.transform[4] - box.yaw - 90.0 + 180.0) % 360.0 - 180.0
            assert abs(turn) < 3.0
            center = in_actor_frame(spec, np.array([box.center]))[0]
            assert center[1] > -1.0 or "speed" in spec.type_id  # not behind the post
            if "speed" in spec.type_id:
                continue
            waypoint = town_map.get_waypoint(carla.Location(*box.center))
            assert not waypoint.is_junction
            assert waypoint.next(8.0)[0].is_junction


def test_lights_take_turns_in_the_groups_of_their_junctions():
    xodr = grid()
    town_map = carla.Map("grid", xodr)
    lights = [s for s in signal_specs(town_map, check_xodr("grid", xodr)) if s.group != -1]
    for group in {spec.group for spec in lights}:
        members = [spec for spec in lights if spec.group == group]
        orders = {spec.order for spec in members}
        assert orders == set(range(len(orders)))
        assert len(orders) == 2
        assert len(members) in (3, 4)
        for spec in members:
            assert (spec.green_time, spec.yellow_time, spec.red_time) == (10.0, 3.0, 2.0)
            junctions = {
                town_map.get_waypoint(carla.Location(*box.center)).next(9.0)[0].get_junction().id
                for box in spec.boxes
            }
            assert junctions == {group}


def test_drivers_see_their_light_and_its_group_before_the_junction():
    xodr = grid()
    town_map = carla.Map("grid", xodr)
    specs = signal_specs(town_map, check_xodr("grid", xodr))
    seen = 0
    for spec in (spec for spec in specs if spec.type_id == "traffic.traffic_light"):
        for box in spec.boxes:
            here = town_map.get_waypoint(carla.Location(*box.center)).previous(20.0)[0]
            marks = [m for m in here.get_landmarks(40.0, True) if m.type == "1000001"]
            assert [m.id for m in marks] == [spec.opendrive_id]
            group = {m.id for m in town_map.get_landmark_group(marks[0])}
            assert group == {
                s.opendrive_id for s in specs if (s.group, s.order) == (spec.group, spec.order)
            }
            seen += 1
    assert seen > 40


def test_a_light_without_controller_cycles_on_its_own():
    root = check_xodr("grid", grid())
    specs = signal_specs(carla.Map("grid", grid()), root)
    lost = next(spec for spec in specs if spec.type_id == "traffic.traffic_light")
    xodr = grid().replace(f'<control signalId="{lost.opendrive_id}" type="0"/>', "")
    assert xodr != grid()
    after = signal_specs(carla.Map("grid", xodr), check_xodr("grid", xodr))
    (lonely,) = [spec for spec in after if spec.group < -1]
    assert lonely.opendrive_id == lost.opendrive_id
    assert lonely.boxes == lost.boxes
    assert lonely.red_time == 10.0
    members = [sum(spec.group == lost.group for spec in some) for some in (specs, after)]
    assert members[1] == members[0] - 1


def test_spawn_points_are_where_lanes_enter_roads(world):
    name, town_map, root, _ = world
    points = spawn_points(town_map, root)
    expected = set()
    for road in root.iter("road"):
        sections, length = road.findall("lanes/laneSection"), float(road.get("length", ""))
        for section, side, s in ((sections[0], -1, 1e-3), (sections[-1], 1, length - 1e-3)):
            for lane in section.iter("lane"):
                if int(lane.get("id", "")) * side > 0 and lane.get("type") == "driving":
                    where = town_map.get_waypoint_xodr(
                        int(road.get("id", "")), int(lane.get("id", "")), s
                    )
                    if where is not None:
                        location = where.transform.location
                        expected.add((round(location.x), round(location.y)))
    found = {(round(x), round(y)) for x, y in points[:, :2]}
    near = {(x + i, y + j) for x, y in found for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert expected <= near
    assert len(points) > 20
    for x, y, z, _, yaw, _ in points:
        waypoint = town_map.get_waypoint(carla.Location(x, y, z - 3.0))
        off = waypoint.transform.location.distance(carla.Location(x, y, z - 3.0))
        assert off < (0.1 if name in OWN else 0.6)
        ways = [waypoint, *waypoint.next(0.3), *waypoint.previous(0.3)]
        # CARLA's maps have kinks where roads meet, and lanes that begin with no width
        turns = [abs((w.transform.rotation.yaw - yaw + 180) % 360 - 180) for w in ways]
        assert min(turns) < 5.0


def test_geo_reference_is_what_libcarla_uses():
    xodr = ring()
    latitude, longitude = geo_reference(check_xodr("ring", xodr))
    origin = carla.Map("ring", xodr).transform_to_geolocation(carla.Location())
    assert (latitude, longitude) == pytest.approx((origin.latitude, origin.longitude), abs=1e-9)
    bare = xodr[: xodr.index("<geoReference>")] + xodr[xodr.index("</geoReference>") + 15 :]
    assert geo_reference(check_xodr("ring", bare)) == (42.0, 2.0)
