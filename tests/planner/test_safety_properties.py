"""Who is safe stays safe: random cases under a planner that holds the throttle down.

Each property has a few hundred cases here and 10,000 under the mark `slow`.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from headway.road.frenet import project_on_route
from headway.types import AgentKind
from headway.vehicle import vehicle_types
from planner.safety import SafetyConfig
from planner.safety_reach import lateral_reach
from tests.planner.safety_cases import DT, STANDS, Case, Ego, speeds

CONFIG = SafetyConfig()
ROOM = CONFIG.margin_ahead + 0.05  # [m] that the layer keeps before ego
FEW, MANY = 200, 10_000
UNHURRIED = [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def cases(number: int):
    return settings(
        max_examples=number, deadline=None, derandomize=True, suppress_health_check=UNHURRIED,
        database=None,
    )  # fmt: skip


numbers = [
    pytest.param(FEW, id="few"),
    pytest.param(MANY, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
]


@st.composite
def egos(draw, fastest: float = 28.0) -> Ego:
    speed = draw(st.floats(0.0, fastest))
    sharpest = min(0.02, 2.0 / max(speed + 8.0, 1.0) ** 2)
    return Ego(
        draw(st.sampled_from(vehicle_types())),
        speed if speed > 0.5 else 0.0,
        draw(st.sampled_from([0.0, -sharpest, sharpest])),
        noise=draw(st.sampled_from([0.0, 0.02])),
        seed=draw(st.integers(0, 1000)),
    )


accels = st.lists(
    st.tuples(st.floats(0.1, 2.5), st.floats(-CONFIG.lead_brake, 3.0)), min_size=1, max_size=5
)


def run_into(case: Case) -> bool:
    """Whether the other ran into ego while it stood; ego that moves must touch nobody."""
    touches = case.touches()
    assert not touches or case.speed < STANDS, f"at {case.t:.2f} s with {case.speed:.2f} m/s"
    return touches


def drive(case: Case, seconds: float) -> None:
    """Go on until it is over; nobody may be hit."""
    for _ in range(round(seconds / DT)):
        case.step()
        if run_into(case):
            return


def follow(grid, ego, alone, lead_speed, spare, pieces) -> None:
    case = Case(grid, ego)
    drive_alone(case, alone)
    gap = case.safe_gap(lead_speed, CONFIG.lead_brake) + ROOM + 20.0 * spare**3
    way = speeds(pieces, lead_speed)
    begin, at = case.t, case.front + gap + case.extent[0]

    def motion(t):
        speed = (way(t - begin + 1e-4) - way(t - begin)) / 1e-4
        return at + way(t - begin), 0.0, 0.0, speed

    case.motion = motion
    drive(case, 6.0)


@pytest.mark.parametrize("number", numbers)
def test_a_lead_that_brakes_within_its_limits_is_not_hit(grid, number):
    @cases(number)
    @given(egos(), st.floats(0.0, 2.0), st.floats(0.0, 28.0), st.floats(0.0, 1.0), accels)
    def holds(ego, alone, lead_speed, spare, pieces):
        follow(grid, ego, alone, lead_speed, spare, pieces)

    holds()


@pytest.mark.parametrize("type_id", vehicle_types())
def test_who_stands_close_behind_another_does_not_creep_into_it(grid, type_id):
    """Each launch that is broken off may end in a push by the engine; none may make way."""
    follow(grid, Ego(type_id, 0.0), 0.0, 0.0, 0.0, [(1.0, 0.0)])


def drive_alone(case: Case, seconds: float) -> None:
    for _ in range(round(seconds / DT)):
        case.step()


@pytest.mark.parametrize("curvature", [-0.02, 0.01])
@pytest.mark.parametrize("type_id", ["vehicle.yamaha.yzf", "vehicle.tesla.model3"])
def test_full_throttle_does_not_carry_ego_out_of_a_bend(grid, type_id, curvature):
    case = Case(grid, Ego(type_id, 0.0, curvature))
    for _ in range(round(12.0 / DT)):
        case.step()
        _, d, _ = project_on_route(case.route, case.pose()[None, :2], case.s)
        assert abs(float(d[0])) < 0.5
    assert case.speed**2 * abs(curvature) > 2.5, "and it is no crawl"


def swerve(t: float, begin: float, duration: float, width: float) -> tuple[float, float]:
    """Way [m] sideways and its speed [m/s], by a cosine."""
    phase = math.pi * min(max((t - begin) / duration, 0.0), 1.0)
    return (
        0.5 * width * (1.0 - math.cos(phase)),
        0.5 * width * math.pi / duration * math.sin(phase),
    )


def cut_in(grid, ego, ratio, spare, duration, wait, side, pieces) -> None:
    case = Case(grid, ego)
    drive_alone(case, 0.5)
    lead_speed = max(ratio * case.speed, 4.0)
    gap = (0.5 + spare) * case.safe_gap(lead_speed, CONFIG.lead_brake) + 20.0 * spare
    way = speeds([(wait + duration, 0.0), *pieces], lead_speed)  # it brakes when it is in
    begin, at = case.t, case.front + gap + case.extent[0]

    def motion(t):
        speed = (way(t - begin + 1e-4) - way(t - begin)) / 1e-4
        d, sideways = swerve(t - begin, wait, duration, 3.5)
        heading = math.atan2(sideways, speed) if speed > 0.1 else 0.0
        return (
            at + way(t - begin), side * (3.5 - d), -side * heading,
            math.hypot(speed, sideways),
        )  # fmt: skip

    case.motion = motion
    in_way = False
    for _ in range(round(7.0 / DT)):
        s, d, heading, speed = motion(case.t)
        own = float(project_on_route(case.route, case.pose()[None, :2], case.s)[1][0])
        room = room_across(case, abs(d - own), speed * abs(math.sin(heading)))
        if not in_way and room < 0.35:  # ego need not run straight: from here to where it must know
            in_way = room < 0.0
            needed = case.safe_gap(speed * math.cos(heading), CONFIG.lead_brake)
            # A car that turns in swings its rear corner back a little.
            corner = case.extent[1] * abs(math.sin(heading))
            assume(s - case.extent[0] - corner - case.front > needed + ROOM)
        case.step()
        if run_into(case):
            return
    assume(in_way)


@pytest.mark.parametrize("number", numbers)
def test_who_cuts_in_and_leaves_the_response_time_is_not_hit(grid, number):
    @cases(number)
    @given(
        egos(), st.floats(0.3, 1.4), st.floats(0.0, 1.0), st.floats(2.0, 5.0), st.floats(0.0, 1.5),
        st.sampled_from([-1.0, 1.0]), accels,
    )  # fmt: skip
    @example(Ego("vehicle.yamaha.yzf", 0.0, 0.02), 1.0, 1.0, 4.0, 1.5, -1.0, [(1.0, 0.0)])
    def holds(ego, ratio, spare, duration, wait, side, pieces):
        cut_in(grid, ego, ratio, spare, duration, wait, side, pieces)

    holds()


def room_across(case: Case, between: float, sideways: float) -> float:
    """[m] left until definition 6 is broken, ego running straight; with a tick of their way."""
    reach = lateral_reach(
        10.0, sideways, CONFIG.lateral_response, CONFIG.lateral_response_accel,
        CONFIG.lateral_brake,
    )  # fmt: skip
    width = float(case.half[1]) + case.extent[1] + CONFIG.margin
    return between - width - sideways * DT - reach


def cross(grid, ego, spare, away, speed, slant, wait, side, halts) -> None:
    case = Case(grid, ego, AgentKind.WALKER, (0.3, 0.3))
    drive_alone(case, 0.5)
    way = case.stop_way()[-1]
    gap = way + ROOM + (wait + 0.2) * case.speed * 1.3 + 25.0 * spare
    d0 = float(case.half[1]) + 0.5 + away
    # On its slanted way over the road it comes that much nearer to ego.
    nearer = max(0.0, -(d0 + 2.0) * math.tan(slant))
    begin, at = case.t, case.front + gap + nearer + 1.0

    def motion(t):
        gone = max(t - begin - wait, 0.0)
        moving = gone > 0.0 and (halts is None or gone < halts)
        gone = gone if halts is None else min(gone, halts)
        return (
            at + speed * gone * math.sin(slant),
            side * (d0 - speed * gone * math.cos(slant)),
            -side * (0.5 * math.pi - slant),
            speed if moving else 0.0,
        )

    case.motion = motion
    started = False
    for _ in range(round(7.5 / DT)):
        if not started and motion(case.t)[3] > 0.0:
            started = True
            # What the response time is: ego, seeing him go, can still stop before his way.
            assume(at - nearer - 0.8 - case.front > case.stop_way()[-1] + ROOM)
        case.step()
        if run_into(case):
            return


@pytest.mark.parametrize("number", numbers)
def test_a_walker_who_crosses_and_leaves_the_response_time_is_not_hit(grid, number):
    @cases(number)
    @given(
        egos(16.0), st.floats(0.0, 1.0), st.floats(1.5, 8.0), st.floats(0.5, 3.0),
        st.floats(-0.5, 0.5), st.floats(0.0, 2.0), st.sampled_from([-1.0, 1.0]),
        st.one_of(st.none(), st.floats(0.0, 6.0)),
    )  # fmt: skip
    @example(  # he walks into its rear side
        Ego("vehicle.chevrolet.impala", 0.0, -0.02), 0.367, 4.22, 1.301, 0.0, 0.156, 1.0, None
    )
    @example(  # he halts where he would have been gone in a moment
        Ego("vehicle.carlamotors.european_hgv", 3.0, 0.01653), 0.0, 3.0, 3.0, 0.0, 0.0, 1.0, 2.1875
    )
    @example(  # he stands where the rear comes round the bend
        Ego("vehicle.tesla.cybertruck", 0.0, -0.02), 0.0, 1.5, 2.375, 0.359, 0.0, 1.0, 2.266
    )
    def holds(ego, spare, away, speed, slant, wait, side, halts):
        cross(grid, ego, spare, away, speed, slant, wait, side, halts)

    holds()
