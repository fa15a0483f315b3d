"""Each criterion against hand-made drives on real roads."""

import numpy as np
import pytest

from headway.road.lane_graph import LaneKind, StopKind
from headway.road.queries import lane_width
from headway.road.routing import plan_route
from headway.types import AgentKind, SignalState
from scenarios.bench import slowness_of
from scenarios.criteria import GOAL_TOLERANCE, Criteria
from scenarios.episode import EpisodeConfig, _Ending
from scenarios.scores import ScoreVersion
from scenarios.tick import Intent
from tests.scenarios.conftest import DT, HALF_LENGTH, Film, Other, along, route_over, times


def cruise(seconds=8.0, speed=8.0, start=0.0):
    return start + speed * times(seconds)


def test_completion_grows_with_the_way_and_is_one_at_the_end(grid):
    route, _, _ = route_over(grid, StopKind.LIGHT)
    half = Film(grid, route, np.linspace(0.0, 0.5 * route.length, 100)).judge()
    assert half.completion.share == pytest.approx(0.5, abs=0.02)
    # Going back loses nothing.
    back = np.concatenate([np.linspace(0, 40, 80), np.linspace(40, 10, 60)])
    assert Film(grid, route, back).judge().completion.share == pytest.approx(
        40 / route.length, abs=0.02
    )
    there = np.linspace(0.0, route.length - 0.5 * GOAL_TOLERANCE, 200)
    assert Film(grid, route, there).judge().completion.share == 1.0


@pytest.mark.parametrize(("ends", "why"), [(True, "collision"), (False, "")])
def test_a_collision_is_the_end_where_the_rules_say_so(grid, ends, why):
    route, _, _ = route_over(grid, StopKind.LIGHT)
    film = Film(grid, route, np.linspace(5.0, 10.0, 20), contacts={10: 7})
    criteria = Criteria(grid, route)
    ending = _Ending(EpisodeConfig(ends_at_collision=ends), route, lambda: "")
    seen = [ending.of(criteria.update(o, Intent()), criteria) for o in film.observations()]
    assert set(seen[:10]) == {""}
    assert set(seen[10:]) == {why}


@pytest.mark.parametrize(
    ("light", "expected"),
    [(SignalState.RED, 1), (SignalState.GREEN, 0), (SignalState.YELLOW, 0)],
)
def test_only_red_is_an_infraction_and_it_counts_once(grid, light, expected):
    route, _, _ = route_over(grid, StopKind.LIGHT)
    found = Film(grid, route, cruise(), light=light).judge().red_lights.infractions
    assert len(found) == expected
    for event in found:
        assert event.s + HALF_LENGTH == pytest.approx(35.0, abs=8.0 * DT + 0.1)
        assert event.at_fault


def test_stopping_before_a_red_light_is_none(grid):
    route, _, at = route_over(grid, StopKind.LIGHT)
    t = times(8.0)
    s = np.minimum(8.0 * t, at - HALF_LENGTH - 0.3)
    assert not Film(grid, route, s, light=SignalState.RED).judge().red_lights.infractions


def test_a_stop_sign_wants_a_rest_before_its_line(grid):
    route, row, at = route_over(grid, StopKind.STOP)
    run = Film(grid, route, cruise()).judge().stop_signs.infractions
    assert [e.kind for e in run] == ["stop_sign"]
    assert str(row) in run[0].reason
    halt = at - HALF_LENGTH - 1.0
    rest = np.concatenate([np.linspace(0, halt, 120), np.full(20, halt), cruise(5.0, start=halt)])
    assert not Film(grid, route, rest).judge().stop_signs.infractions
    # A rest too far away, behind a queue for instance, is not one at the line.
    far = at - HALF_LENGTH - 9.0
    early = np.concatenate([np.linspace(0, far, 120), np.full(20, far), cruise(6.0, start=far)])
    assert len(Film(grid, route, early).judge().stop_signs.infractions) == 1


def test_speeding_counts_seconds_above_the_limit(grid):
    route, _, _ = route_over(grid, StopKind.LIGHT)
    limit = float(route.speed_limit[0])
    seconds = 30.0 / (limit + 3.0)
    fast = Film(grid, route, cruise(seconds, limit + 3.0)).judge().speeding.seconds
    assert fast == pytest.approx(seconds, abs=3 * DT)
    assert Film(grid, route, cruise(2.0, limit - 0.1)).judge().speeding.seconds == 0.0


