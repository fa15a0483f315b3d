"""Our own towns as the real LibCarla sees them, and towns by name, file and installation."""

import math
from collections import Counter
from pathlib import Path

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
from carla_bridge.headless.towns.grid import grid
from carla_bridge.headless.towns.ring import ring
from carla_bridge.headless.towns.validate import check_xodr
from headway.road.lane_graph import LaneKind, StopKind

OWN = ("grid", "ring")
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
        assert graph.width[rows].min() > 3.4
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


@pytest.mark.parametrize("generate", [grid, ring])
def test_towns_are_generated_alike_every_time(generate):
    assert generate.__wrapped__() == generate()


def test_opposite_greens_never_cross(towns):
    """Lights that turn green together let only left turns meet oncoming traffic."""
    town = towns["grid"]
    graph = town.lane_graph
    lights = {s.opendrive_id: (s.group, s.order) for s in town.signals if s.group >= 0}
    green = {}
    for line in np.flatnonzero(graph.stop_kind == StopKind.LIGHT):
        stage = lights[str(graph.signal_id[graph.stop_signal[line]])]
        for lane in graph.successors(graph.stop_lane[line]):
            green[int(lane)] = stage
    assert len(green) > 60
    straights = 0
    for lane, stage in green.items():
        for other in graph.conflict[graph.conflict_start[lane] : graph.conflict_start[lane + 1]]:
            if green.get(int(other)) == stage and not set(graph.predecessors(lane)) & set(
                graph.predecessors(other)
            ):
                straights += 1
                assert 1 in (graph.turn[lane], graph.turn[other])
    assert straights > 0  # else the test looks at nothing


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
    assert available_towns() == ["grid", "ring", "Here", "Town77", "Town88"]
    town = load_town("Town77_Opt")
    assert town.name == "Town77_Opt"
    assert len(town.signals) == len(towns["ring"].signals)


def test_carla_root_is_looked_through(folder, towns, monkeypatch):
    maps = folder / "CarlaUE4/Content/Carla/Maps/OpenDrive"
    maps.mkdir(parents=True)
    (maps / "Town66.xodr").write_text(towns["ring"].xodr)
    monkeypatch.setenv("CARLA_ROOT", str(folder))
    assert available_towns() == ["grid", "ring", "Town66"]
    assert load_town("Town66").lane_graph.num_lanes == towns["ring"].lane_graph.num_lanes


def test_import_refuses_what_is_broken_as_a_whole(folder, towns):
    (folder / "A.xodr").write_text(towns["ring"].xodr)
    (folder / "B.xodr").write_text("<OpenDRIVE></OpenDRIVE>")
    with pytest.raises(BrokenTown, match=r"town 'B': there are no roads"):
        import_towns(folder)
    assert available_towns() == ["grid", "ring"]
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
