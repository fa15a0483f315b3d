"""What the server does with clients that are broken, hostile or dead."""

from __future__ import annotations

import math
import random
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest

ROOT = Path(__file__).resolve().parents[2]
SYNCHRONOUS = [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
ASYNCHRONOUS = [False, False, [False], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
ORIGIN = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def car(client, place=None):
    """Spawn a car on a free spawn point and return its id."""
    points = client.value("get_map_info")[1]
    blueprint = next(
        b for b in client.value("get_actor_definitions") if b[1] == "vehicle.tesla.model3"
    )
    for point in [place] if place else points:
        ((tag, value),) = client.call("spawn_actor", [blueprint[0], blueprint[1], []], point)
        if tag == 1:
            return value[0]
    raise AssertionError("no free spawn point")


@pytest.fixture
def actor(raw):
    """A car in a synchronous world; both are taken back."""
    raw.call("set_episode_settings", SYNCHRONOUS)
    actor_id = car(raw)
    yield actor_id
    raw.call("destroy_actor", actor_id)
    raw.call("set_episode_settings", ASYNCHRONOUS)


@pytest.mark.parametrize("seed", range(8))
def test_garbage_bytes(raw, connect, seed):
    rng = random.Random(seed)
    vandal = connect()
    vandal.socket.sendall(rng.randbytes(rng.choice([1, 7, 100, 5000])))
    assert raw.value("version") == "0.9.16"


def test_garbage_that_is_msgpack_closes_only_that_connection(raw, connect):
    for message in (7, "hello", None, [1, 2], [0, 1, 2, 3], [5, 1, "version", []], {"a": 1}):
        vandal = connect()
        vandal.socket.sendall(msgpack.packb(message))
        assert vandal.closed(), message
        assert raw.value("version") == "0.9.16"


def test_truncated_message_is_waited_for_and_forgotten(raw, connect):
    request = msgpack.packb([0, 1, "version", [[False]]])
    half = connect()
    half.socket.sendall(request[:5])
    assert raw.value("version") == "0.9.16"
    half.socket.sendall(request[5:])  # the rest comes late: the answer is there all the same
    assert half.receive()[3] == [[1, "0.9.16"]]
    half.socket.sendall(request[:5])
    half.socket.close()


@pytest.mark.parametrize(
    "header",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of 4 G items
        b"\xdf\xff\xff\xff\xff",  # a map of 4 G items
        b"\x94\x00\x01\xdb\xff\xff\xff\xff",  # a request whose name has 4 GiB
        b"\x94\x00\x01\xa7version\xc6\xff\xff\xff\xff",  # and one with 4 GiB of arguments
        b"\x94\x00\x01\xa7version" + b"\x91" * 5000,  # nested without end
    ],
)
def test_huge_lengths_cost_nothing(raw, connect, grid_server, header):
    before = resident_kib(grid_server.pid)
    vandal = connect()
    vandal.socket.sendall(header)
    assert raw.value("version") == "0.9.16"
    assert resident_kib(grid_server.pid) - before < 64 << 10


def test_huge_stream_request(raw, grid_server):
    with socket.create_connection(("127.0.0.1", grid_server.port + 1)) as stream:
        stream.sendall(b"\xff" * 100_000)  # stream 4294967295, and a lot of nothing
        assert raw.value("version") == "0.9.16"


def test_unknown_name_is_answered(raw):
    assert "no_such_thing" in raw.error("no_such_thing", 1, 2)
    assert "not implemented" in raw.error("set_actor_colour")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("get_actors_by_id", (), "expected 1 arguments"),
        ("tick_cue", (1, 2, 3), "expected 0 arguments"),
        ("destroy_actor", ("one",), "expected an actor id"),
        ("destroy_actor", (-1,), "expected an actor id"),
        ("destroy_actor", (1.5,), "expected an actor id"),
        ("set_actor_location", (1, [0.0, 0.0]), "expected [x, y, z]"),
        ("set_actor_location", (1, "here"), "expected [x, y, z]"),
        ("set_actor_transform", (1, [[0.0, 0.0, 0.0]]), "expected a transform"),
        ("set_actor_transform", (1, [[math.nan, 0.0, 0.0], [0.0, 0.0, 0.0]]), "finite"),
        ("set_actor_target_velocity", (1, [math.inf, 0.0, 0.0]), "finite"),
        ("spawn_actor", ([1, 2, 3], ORIGIN), "blueprint"),
        ("spawn_actor", ([0, "vehicle.no.such", []], ORIGIN), "vehicle.no.such"),
        ("spawn_actor", ([0, "vehicle.tesla.model3", [["color"]]], ORIGIN), "attributes"),
        ("apply_control_to_vehicle", (1, [0.0, 0.0]), "vehicle control"),
        ("apply_control_to_vehicle", (1, ["a", 0, 0, False, False, False, 0]), "vehicle control"),
        ("set_episode_settings", ([True],), "11 fields"),
        ("set_episode_settings", ([True, False, [True, math.nan], *SYNCHRONOUS[3:]],), "finite"),
        ("set_episode_settings", ([True, False, [True, -1.0], *SYNCHRONOUS[3:]],), "0 to 10 s"),
        ("set_weather_parameters", ([0.0] * 3,), "14 finite numbers"),
        ("load_new_episode", (17, True, 0), "expected a string"),
        ("copy_opendrive_to_file", (b"\x00\x01", []), "expected a string"),
        ("apply_batch", ("spawn", False), "expected a list"),
        ("get_sensor_token", (-4,), "no stream id"),
        ("add_traffic_manager_running", (["here", 99999999],), "expected [host, port]"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(raw, name, arguments, words):
    assert words in raw.error(name, *arguments)


def test_wrong_commands_fail_alone(raw, actor):
    control = [0.5, 0.0, 0.0, False, False, False, 0]
    commands = [
        [[2, [actor, control]]],
        [[2, [actor]]],
        [[2, [999_999, control]]],
        [[99, [actor]]],
        "destroy everything",
        [[0, [[0, "vehicle.tesla.model3", []], ORIGIN]]],
        [[6, [actor, [[math.nan] * 3, [0.0] * 3]]]],
        [[20, ["quit"]]],
        [[2, [actor, control]]],
    ]
    answers = raw.call("apply_batch", commands, False)
    assert [answer[0][0] for answer in answers] == [1, 0, 0, 0, 0, 0, 0, 0, 1]
    for ((_, words),) in answers[1:-1]:
        assert words[0]


def test_commands_that_are_not_tried_from_python(raw, actor):
    """`carla.command` lacks the first three; the last starts a traffic manager there."""
    place = [5.0, 6.0, 7.0]
    light = next(
        entry[0]
        for entry in raw.value("get_actors_by_id", list(range(1, actor)))
        if entry[2][1] == "traffic.traffic_light"
    )
    commands = [[[19, [actor, place]]], [[21, [light, 2]]], [[17, [actor, True]]]]
    commands.append([[16, [actor, True]]])
    expected = [[[1, actor]], [[1, light]], [[1, actor]], [[1, actor]]]
    assert raw.call("apply_batch", commands, False) == expected
    where = raw.value("get_actor_component_world_transform", actor, "body")[0]
    assert where == pytest.approx(place)


def test_nan_and_infinite_controls_leave_the_car_finite(raw, actor):
    nan, inf = math.nan, math.inf
    bad = [
        [nan, 0.0, 0.0], [0.5, nan, 0.0], [0.5, 0.0, nan], [inf, 0.0, 0.0], [0.5, -inf, 0.0],
        [0.5, 0.0, inf], [1e30, -1e30, 0.0],
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", raw.socket.getpeername()[1] + 1)) as stream:
        stream.sendall(struct.pack("<I", 1))
        for pedals in bad:
            control = [*pedals, False, False, False, 0]
            raw.call("apply_control_to_vehicle", actor, control)
            raw.call("apply_batch", [[[2, [actor, control]]]], False)
            for _ in range(5):
                raw.value("tick_cue")
        good = [1.0, 0.0, 0.0, False, False, False, 0]
        raw.call("apply_control_to_vehicle", actor, good)
        for _ in range(20):
            last = raw.value("tick_cue")
        record = actor_record(stream, last, actor)
    location, velocity = record[1:4], record[7:10]
    assert all(math.isfinite(v) and abs(v) < 1e5 for v in (*location, *velocity))
    assert math.hypot(*velocity) > 0.5  # and it still drives


def test_unknown_actor_is_named(raw):
    for name, *arguments in (
        ("set_actor_transform", ORIGIN),
        ("set_actor_simulate_physics", True),
        ("apply_control_to_vehicle", [0.0, 0.0, 0.0, False, False, False, 0]),
        ("get_physics_control",),
        ("get_vehicle_light_state",),
        ("set_traffic_light_state", 2),
        ("get_group_traffic_lights",),
        ("add_actor_impulse", [0.0, 0.0, 1.0]),
    ):
        assert "4000000000" in raw.error(name, 4_000_000_000, *arguments), name
    # the traffic manager ends its client when this fails
    assert len(raw.value("get_actor_bounding_box", 4_000_000_000)) == 4


def test_double_destroy(raw):
    raw.call("set_episode_settings", SYNCHRONOUS)
    actor_id = car(raw)
    box = raw.value("get_actor_bounding_box", actor_id)
    assert raw.value("destroy_actor", actor_id) is True
    assert "not found" in raw.error("destroy_actor", actor_id)
    ((tag, _),) = raw.call("apply_batch", [[[1, [actor_id]]]], False)[0]
    assert tag == 0
    assert raw.value("get_actor_bounding_box", actor_id)[1] == box[1]
    raw.value("tick_cue")
    raw.call("set_episode_settings", ASYNCHRONOUS)


def test_client_killed_in_the_middle_of_a_tick(raw, connect, actor, grid_server):
    frame = raw.value("tick_cue")
    for k in range(20):
        victim = connect()
        victim.send("apply_batch", [[[2, [actor, [0.1, 0.0, 0.0, False, False, False, 0]]]]], False)
        victim.send("tick_cue")
        if k % 2:  # a reset instead of a farewell
            victim.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        victim.socket.close()
    assert raw.value("tick_cue") > frame
    with socket.create_connection(("127.0.0.1", grid_server.port + 1)) as stream:
        stream.sendall(struct.pack("<I", 1))
        raw.value("tick_cue")
    raw.value("tick_cue")


def test_listener_that_never_reads_does_not_stop_the_world(raw, actor, grid_server):
    with socket.create_connection(("127.0.0.1", grid_server.port + 1)) as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.sendall(struct.pack("<I", 1))
        begin = time.monotonic()
        for _ in range(500):
            raw.value("tick_cue")
        assert time.monotonic() - begin < 10.0


@pytest.mark.parametrize("offset", [0, 1])
def test_port_taken(offset):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        out = subprocess.run(
            [sys.executable, "-m", "carla_bridge.headless", "--port", str(taken - offset)],
            capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
        )  # fmt: skip
    assert out.returncode == 2
    assert f"port {taken} on 127.0.0.1 is taken" in out.stderr
    assert "Traceback" not in out.stderr


def test_unknown_town_at_start(free_port):
    out = subprocess.run(
        [sys.executable, "-m", "carla_bridge.headless", "--port", "0", "--town", "Atlantis"],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert out.returncode == 2
    assert "Atlantis" in out.stderr
    assert "Traceback" not in out.stderr


@pytest.mark.parametrize(
    "xodr",
    [
        "",
        "this is not XML",
        "<OpenDRIVE>",
        "<OpenDRIVE><header/></OpenDRIVE>",
        '<OpenDRIVE><road id="1" length="nan"/></OpenDRIVE>',
    ],
)
def test_broken_opendrive_keeps_the_old_world(raw, xodr):
    name, data = raw.value("get_map_info")[0], raw.value("get_map_data")
    episode = raw.value("get_episode_info")[0]
    assert len(raw.error("copy_opendrive_to_file", xodr, [])) > 10
    assert raw.value("get_map_info")[0] == name
    assert raw.value("get_map_data") == data
    assert raw.value("get_episode_info")[0] == episode


def test_missing_town_keeps_the_old_world(raw):
    episode = raw.value("get_episode_info")[0]
    assert "Atlantis" in raw.error("load_new_episode", "Atlantis", True, 0)
    time.sleep(0.1)
    assert raw.value("get_episode_info")[0] == episode


def resident_kib(pid: int) -> int:
    """Resident memory of a process [KiB]."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def read_exactly(stream: socket.socket, count: int) -> bytes:
    """Read `count` bytes."""
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        assert part, "the stream ended"
        data += part
    return data


def actor_record(stream: socket.socket, frame: int, actor_id: int) -> tuple[float, ...]:
    """The dynamic state of an actor in a frame: id, location, rotation, velocity."""
    stream.settimeout(10.0)
    while True:
        (length,) = struct.unpack("<I", read_exactly(stream, 4))
        message = read_exactly(stream, length)
        if struct.unpack_from("<Q", message, 8)[0] >= frame:
            break
    for offset in range(48 + 36, len(message), 119):
        values = struct.unpack_from("<IB9f", message, offset)
        if values[0] == actor_id:
            return (values[0], *values[2:])
    raise AssertionError(f"actor {actor_id} is not in frame {frame}")
