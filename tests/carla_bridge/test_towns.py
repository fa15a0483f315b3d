"""Our own towns as the real LibCarla sees them, and towns by name, file and installation."""

import hashlib
import math
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import carla
import numpy as np
import pytest
from matplotlib import image

from carla_bridge.headless.towns import (
    BrokenTown,
    Town,
    TownNotFound,
    available_towns,
    draw_town,
    import_towns,
    load_town,
    town_from_xodr,
)
from carla_bridge.headless.towns.builder import End, TownBuilder
from carla_bridge.headless.towns.store import OWN_TOWNS
from carla_bridge.headless.towns.streets import Profile, Streets, rounded
from carla_bridge.headless.towns.validate import check_xodr
from headway.road.lane_graph import LaneKind, StopKind
from headway.road.queries import pose_at

OWN = tuple(OWN_TOWNS)
# of all but names and places: routes, results and what was trained there depend on it
GEOMETRY = {
    "grid": "ea26136efbd1d9feab068558405fabc149eb622fa40404f9fb401165680f587e",
    "ring": "3d88bbd0d6c6da44d8708dfcad349781c7aa776e06a8dd55e85a83935de5aeee",
}
STEP = 0.005  # [m] to either side of where two lanes meet


@pytest.fixture(scope="module")
def towns() -> dict[str, Town]:
    return {name: load_town(name) for name in OWN}


@pytest.fixture(scope="module")
def maps(towns: dict[str, Town]) -> dict[str, carla.Map]:
    return {name: carla.Map(name, town.xodr) for name, town in towns.items()}


def driving_lanes(xodr: str) -> list[tuple[int, int, float, float]]:
    """Road, lane, and where its section begins and ends, of every driving lane."""
    lanes = []
    for road in check_xodr("test", xodr).findall("road"):
        sections = road.findall("lanes/laneSection")
        cuts = [float(section.get("s", "")) for section in sections]
        cuts.append(float(road.get("length", "")))
        for i, section in enumerate(sections):
            for lane in section.iter("lane"):
                if lane.get("type") == "driving":
                    lanes.append(
                        (int(road.get("id", "")), int(lane.get("id", "")), cuts[i], cuts[i + 1])
                    )
    return lanes


def ends(town_map: carla.Map, lane: tuple[int, int, float, float]):
    """First and last waypoint of a lane in its direction of travel."""
    road_id, lane_id, low, high = lane
    first, last = (low + STEP, high - STEP) if lane_id < 0 else (high - STEP, low + STEP)
    return tuple(town_map.get_waypoint_xodr(road_id, lane_id, s) for s in (first, last))


def gap(one: carla.Waypoint, other: carla.Waypoint) -> tuple[float, float]:
    a, b = one.transform, other.transform
    turn = (a.rotation.yaw - b.rotation.yaw + 180.0) % 360.0 - 180.0
    return a.location.distance(b.location), abs(turn)


@pytest.mark.parametrize("name", OWN)
def test_every_lane_goes_on_without_gap_or_kink(name, towns, maps):
    for lane in driving_lanes(towns[name].xodr):
        first, last = ends(maps[name], lane)
        following, before = last.next(2 * STEP), first.previous(2 * STEP)
        assert following, f"lane {lane} ends nowhere"
        assert before, f"lane {lane} begins nowhere"
        for one, other in [(last, w) for w in following] + [(w, first) for w in before]:
            distance, turn = gap(one, other)
            assert distance < 0.05, (lane, other.road_id, other.lane_id, distance)
            assert turn < 1.0, (lane, other.road_id, other.lane_id, turn)


@pytest.mark.parametrize("name", OWN)
def test_from_every_lane_one_can_reach_every_other(name, towns):
    graph = towns[name].lane_graph
    lanes = np.flatnonzero(graph.kind == LaneKind.DRIVING)
    for neighbours in (graph.successors, graph.predecessors):
        seen, todo = {int(lanes[0])}, [int(lanes[0])]
        while todo:
            lane = todo.pop()
            beside = [
                int(n)
                for n, allowed in (
                    (graph.left[lane], graph.left_change[lane]),
                    (graph.right[lane], graph.right_change[lane]),
                )
                if n >= 0 and allowed and graph.kind[n] == LaneKind.DRIVING
            ]
            for other in [*(int(i) for i in neighbours(lane)), *beside]:
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        assert seen == set(lanes.tolist())


