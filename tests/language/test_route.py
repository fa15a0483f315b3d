"""The route as goal, honest about what it cannot do, and answers that come from the Trace."""

import numpy as np
import pytest

from carla_bridge.headless.towns import load_town
from headway.road.lane_graph import StopKind
from headway.trace import Trace
from headway.types import SignalState
from language.route import RouteLanguage
from tests.planner.harness import World
from tests.planner.spots import guarded


@pytest.fixture(scope="module")
def world():
    graph = load_town("grid").lane_graph
    _, route, _ = next(guarded(graph, StopKind.LIGHT, 0))
    red = np.full(len(graph.signal_id), SignalState.RED, np.int8)
    return World(graph, route, signals=lambda t: red).drive(17.0)


def test_the_goal_is_the_route_to_its_end(world):
    goal = RouteLanguage().goal(world.driver.scene)
    assert goal.maneuver == "follow_route"
    assert goal.stop_s == world.route.length


def test_an_instruction_is_not_pretended_to_be_understood(world):
    reply = world.driver.hear("turn left at the church")
    assert reply.status == "unclear"
    assert "turn left at the church" in reply.words
    assert "later version" in reply.words


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Why did you stop?", "red light"),
        ("Why are you waiting?", "red light"),
        ("How fast are you?", "0 km/h"),
        ("Did the safety layer intervene?", "changed nothing"),
        ("What are you doing?", "stand"),
        ("Who won the cup?", "I can say"),
    ],
)
def test_answers_read_the_trace(world, question, words):
    assert words in world.driver.answer(question)


def test_there_is_nothing_to_tell_before_the_first_tick():
    assert RouteLanguage().answer("Why?", Trace()) == "Nothing was driven yet."
