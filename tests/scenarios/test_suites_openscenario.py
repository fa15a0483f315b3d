"""OpenSCENARIO files: what is read, in which axes, and where an error points."""

from __future__ import annotations

import pytest

from scenarios.bench_jobs import BenchConfig, jobs_of
from scenarios.suites.openscenario import read_stories
from scenarios.suites.openscenario_action_spec import (
    EnvironmentAction,
    SpeedAction,
    TeleportAction,
    WorldPosition,
)
from scenarios.suites.openscenario_spec import (
    Compared,
    Criterion,
)
from tests.scenarios import xosc
from tests.scenarios.xosc import after, event, maneuver, private, teleport

CATALOG = """<?xml version="1.0"?>
<OpenSCENARIO>
<FileHeader revMajor="1" revMinor="0" description="things" author="" date=""/>
<Catalog name="Cars">
  <Vehicle name="mine" vehicleCategory="car">
    <ParameterDeclarations>
      <ParameterDeclaration name="kind" parameterType="string" value="simulation"/>
    </ParameterDeclarations>
    <Performance maxSpeed="50" maxAcceleration="4" maxDeceleration="$limit"/>
    <Properties><Property name="type" value="$kind"/></Properties>
  </Vehicle>
</Catalog>
</OpenSCENARIO>
"""
LOCATIONS = (
    '<CatalogLocations><VehicleCatalog><Directory path="things"/></VehicleCatalog>'
    "</CatalogLocations>\n"
)
REFERENCE = (
    '<ScenarioObject name="{}"><CatalogReference catalogName="Cars" entryName="{}">'
    '<ParameterAssignments><ParameterAssignment parameterRef="kind" value="{}"/>'
    "</ParameterAssignments></CatalogReference></ScenarioObject>"
)


def read(folder, text, name="one.xosc"):
    (folder / name).write_text(text)
    return read_stories(folder / name)


@pytest.mark.parametrize(("description", "left"), [("test", 1.0), ("CARLA:test", -1.0)])
def test_a_file_is_read_into_the_map_frame(tmp_path, description, left):
    text = xosc.document(
        [xosc.entity("Ego"), xosc.entity("other")],
        [private("Ego", teleport(xosc.world(1.0, 2.0, 0.5))),
         private("other", teleport(xosc.world(5.0, 2.0)), xosc.speed("$fast"))],
        [maneuver("other", event("go", [after(3.0)], xosc.speed(9.0), priority="skip"))],
        stop=xosc.criteria("CollisionTest", DrivenDistanceTest=30.0),
        description=description, parameters={"fast": "7.5"},
    )  # fmt: skip
    suite = read(tmp_path, text)
    assert suite.errors == ()
    spec = suite.routes[0]
    assert (spec.id, spec.town, spec.ego) == ("one", "grid", "Ego")
    (who, place), _, (_, quick) = spec.init
    assert who == "Ego"
    assert isinstance(place, TeleportAction)
    assert isinstance(place.position, WorldPosition)
    at = place.position.place
    assert (at.x, at.y, at.yaw) == pytest.approx((1.0, left * 2.0, left * 0.5))
    assert isinstance(quick, SpeedAction)
    assert quick.value == 7.5
    read_event = spec.stories[0].acts[0].groups[0].maneuvers[0].events[0]
    assert read_event.skips
    assert read_event.start[0][0].test.than == Compared("greaterThan", 3.0)
    assert spec.criteria == (
        Criterion("CollisionTest", None),
        Criterion("DrivenDistanceTest", 30.0),
    )
    assert spec.stop == (), "criteria do not stop the storyboard"