@pytest.mark.parametrize("name", OWN)
def test_lanes_are_drivable(name, towns):
    graph = towns[name].lane_graph
    for lane in np.flatnonzero(graph.kind == LaneKind.DRIVING):
        rows = graph.points(int(lane))
        assert graph.width[rows].min() > 3.0
        assert np.abs(graph.curvature[rows]).max() < 1 / 6.0  # [1/m]
        rise, run = np.diff(graph.xyz[rows, 2]), np.diff(graph.s[rows])
        assert np.abs(rise[run > 0.1] / run[run > 0.1]).max(initial=0.0) < 0.1
        limit = graph.speed_limit[lane]
        if graph.junction[lane] < 0 and limit > 15.0:  # fast roads have no sharp bends
            assert limit**2 * np.abs(graph.curvature[rows]).max() < 5.0  # [m/s^2]


@pytest.mark.parametrize("name", OWN)
def test_no_road_has_both_ends_on_one_junction_and_ids_are_unique(name, towns):
    root = check_xodr(name, towns[name].xodr)
    for road in root.findall("road"):
        links = [road.find(f"link/{side}") for side in ("predecessor", "successor")]
        assert all(link is not None for link in links) or road.get("junction") == "-1"
        touched = [x.get("elementId") for x in links if x.get("elementType") == "junction"]
        assert len(touched) == len(set(touched))
    signals = [s.get("id") for s in root.iter("signal")]
    assert len(signals) == len(set(signals))


def test_grid_has_what_a_town_needs(towns, maps):
    town = towns["grid"]
    graph = town.lane_graph
    assert {LaneKind.DRIVING, LaneKind.PARKING, LaneKind.SIDEWALK} <= set(graph.kind.tolist())
    extent = np.ptp(graph.xyz[:, :2], axis=0)
    assert extent[0] > 1200.0
    assert extent[1] > 800.0
    kinds = Counter(spec.type_id for spec in town.signals)
    assert kinds["traffic.traffic_light"] >= 20
    assert kinds["traffic.stop"] >= 4
    assert kinds["traffic.yield"] >= 4
    assert sum(n for kind, n in kinds.items() if "speed_limit" in kind) >= 20
    assert {StopKind.LIGHT, StopKind.STOP, StopKind.YIELD} == set(graph.stop_kind.tolist())
    arms = Counter()
    for junction in set(graph.junction[graph.junction >= 0].tolist()):
        lanes = (graph.junction == junction) & (graph.kind == LaneKind.DRIVING)
        roads = {
            int(graph.road_id[i]) for k in np.flatnonzero(lanes) for i in graph.predecessors(k)
        }
        controlled = any(spec.group == junction for spec in town.signals)
        arms[len(roads), controlled] += 1
    assert all(arms[case] >= 2 for case in [(4, True), (4, False), (3, True), (3, False)]), arms
    corners = maps["grid"].get_crosswalks()
    assert len(corners) % 5 == 0
    assert len(corners) // 5 > 60


def test_ring_has_motorway_roundabout_and_slopes(towns):
    graph = towns["ring"].lane_graph
    driving = graph.kind == LaneKind.DRIVING
    motorway = driving & (graph.speed_limit > 24.0)
    assert graph.length[motorway].sum() > 4000.0
    aux = [i for i in np.flatnonzero(motorway & (graph.junction < 0)) if abs(graph.lane_id[i]) == 4]
    assert len(aux) == 4  # two exits and two entries have a lane of their own
    assert np.ptp(graph.xyz[:, 2]) > 10.0
    # the roundabout: always the sharper left of the ways on comes back to the start in 138 m
    circle = [i for i in np.flatnonzero(driving & (graph.junction < 0)) if graph.length[i] < 20.0]
    start = next(i for i in circle if abs(graph.curvature[graph.points(i)].mean() - 1 / 22) < 0.002)
    lane, travelled = int(start), 0.0
    for _ in range(8):
        travelled += graph.length[lane]
        ways = [int(i) for i in graph.successors(lane)]
        lane = max(ways, key=lambda i: graph.curvature[graph.points(i)].mean())
    assert lane == start
    assert travelled == pytest.approx(2 * math.pi * 22.0, rel=0.01)