def test_density_is_the_mean_of_vehicles_and_walkers_within_50_m(grid):
    route, _, _ = route_over(grid, StopKind.LIGHT)
    num = 40
    x, y, yaw = along(route, np.array([10.0]))[0]
    here = np.full(num, 10.0)

    def stand(i, dx, kind):
        return Other(i, np.tile([x + dx, y, yaw], (num, 1)), kind)

    others = [
        stand(2, 30.0, AgentKind.VEHICLE), stand(3, -49.0, AgentKind.WALKER),
        stand(4, 51.0, AgentKind.VEHICLE), stand(5, 5.0, AgentKind.PROP),
    ]  # fmt: skip
    comes = np.tile([x + 200.0, y, yaw], (num, 1))
    comes[num // 2 :, 0] = x + 20.0
    others.append(Other(6, comes))
    assert Film(grid, route, here, others=others).judge().density.mean == pytest.approx(2.5)


def rammed(grid, s, intents=None, d=0.0, closing=4.0, other_d=None):
    """Ego drives `s`; somebody comes from behind and touches it in the last frame."""
    route, _, _ = route_over(grid, StopKind.YIELD)
    t = times(len(s) * DT)
    gap = 2 * HALF_LENGTH + 0.05 + closing * (t[-1] - t)
    other = Other(7, along(route, s - gap, d if other_d is None else other_d))
    film = Film(grid, route, s, d, [other], contacts={len(s) - 1: 7}, intents=intents or {})
    (event,) = film.judge().collisions.infractions
    assert (event.partner, event.kind) == (7, "collision")
    return event


def test_struck_from_behind_in_its_own_lane_is_not_egos_fault(grid):
    event = rammed(grid, cruise(3.0, 6.0, start=4.0))
    assert not event.at_fault
    assert "behind" in event.reason


def test_struck_from_behind_across_the_line_is_egos_fault(grid):
    assert rammed(grid, cruise(3.0, 6.0, start=4.0), d=1.6).at_fault


def braking(decel):
    t = times(3.0)
    brake = np.clip(t - 2.0, 0.0, None)
    return 4.0 + 8.0 * t - 0.5 * decel * brake**2


def test_hard_braking_for_nothing_is_egos_fault_and_for_a_reason_is_not(grid):
    s = braking(6.0)
    assert rammed(grid, s).at_fault
    assert not rammed(grid, braking(3.5)).at_fault
    for reason in ("lead:9", "walker:9", "red_light:1", "stop_sign:2", "goal"):
        needed = {i: Intent((reason,), 5.0) for i in range(len(s))}
        assert not rammed(grid, s, needed).at_fault, reason
    # The plan asks for little, so the safety filter braked by itself: that counts as ego's.
    assert rammed(grid, s, {i: Intent(("lead:9",), 1.0) for i in range(len(s))}).at_fault
    # A bend or a limit never requires it.
    assert rammed(grid, s, {i: Intent(("curve",), 6.0) for i in range(len(s))}).at_fault


def test_standing_for_a_second_excuses_all_but_less_does_not(grid):
    route, _, _ = route_over(grid, StopKind.YIELD)
    for stood, at_fault in ((1.5, False), (0.5, True)):
        s = np.concatenate([cruise(2.0, 5.0), np.full(round(stood / DT), 10.0)])
        t = times(len(s) * DT)
        # Somebody comes head on.
        other = along(route, 10.0 + 2 * HALF_LENGTH + 6.0 * (t[-1] - t))
        other[:, 2] += np.pi
        film = Film(grid, route, s, others=[Other(3, other)], contacts={len(s) - 1: 3})
        (event,) = film.judge().collisions.infractions
        assert event.at_fault is at_fault, event.reason


def test_a_partner_that_ran_a_red_light_is_to_blame(grid):
    route, _, at = route_over(grid, StopKind.LIGHT)
    # Ego comes from beside; the partner's front meets its flank.
    s = at + 20.0 + 0.05 * np.arange(120)
    other = along(route, np.linspace(at - 30.0, at + 24.0, 120), d=2.2)
    for light, at_fault in ((SignalState.RED, False), (SignalState.GREEN, True)):
        film = Film(grid, route, s, others=[Other(4, other)], light=light, contacts={119: 4})
        (event,) = film.judge().collisions.infractions
        assert event.at_fault is at_fault, event.reason


def test_what_does_not_move_is_always_egos_fault_and_one_contact_counts_once(grid):
    route, _, _ = route_over(grid, StopKind.LIGHT)
    film = Film(grid, route, cruise(4.0, 5.0), contacts={50: 0, 51: 0, 52: 0})
    (event,) = film.judge().collisions.infractions
    assert event.at_fault
    assert event.impulse == 500.0
    assert event.s == pytest.approx(5.0 * 49 * DT, abs=0.1)


def street(graph, side):
    """The longest lane that has the oncoming traffic on its left (1), or nothing on its right."""
    usable = np.isin(graph.kind[np.maximum(graph.right, 0)], (LaneKind.DRIVING, LaneKind.PARKING))
    fits = graph.opposite >= 0 if side > 0 else (graph.right < 0) | ~usable
    fits &= (graph.kind == LaneKind.DRIVING) & (graph.junction < 0)
    lane = int(np.argmax(np.where(fits, graph.length, 0.0)))
    return plan_route(graph, lane, 1.0, lane, float(graph.length[lane]) - 1.0)


@pytest.mark.parametrize(
    ("beyond", "share"),
    [
        (0.0, 0.0),
        (-0.3, 0.0),  # to the right of the edge, within the margin
        (-0.8, 0.5),
        (1.0, 0.5),  # on the oncoming lane
    ],
)
def test_off_lane_is_the_share_of_the_way_beyond_the_edge_or_against_the_traffic(
    grid, beyond, share
):
    way = street(grid, np.sign(beyond))
    half = 0.5 * lane_width(grid.arrays(), int(way.lane[0]), 20.0)
    d = beyond + np.sign(beyond) * half
    s = np.linspace(0.0, 50.0, 201)
    judged = Film(grid, way, s, np.where(s < 25.0, 0.0, d)).judge()
    assert judged.off_lane.share == pytest.approx(share, abs=0.05)
    assert judged.off_lane.metres == pytest.approx(50.0 * share, abs=3.0)


def test_pace_compares_ego_with_the_other_vehicles_stretch_by_stretch(grid):
    way = street(grid, 1)
    seconds = 0.97 * way.length / 6.0
    s = cruise(seconds, 6.0)
    x, y, yaw = along(way, np.array([10.0]))[0]
    drives = np.column_stack([x + 4.0 * times(seconds), 0 * s + y, 0 * s + yaw])
    faster = np.column_stack([x + 8.0 * times(seconds), 0 * s + y, 0 * s + yaw])
    walks = np.column_stack([x + 90.0 * times(seconds), 0 * s + y, 0 * s + yaw])
    others = [Other(2, drives), Other(3, faster), Other(4, walks, AgentKind.WALKER)]
    pace = Film(grid, way, s, others=others).judge().pace
    assert pace.shares() == pytest.approx([1.0] * 20, rel=0.02)
    assert pace.shares(4) == pytest.approx([1.0] * 4, rel=0.02)
    half = Film(grid, way, s[: len(s) // 2], others=others[1:]).judge().pace
    assert len(half.shares()) == 9
    assert half.shares(4) == pytest.approx([0.75], rel=0.02), "the second ends at the half"
    assert half.efficiency == pytest.approx(75.0, rel=0.02)
    assert slowness_of(half, ScoreVersion.LEADERBOARD_2_1) == pytest.approx([0.75], rel=0.02)
    assert slowness_of(half, ScoreVersion.LEADERBOARD_1_0) == ()
    assert len(slowness_of(half, ScoreVersion.BENCH2DRIVE)) == 9
    alone = Film(grid, way, s).judge().pace
    assert slowness_of(alone, ScoreVersion.LEADERBOARD_2_1) == (), "as fast as the others counts"
    assert slowness_of(alone, ScoreVersion.BENCH2DRIVE) == (1.0,) * 20, "there all are listed"
    assert alone.efficiency == 100.0, "nobody to compare with"