def test_entries_of_catalogs_take_the_parameters_they_are_given(tmp_path):
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "cars.xosc").write_text(CATALOG)
    entities = [
        REFERENCE.format("a", "mine", "ego_vehicle"),
        REFERENCE.format("b", "mine", "other"),
    ]
    text = xosc.document(
        entities, [private("a", teleport(xosc.world(0.0, 0.0)))],
        before=LOCATIONS, parameters={"limit": "6"},
    )  # fmt: skip
    spec = read(tmp_path, text).routes[0]
    assert spec.ego == "a"
    assert spec.entities["b"].max_decel == 6.0
    suite = read(tmp_path, text.replace('entryName="mine"', 'entryName="yours"', 1))
    assert "no catalog 'Cars' in its folders has an entry 'yours'" in str(suite.errors[0])
    assert "<CatalogReference>" in str(suite.errors[0])
    (tmp_path / "things" / "cars.xosc").write_text(CATALOG.replace("$limit", "$lost"))
    error = str(read(tmp_path, text).errors[0])
    assert "things/cars.xosc:9: <Performance>: 'maxDeceleration' refers to '$lost'" in error


def test_rain_and_fog_become_carlas(tmp_path):
    weather = (
        "<GlobalAction><EnvironmentAction><Environment name='e'><Weather cloudState='free'>"
        "<Sun intensity='0.25' azimuth='3.14159265' elevation='0.5'/><Fog visualRange='1e5'/>"
        "<Precipitation precipitationType='rain' intensity='0.5'/></Weather></Environment>"
        "</EnvironmentAction></GlobalAction>"
    )
    init = [weather, private("hero", teleport(xosc.world(0.0, 0.0)))]
    action = read(tmp_path, xosc.document([xosc.entity("hero")], init)).routes[0].init[0][1]
    assert isinstance(action, EnvironmentAction)
    expected = {"cloudiness": 75.0, "precipitation": 50.0, "wetness": 50.0, "fog_density": 0.0,
                "sun_azimuth_angle": 180.0, "sun_altitude_angle": 28.6479}  # fmt: skip
    assert {k: action.weather[k] for k in expected} == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("<SpeedActionDynamics", "<Nothing", "<SpeedAction>: expected <SpeedActionDynamics> in it"),
        ('value="9.0"', 'value="$quick"', "<AbsoluteTargetSpeed>: 'value' refers to '$quick'"),
        ('value="9.0"', 'value="${1+2}"', "<AbsoluteTargetSpeed>: expressions such as '${1+2}'"),
        ('value="9.0"', 'value="fast"', "<AbsoluteTargetSpeed>: expected a number in 'value'"),
        ("LongitudinalAction", "VisibilityAction", "<VisibilityAction>: VisibilityAction is not"),
        ("SimulationTimeCondition", "UserDefinedValueCondition", "ValueCondition is not"),
        ('<EntityRef entityRef="other"', '<EntityRef entityRef="x"', "<EntityRef>: 'entityRef'"),
        ('shape="step"'.replace("s", "S", 1), 'Shape="jump"', "expected one of step, linear"),
        ("criteria_CollisionTest", "criteria_TasteTest", "criterion 'TasteTest' is not supported"),
        ('name="hero"', 'name="driver"', "<Entities>: expected one entity with"),
        ('revMajor="1"', 'revMajor="2"', "<FileHeader>: expected 'revMajor' 1, got '2'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_and_the_other_files_go_on(tmp_path, wrong, right, message):
    good = xosc.document(
        [xosc.entity("hero"), xosc.entity("other")],
        [private("hero", teleport(xosc.world(0.0, 0.0)))],
        [maneuver("other", event("go", [after(3.0)], xosc.speed(9.0)))],
        stop=xosc.criteria("CollisionTest"),
    )
    assert wrong in good
    (tmp_path / "b.xosc").write_text(good)
    (tmp_path / "a.xosc").write_text(good.replace(wrong, right))
    (tmp_path / "cars.xosc").write_text(CATALOG)
    suite, jobs = jobs_of(BenchConfig(suite=str(tmp_path)))
    assert [job.route for job in jobs] == ["b"]
    (error,) = suite.errors
    assert message in str(error)
    assert str(error).startswith(f"{tmp_path / 'a.xosc'}:")
    assert error.source.line > 0