@pytest.mark.parametrize("generate", OWN_TOWNS.values(), ids=OWN)
def test_towns_are_generated_alike_every_time(generate):
    assert generate.__wrapped__() == generate()


@pytest.mark.parametrize("name", sorted(set(OWN) - {"ring"}))
def test_opposite_greens_never_cross(name, towns):
    """Lights that turn green together let only left turns meet oncoming traffic."""
    town = towns[name]
    graph = town.lane_graph
    lights = {s.opendrive_id: (s.group, s.order) for s in town.signals if s.group >= 0}
    green = {}
    for line in np.flatnonzero(graph.stop_kind == StopKind.LIGHT):
        stage = lights[str(graph.signal_id[graph.stop_signal[line]])]
        for lane in graph.successors(graph.stop_lane[line]):
            green[int(lane)] = stage
    assert len(green) >= 12
    straights = 0
    for lane, stage in green.items():
        for other in graph.conflict[graph.conflict_start[lane] : graph.conflict_start[lane + 1]]:
            if green.get(int(other)) == stage and not set(graph.predecessors(lane)) & set(
                graph.predecessors(other)
            ):
                straights += 1
                assert 1 in (graph.turn[lane], graph.turn[other])
    assert straights > 0  # else the test looks at nothing


def nameless(xodr: str) -> str:
    """Hash of a town without the names of its roads and without its stops, stations and shops."""
    root = ElementTree.fromstring(xodr)
    for road in root.iter("road"):
        road.set("name", "")
        objects = road.find("objects")
        if objects is not None:
            for thing in objects.findall("object[@subtype]"):
                objects.remove(thing)
            if len(objects) == 0:
                road.remove(objects)
    plain = ElementTree.canonicalize(ElementTree.tostring(root), strip_text=True)
    return hashlib.sha256(plain.encode()).hexdigest()


@pytest.mark.parametrize("name", GEOMETRY)
def test_the_first_towns_stay_as_they_were(name, towns):
    assert nameless(towns[name].xodr) == GEOMETRY[name]


@pytest.mark.parametrize("name", OWN)
def test_roads_have_names_and_places_stand_beside_them(name, towns):
    graph = towns[name].lane_graph
    outside = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0)
    assert not (graph.road_name[outside] == "").any()
    assert (graph.road_name[graph.junction >= 0] == "").all()
    assert set(graph.landmark_kind.tolist()) == {"bus_stop", "station", "shop"}
    assert len(set(graph.landmark_name.tolist())) == len(graph.landmark_name) >= 6
    for kind, xy, lane, s in zip(
        graph.landmark_kind, graph.landmark_xy, graph.landmark_lane, graph.landmark_s, strict=True
    ):
        assert outside[lane]
        x, y, _, yaw = pose_at(graph, int(lane), float(s))
        dx, dy = xy - (x, y)
        along = dx * math.cos(yaw) + dy * math.sin(yaw)
        left = dy * math.cos(yaw) - dx * math.sin(yaw)
        assert abs(along) < 1.0
        assert 1.5 < abs(left) < 14.0
        one_way = graph.opposite[lane] < 0 and graph.left[lane] < 0
        assert left < 0.0 or one_way  # on the right, where one gets off a bus
        gaps = np.hypot(*(graph.xyz[:, :2] - xy).T) - graph.width / 2
        assert kind == "bus_stop" or gaps.min() > 2.0  # no house on a road or its sidewalk
        assert gaps[graph.kind[graph.point_lane] == LaneKind.DRIVING].min() > 0.0


def same_direction(graph, lane: int) -> list[int]:
    """All driving lanes of its road that run beside a lane, in its direction, left to right."""
    while graph.left[lane] >= 0 and graph.kind[graph.left[lane]] == LaneKind.DRIVING:
        lane = int(graph.left[lane])
    lanes = [lane]
    while graph.right[lane] >= 0 and graph.kind[graph.right[lane]] == LaneKind.DRIVING:
        lane = int(graph.right[lane])
        lanes.append(lane)
    return lanes


