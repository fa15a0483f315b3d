"""Route files of both Leaderboards: what is read, in which frame, and where an error points."""

from __future__ import annotations

import json
import math

import carla
import pytest

from scenarios.suites.leaderboard import WEATHER, read_routes, read_triggers
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import SuiteError

SECOND = """<routes>
  <route id="7" town="Carla/Maps/Town03">
    <weathers>
      <weather route_percentage="100" cloudiness="80" sun_altitude_angle="-10"/>
      <weather route_percentage="0" cloudiness="20"/>
    </weathers>
    <waypoints>
      <position x="1.0" y="-2.0" z="0.5"/>
      <position x="11.0" y="-2.0" z="0.5"/>
    </waypoints>
    <scenarios>
      <scenario name="Crash" type="Accident">
        <trigger_point x="3" y="-2" z="0.4" yaw="90"/>
        <distance value="44"/>
        <frequency from="20" to="60"/>
        <flow x="5" y="6" z="7"/>
        <direction value="up"/>
      </scenario>
    </scenarios>
  </route>
  <route id="8" town="Town01">
    <waypoints><position x="0" y="0" z="0"/><position x="zero" y="0" z="0"/></waypoints>
  </route>
  <route id="7" town="Town01">
    <waypoints><position x="0" y="0" z="0"/><position x="9" y="0" z="0"/></waypoints>
  </route>
  <route id="9" town="Town01">
    <waypoints><position x="0" y="0" z="0"/><position x="9" y="0" z="0"/></waypoints>
    <scenarios/>
  </route>
</routes>
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "mixed.xml"
    path.write_text(SECOND)
    return read_routes(path)


def test_a_route_is_read_into_the_map_frame(suite):
    route = suite.routes[0]
    assert (suite.name, route.id, route.town) == ("mixed", "7", "Town03")
    # CARLA's y points to the right of x, and its yaw goes clockwise.
    assert route.keypoints.tolist() == [[1.0, 2.0, 0.5], [11.0, 2.0, 0.5]]
    scenario = route.scenarios[0]
    assert (scenario.name, scenario.type) == ("Crash", "Accident")
    assert (scenario.trigger.x, scenario.trigger.y) == (3.0, 2.0)
    assert scenario.trigger.yaw == pytest.approx(-math.pi / 2)


def test_broken_routes_are_named_by_line_and_element_and_the_others_go_on(suite):
    assert [route.id for route in suite.routes] == ["7", "9"]
    first, second = map(str, suite.errors)
    assert "mixed.xml:22: <position>: expected a number in 'x', got 'zero'" in first
    assert "mixed.xml:24: <route>: id '7' is that of line 2 already" in second


def test_weather_changes_linearly_and_holds_at_its_ends(suite):
    route = suite.routes[0]
    for share, clouds, sun in ((0.0, 20.0, 70.0), (0.25, 35.0, 50.0), (1.0, 80.0, -10.0)):
        weather = route.weather_at(share)
        assert weather["cloudiness"] == pytest.approx(clouds)
        assert weather["sun_altitude_angle"] == pytest.approx(sun)
    assert suite.routes[1].weather_at(0.5)["cloudiness"] == 50.0  # a clear day, as upstream's


def test_weather_has_the_names_and_defaults_of_the_client():
    default = carla.WeatherParameters()
    assert {name: pytest.approx(getattr(default, name), abs=1e-6) for name in WEATHER} == WEATHER


def test_parameters_are_typed_and_their_errors_name_the_line(suite):
    parameters = Parameters(suite.routes[0].scenarios[0])
    assert parameters.number("distance", 100.0) == 44.0
    assert parameters.number("speed", 60.0) == 60.0
    assert parameters.interval("frequency") == (20.0, 60.0)
    assert parameters.interval("distance") == (44.0, 44.0)
    flow = parameters.place("flow")
    assert (flow.x, flow.y, flow.z) == (5.0, -6.0, 7.0)
    with pytest.raises(SuiteError, match=r"mixed\.xml:17: <direction>: .*right, left.* got 'up'"):
        parameters.choice("direction", ("right", "left"), "right")
    with pytest.raises(SuiteError, match=r"mixed\.xml:12: <scenario>: Accident needs a <offset>"):
        parameters.number("offset")
    with pytest.raises(SuiteError, match=r"mixed\.xml:16: <flow>: expected a number in 'from'"):
        parameters.interval("flow")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<routes><route id='1'", r"bad\.xml:1: no XML"),
        ("<routes/>", r"bad\.xml:1: <routes>: expected a <route> in it"),
        (
            "<routes><route id='1' town='T'><waypoints/></route></routes>",
            r"<route>: expected at least 2 <position> in its <waypoints>, got 0",
        ),
        (SECOND.replace(' yaw="90"', ""), r"bad\.xml:13: <trigger_point>: .*'yaw'"),
        (SECOND.replace('"100"', '"0"'), r"bad\.xml:5: <weather>: a second weather at 0 %"),
        (SECOND.replace('town="Carla/Maps/Town03"', ""), r"bad\.xml:2: <route>: .*'town'"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_where(tmp_path, text, message):
    path = tmp_path / "bad.xml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=message):
        raise read_routes(path).errors[0]


def test_a_file_that_is_not_there_is_an_error_of_the_suite(tmp_path):
    suite = read_routes(tmp_path / "none.xml")
    assert suite.routes == ()
    assert "none.xml: No such file" in str(suite.errors[0])


def test_routes_of_leaderboard_1(tmp_path):
    path = tmp_path / "old.xml"
    path.write_text("""<routes><route id="0" town="Town01">
      <weather id="Fog" fog_density="30" colour="red"/>
      <waypoint x="1" y="2" z="0" yaw="3" pitch="0" roll="0"/><waypoint x="4" y="2" z="0"/>
    </route></routes>""")
    suite = read_routes(path)
    assert suite.errors == ()
    assert suite.routes[0].keypoints.tolist() == [[1.0, -2.0, 0.0], [4.0, -2.0, 0.0]]
    assert suite.routes[0].weather_at(0.7)["fog_density"] == 30.0
    assert len(suite.notes) == 1
    assert "'colour'" in suite.notes[0]


def triggers(event, kind="Scenario4"):
    entry = {"scenario_type": kind, "available_event_configurations": [event]}
    return {"available_scenarios": [{"Town02": [entry]}]}


def test_triggers_of_leaderboard_1(tmp_path):
    path = tmp_path / "triggers.json"
    pose = {"x": "1.5", "y": 2, "z": 0, "yaw": "-90", "pitch": 0}
    path.write_text(json.dumps(triggers({"transform": pose, "other_actors": {"left": [pose]}})))
    (trigger,) = read_triggers(path)["Town02"]
    assert trigger.type == "Scenario4"
    assert (trigger.at.x, trigger.at.y) == (1.5, -2.0)
    assert trigger.others["left"][0].yaw == pytest.approx(math.pi / 2)
    path.write_text(json.dumps(triggers({"transform": pose | {"yaw": "north"}})))
    with pytest.raises(SuiteError, match=r"Town02\[0\].*configurations\[0\].*'yaw', got 'north'"):
        read_triggers(path)
    path.write_text(json.dumps(triggers({"transform": pose}, kind="Scenario11")))
    with pytest.raises(SuiteError, match=r"Town02\[0\].*Scenario1 to 10, got 'Scenario11'"):
        read_triggers(path)
    path.write_text("{")
    with pytest.raises(SuiteError, match=r"triggers\.json:1: no JSON"):
        read_triggers(path)
