"""The bytes on the wire, and the list of RPCs in the docs."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import random
import socket
import struct
import time
from pathlib import Path

import carla
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_bridge.headless import rpc_table
from carla_bridge.headless.commands import apply_batch
from carla_bridge.headless.control_batch import ControlBatch
from carla_bridge.headless.rpc import REGISTRY, load_handlers
from carla_bridge.headless.towns import Town
from carla_bridge.headless.world import World


def test_the_table_in_the_docs_is_current():
    assert rpc_table.DOC.read_text() == rpc_table.table(), "run `make docs`"


def test_the_names_are_those_of_the_wheel():
    """Long names stand in the wheel as they are; short ones only inside instructions."""
    (library,) = Path(carla.__file__).parent.glob("libcarla*.so")
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        unknown = [
            name
            for name in rpc_table.WHEEL_RPCS
            if len(name) > 16 and data.find(name.encode() + b"\0") < 0
        ]
    assert not unknown
    assert load_handlers().keys() == REGISTRY.keys() == rpc_table.WHEEL_RPCS


CONTROLS = st.tuples(
    st.floats(width=32), st.floats(width=32), st.floats(width=32),
    st.booleans(), st.booleans(), st.booleans(), st.integers(-300, 300),
)  # fmt: skip


@pytest.fixture(scope="module")
def twins(grid_town: Town) -> tuple[World, World, list[int]]:
    """Two equal worlds with the same cars."""
    worlds = World(grid_town, 0), World(grid_town, 0)
    for world in worlds:
        model = next(b for b in world.blueprints if b[1] == "vehicle.tesla.model3")
        for row in grid_town.spawn_points[:8]:
            x, y, z, pitch, yaw, roll = map(float, row)
            place = [[x, y, z], [pitch, yaw, roll]]
            ids = world.spawn([model[0], model[1], []], place, None, 0, "")[0]
    return *worlds, list(range(ids - 7, ids + 1))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_short_way_of_controls_is_the_general_way(twins, data):
    fast, general, ids = twins
    cars = data.draw(st.lists(st.sampled_from([*ids, 1, 40_000, 2**32 - 1]), min_size=1))
    commands = [[[2, [car, list(data.draw(CONTROLS))]]] for car in cars]
    request = [0, data.draw(st.integers(0, 2**32 - 1)), "apply_batch", [[False], commands, True]]
    message = msgpack.packb(request, use_single_float=True)
    expected = apply_batch(general, msgpack.unpackb(message)[3][1])
    outcome = ControlBatch().apply(fast, message + b"rest")
    if outcome is None:  # an actor that is no car: nothing may have changed yet
        assert not set(cars) <= set(ids)
        apply_batch(fast, msgpack.unpackb(message)[3][1])
    else:
        consumed, answer, do_tick = outcome
        assert (consumed, do_tick) == (len(message), True)
        assert msgpack.unpackb(answer) == [1, request[1], None, _listed(expected)]
    np.testing.assert_array_equal(fast.table.columns.control, general.table.columns.control)
    assert (
        ControlBatch().apply(fast, message[: data.draw(st.integers(0, len(message) - 1))]) is None
    )


def _listed(value):
    """Tuples as lists, as they come back from the wire."""
    return [_listed(v) for v in value] if isinstance(value, (list, tuple)) else value


def test_requests_may_be_cut_anywhere(raw, connect):
    """However the bytes arrive, every request is answered, in order."""
    control = [0.1, 0.2, 0.0, False, False, False, 1]
    requests = [
        [0, 1, "version", [[False]]],
        [0, 2, "apply_batch", [[False], [[[2, [4_000_000, control]]]], False]],
        [0, 3, "get_episode_settings", [[False]]],
        [0, 4, "apply_batch", [[False], [], False]],
        [0, 5, "version", [[True]]],
    ]
    data = b"".join(msgpack.packb(r, use_single_float=True) for r in requests)
    rng = random.Random(5)
    for _ in range(40):
        client = connect()
        cuts = sorted(rng.sample(range(1, len(data)), rng.randrange(6)))
        for begin, end in itertools.pairwise([0, *cuts, len(data)]):
            client.socket.sendall(data[begin:end])
            time.sleep(0.001)
        assert [client.receive()[1] for _ in requests] == [1, 2, 3, 4, 5]


def _episodes(stream: socket.socket, wait_s: float) -> list[int]:
    """Episodes of the frames that come within `wait_s` from now."""
    data, end = b"", time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0.0:
        stream.settimeout(left)
        with contextlib.suppress(TimeoutError):
            data += stream.recv(1 << 16)
    episodes = []
    while len(data) >= 4:
        (length,) = struct.unpack_from("<I", data)
        if len(data) < 4 + length:
            break
        # The header of every sensor's data, 48 bytes, and then the world's own.
        episodes.append(struct.unpack_from("<Q", data, 4 + 48)[0])
        data = data[4 + length :]
    return episodes


def test_a_new_world_and_the_workers_wait_for_the_client_s_episode(raw, grid_server, free_port):
    """What a client cannot bear while it has none: a frame, or its traffic manager's step."""
    raw.value("get_sensor_token", 1)
    (old, _), address = raw.value("get_episode_info"), ("127.0.0.1", grid_server.port + 1)
    assert raw.value("add_traffic_manager_running", ["127.0.0.1", free_port])
    with socket.create_connection(address) as stream:
        stream.sendall(struct.pack("<I", 1))
        assert set(_episodes(stream, 0.5)) == {old}
        load = raw.send("load_new_episode", "grid", True, 0)
        worker = raw.send("get_episode_settings")
        assert raw.receive()[1] == load
        _episodes(stream, 0.05)  # what was on its way
        assert _episodes(stream, 0.4) == []
        token = raw.send("get_sensor_token", 1)
        assert [raw.receive()[1] for _ in range(2)] == [token, worker]
        assert old + 1 in _episodes(stream, 0.5)
    raw.call("destroy_traffic_manager", free_port)