@pytest.mark.parametrize("name", ["harbour", "interchange"])
def test_four_lanes_wide_enough_to_change_through_all_of_them(name, towns):
    graph = towns[name].lane_graph
    long = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0) & (graph.length > 200.0)
    rows = [same_direction(graph, int(i)) for i in np.flatnonzero(long)]
    wide = [row for row in rows if len(row) == 4]
    assert wide
    assert all(graph.right_change[row[:-1]].all() for row in wide)


def test_old_town_has_a_five_armed_junction_and_one_way_streets(towns):
    graph = towns["old_town"].lane_graph
    driving = graph.kind == LaneKind.DRIVING
    arms: dict[int, set[int]] = {}
    for lane in np.flatnonzero(driving & (graph.junction >= 0)):
        for other in (*graph.predecessors(lane), *graph.successors(lane)):
            arms.setdefault(int(graph.junction[lane]), set()).add(int(graph.road_id[other]))
    assert max(len(roads) for roads in arms.values()) == 5
    roads = {int(r): graph.lane_id[driving & (graph.road_id == r)] for r in set(graph.road_id)}
    ways = {r: set(np.sign(ids).tolist()) for r, ids in roads.items() if len(ids)}
    outside = set(graph.road_id[driving & (graph.junction < 0)].tolist())
    assert sum(len(ways[r]) == 1 for r in outside) == 15


def test_interchange_weaves(towns):
    """A ramp comes into a lane of the motorway from whose end another ramp leaves."""
    graph = towns["interchange"].lane_graph
    motorway = (graph.road_name == "A 14") & (graph.kind == LaneKind.DRIVING)
    weaving = 0
    for lane in np.flatnonzero(motorway):
        before = {
            graph.road_name[j] for i in graph.predecessors(lane) for j in graph.predecessors(i)
        }
        after = {graph.road_name[j] for i in graph.successors(lane) for j in graph.successors(i)}
        if any("Entry" in n for n in before) and any("Exit" in n for n in after):
            assert graph.left_change[lane]
            assert graph.right_change[graph.left[lane]]
            assert graph.length[lane] > 299.0
            weaving += 1
    assert weaving == 2  # one each way


@pytest.mark.parametrize(("name", "least"), [("harbour", 20), ("old_town", 20), ("interchange", 2)])
def test_cycleways_go_on_through_junctions(name, least, towns):
    graph = towns[name].lane_graph
    inside = np.flatnonzero((graph.kind == LaneKind.BIKING) & (graph.junction >= 0))
    assert len(inside) >= least
    for lane in inside:
        ends = [*graph.predecessors(lane), *graph.successors(lane)]
        assert len(ends) == 2
        assert (graph.kind[ends] == LaneKind.BIKING).all()


def test_village_lies_on_a_hill_and_is_narrow(towns):
    graph = towns["village"].lane_graph
    assert np.ptp(graph.xyz[:, 2]) > 15.0
    assert (graph.lane_id[graph.kind == LaneKind.DRIVING] >= -1).all()
    assert {StopKind.LIGHT, StopKind.STOP, StopKind.YIELD} == set(graph.stop_kind.tolist())


def test_a_lane_without_a_way_through_is_named():
    nodes = {"a": (0.0, 0.0), "north": (0.0, 200.0), "east": (200.0, 0.0), "west": (-200.0, 0.0)}
    streets = Streets(TownBuilder("broken", (48.0, 11.0)), nodes, loose=["north", "east", "west"])
    streets.street("Broad", Profile(50, 3, 3), ["a", "north"])
    streets.street("Narrow", Profile(50), ["west", "a", "east"])
    with pytest.raises(ValueError, match=r"lane 2 of road 1 'Broad' ends in junction 1000"):
        streets.build()


def test_bends_need_room_and_places_a_road():
    with pytest.raises(ValueError, match=r"no room for bends of 50.0 m: 25\.0 m are missing"):
        rounded([(0.0, 0.0), (25.0, 0.0), (25.0, 100.0)], 0.0, 0.0, 50.0)
    town = TownBuilder("small", (48.0, 11.0))
    plan = rounded([(0.0, 0.0), (100.0, 0.0)], 0.0, 0.0, 1.0)
    road = town.road(plan, Profile(50).sections(100.0), 50, name="Street")
    with pytest.raises(ValueError, match="'Shop' is 200 m from any road"):
        town.place("shop", "Shop", 50.0, 200.0)
    place = town.place("bus_stop", "Stop", 50.0, -9.0)
    assert -End(road, "end").t(-3, 1.0) > -place.t > -End(road, "end").t(-3, 0.0)


# --- by name -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADWAY_TOWNS", str(tmp_path / "towns"))
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CARLA_ROOT", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["ring", "/Game/Carla/Maps/ring", "Carla/Maps/ring"])
def test_names_as_carla_writes_them(name, folder, towns):
    town = load_town(name)
    assert town.name == "ring"
    assert town.xodr == towns["ring"].xodr


def test_unknown_town_says_how_to_bring_it(folder):
    with pytest.raises(TownNotFound, match=r"'Town99'.*grid, ring.*headway towns import"):
        load_town("/Game/Carla/Maps/Town99")


def test_import_of_a_file_a_folder_and_an_installation(folder, towns):
    source = folder / "Here.xodr"
    source.write_text(towns["ring"].xodr)
    assert import_towns(source) == ["Here"]
    assert import_towns(folder) == ["Here"]
    maps = folder / "carla/CarlaUE4/Content/Carla/Maps"
    for path in ("OpenDrive/Town77.xodr", "Town88/OpenDrive/Town88.xodr"):
        (maps / path).parent.mkdir(parents=True, exist_ok=True)
        (maps / path).write_text(towns["ring"].xodr)
    assert import_towns(folder / "carla") == ["Town77", "Town88"]
    assert available_towns() == [*OWN, "Here", "Town77", "Town88"]
    town = load_town("Town77_Opt")
    assert town.name == "Town77_Opt"
    assert len(town.signals) == len(towns["ring"].signals)


def test_carla_root_is_looked_through(folder, towns, monkeypatch):
    maps = folder / "CarlaUE4/Content/Carla/Maps/OpenDrive"
    maps.mkdir(parents=True)
    (maps / "Town66.xodr").write_text(towns["ring"].xodr)
    monkeypatch.setenv("CARLA_ROOT", str(folder))
    assert available_towns() == [*OWN, "Town66"]
    assert load_town("Town66").lane_graph.num_lanes == towns["ring"].lane_graph.num_lanes


def test_import_refuses_what_is_broken_as_a_whole(folder, towns):
    (folder / "A.xodr").write_text(towns["ring"].xodr)
    (folder / "B.xodr").write_text("<OpenDRIVE></OpenDRIVE>")
    with pytest.raises(BrokenTown, match=r"town 'B': there are no roads"):
        import_towns(folder)
    assert available_towns() == [*OWN]
    (folder / "grid.xodr").write_text(towns["ring"].xodr)
    with pytest.raises(BrokenTown, match="'grid' cannot be the name"):
        import_towns(folder / "grid.xodr")
    with pytest.raises(TownNotFound, match="no such file or folder"):
        import_towns(folder / "nowhere")
    (folder / "empty").mkdir()
    with pytest.raises(TownNotFound, match=r"neither \.xodr files nor a CARLA installation"):
        import_towns(folder / "empty")


def test_town_from_text_of_the_real_carla(shared, folder):
    town = town_from_xodr("Town01", (shared / "towns/Town01.xodr").read_text())
    assert town.geo_reference == (0.0, 0.0)
    lights = [spec for spec in town.signals if spec.type_id == "traffic.traffic_light"]
    assert len(lights) == 36
    assert all(spec.boxes for spec in lights)
    assert Counter(Counter(spec.group for spec in lights).values()) == {3: 12}


def test_a_drawing_shows_the_town(folder):
    draw_town("ring", folder / "ring.png")
    pixels = image.imread(folder / "ring.png")
    assert min(pixels.shape[:2]) > 500
    pavement = np.abs(pixels[..., :3] - np.array([0x5B, 0x62, 0x6B]) / 255.0).max(axis=-1) < 0.01
    # 16 km of lanes of 3.5 m on an area of 1.5 km x 1 km
    assert 0.02 < pavement.mean() < 0.1
