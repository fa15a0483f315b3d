"""Sessions, observations and the simulator through the real client, against our own server."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import carla
import numpy as np
import pytest

from carla_bridge.embedded import EmbeddedServer
from carla_bridge.observation import LATE_S, SensorReader, SensorSpec, SensorTimeout
from carla_bridge.session import Session, SessionError
from carla_bridge.simulator import CarlaSimulator, NoTraffic, SimulatorConfig
from headway.road.random_route import random_route
from headway.types import AgentKind, Command

MODEL3 = "vehicle.tesla.model3"


@pytest.fixture(scope="module")
def server():
    """A server that is not the session's own, as a remote one would be."""
    with EmbeddedServer("grid") as running:
        yield running


def look(port):
    """The settings, town and vehicles of a server, seen by a client that is not ours."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(10.0)
    world = client.get_world()
    world.wait_for_tick(10.0)
    settings = world.get_settings()
    vehicles = [a.id for a in world.get_actors().filter("vehicle.*")]
    return settings.synchronous_mode, world.get_map().name.rsplit("/", 1)[-1], vehicles


def spawn_car(session, index=0):
    blueprint = session.world.get_blueprint_library().find(MODEL3)
    car = session.world.spawn_actor(blueprint, session.map.get_spawn_points()[index])
    session.own([car])
    return car


def test_the_embedded_server_lives_as_long_as_the_session():
    with Session(town="ring") as session:
        assert session.embedded
        assert session.town == "ring"
        assert session.lane_graph.num_lanes > 50
        pid, settings = session.server.pid, session.world.get_settings()
        assert settings.synchronous_mode
        assert settings.fixed_delta_seconds == pytest.approx(0.05)
        frames = [session.tick().frame for _ in range(3)]
        assert frames == [frames[0], frames[0] + 1, frames[0] + 2]
    session.close()  # twice is no error
    assert not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_world_is_put_back_after_an_exception(server):
    before = look(server.port)
    assert not before[0]

    def drive_and_fail():
        with Session(port=server.port, town="ring") as session:
            car = spawn_car(session)
            session.tick()
            assert session.town == "ring"
            assert car.is_alive
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drive_and_fail()
    assert look(server.port) == before


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit it ignored
from carla_bridge.session import Session
with Session(port=int(sys.argv[1]) or None) as session:
    blueprint = session.world.get_blueprint_library().find("vehicle.tesla.model3")
    session.own([session.world.spawn_actor(blueprint, session.map.get_spawn_points()[3])])
    session.tick()
    print("ready", session.server.pid if session.server else 0, flush=True)
    while True:
        session.tick()
"""


def start_script(port):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(port)], stdout=subprocess.PIPE, text=True
    )
    words = process.stdout.readline().split()
    assert words[0] == "ready"
    return process, int(words[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_put_the_world_back(server, number):
    before = look(server.port)
    process, _ = start_script(server.port)
    with process:
        try:
            process.send_signal(number)
            assert process.wait(20.0) != 0
        finally:
            process.kill()  # else it goes on ticking the world that the other tests share
    assert look(server.port) == before


def test_an_embedded_server_does_not_outlive_a_killed_parent():
    process, pid = start_script(0)
    with process:
        process.kill()
        process.wait(10.0)
    deadline = time.monotonic() + 10.0
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


def test_errors_say_what_to_do():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SessionError, match=f"no server listens at 127.0.0.1:{port}.*headway serve"):
        Session(port=port)
    with pytest.raises(SessionError, match=r"(?s)'Nowhere'.*exit code.*Nowhere"):
        Session(town="Nowhere")
    mute = socket.create_server(("127.0.0.1", 0))
    with mute, pytest.raises(SessionError, match="is no CARLA server"):
        Session(port=mute.getsockname()[1], timeout_s=0.5)


class Parked(NoTraffic):
    """One car and one walker that stand where the test puts them."""

    def __init__(self, session):
        self.session = session

    def spawn(self, ego, route):
        library = self.session.world.get_blueprint_library()
        yaw = float(np.degrees(-route.yaw[0]))
        x, y, z = route.xyz[0]
        car = carla.Transform(carla.Location(x=x, y=-y + 30.0, z=z), carla.Rotation(yaw=yaw))
        person = carla.Transform(carla.Location(x=x + 30.0, y=-y + 30.0, z=z + 1.0))
        world = self.session.world
        self.car = world.spawn_actor(library.find("vehicle.carlamotors.firetruck"), car)
        self.person = world.spawn_actor(library.filter("walker.pedestrian.*")[0], person)
        self.session.own([self.car, self.person])
        self.session.tick()


IMU = SensorSpec("imu", "sensor.other.imu")
GNSS = SensorSpec("gnss", "sensor.other.gnss", {"sensor_tick": "0.2"})


@pytest.fixture(scope="module")
def simulator(server):
    with Session(port=server.port) as session:
        parked = []

        def make(session, seed):
            parked.append(Parked(session))
            return parked[-1]

        made = CarlaSimulator(session, SimulatorConfig(MODEL3, 1.0), make, (IMU, GNSS))
        made.parked = parked
        yield made


@pytest.fixture(scope="module")
def route(simulator):
    return random_route(simulator.session.lane_graph, seed=5, min_length=300.0)


def test_an_observation_is_one_frame_in_our_frame_and_units(simulator, route):
    first = simulator.reset(route, 1)
    assert first.t == 0.0
    assert not first.events
    assert np.hypot(*(first.ego.pose[:2] - route.xyz[0, :2])) < 0.5
    turn = first.ego.pose[2] - route.yaw[0]
    assert np.cos(turn) == pytest.approx(1.0, abs=1e-3)
    seen = 0
    for i in range(40):
        observation = simulator.step(Command(throttle=0.6, steer_norm=0.0))
        assert observation.frame == first.frame + i + 1
        assert observation.t == pytest.approx(0.05 * (i + 1))
        assert observation.sensors["imu"].frame == observation.frame
        assert observation.sensors["imu"].data.frame == observation.frame
        seen += "gnss" in observation.sensors
    assert seen == 10  # each fourth tick: its sensor_tick is 0.2 s
    ego = observation.ego
    along = np.array([np.cos(ego.pose[2]), np.sin(ego.pose[2])])
    assert ego.speed == pytest.approx(float(ego.velocity @ along))
    assert ego.speed > 2.0
    moved = ego.pose[:2] - first.ego.pose[:2]
    assert moved @ along == pytest.approx(np.hypot(*moved), rel=0.02)


def test_steering_left_turns_left(simulator, route):
    simulator.reset(route, 1)
    for _ in range(50):
        observation = simulator.step(Command(throttle=0.5, steer_norm=0.4))
    assert observation.ego.yaw_rate > 0.1
    assert observation.ego.steer > 0.05
    assert observation.ego.lateral_accel > 0.1


def test_others_are_given_by_their_boxes_centre(simulator, route):
    actors = simulator.reset(route, 1).actors
    parked = simulator.parked[-1]
    assert list(actors.id) == sorted(actors.id)
    row = list(actors.id).index(parked.car.id)
    assert actors.kind[row] == AgentKind.VEHICLE
    transform, box = parked.car.get_transform(), parked.car.bounding_box
    centre = transform.transform(box.location)
    assert actors.pose[row, :2] == pytest.approx([centre.x, -centre.y], abs=1e-3)
    yaw = np.radians(-transform.rotation.yaw)
    assert np.cos(actors.pose[row, 2] - yaw) == pytest.approx(1.0)
    assert actors.extent[row] == pytest.approx([box.extent.x, box.extent.y])
    walker = list(actors.id).index(parked.person.id)
    assert actors.kind[walker] == AgentKind.WALKER
    # A walker's origin is its middle; ours is the ground below it.
    assert actors.z[walker] < parked.person.get_location().z - 0.5


def test_who_has_blue_lights_on_is_heard_within_half_a_second(simulator, route):
    assert simulator.reset(route, 1).actors.sirens == frozenset()
    truck = simulator.parked[-1].car
    for lights, heard in ((carla.VehicleLightState.Special1, {truck.id}), (0, set())):
        truck.set_light_state(carla.VehicleLightState(lights))
        for _ in range(11):
            observation = simulator.step(Command(brake=1.0))
        assert observation.actors.sirens == heard


def test_signals_follow_the_order_of_the_lane_graph(simulator, route):
    simulator.reset(route, 1)
    world, graph = simulator.session.world, simulator.session.lane_graph
    lights = {a.get_opendrive_id(): a for a in world.get_actors().filter("traffic.traffic_light")}
    observation = simulator.step(Command(brake=1.0))
    assert len(observation.actors.signal_state) == len(graph.signal_id) > 0
    for name, state in zip(graph.signal_id, observation.actors.signal_state, strict=True):
        assert int(lights[str(name)].state) == state


def test_hitting_something_is_an_event_of_its_frame(simulator, route):
    simulator.reset(route, 1)
    session, parked = simulator.session, simulator.parked[-1]
    ego = session.world.get_actor(simulator.step(Command(brake=1.0)).ego.id)
    ahead = ego.get_transform()
    forward = ahead.get_forward_vector()
    ahead.location += carla.Location(x=14.0 * forward.x, y=14.0 * forward.y, z=0.0)
    parked.car.set_transform(ahead)
    found = []
    for _ in range(120):
        observation = simulator.step(Command(throttle=1.0))
        found += [(e, observation.frame) for e in observation.events]
        if found:
            break
    event, frame = found[0]
    assert event.other_id == parked.car.id
    assert event.other_type_id == "vehicle.carlamotors.firetruck"
    assert event.impulse > 0.0
    assert event.frame in (frame, frame - 1)


def test_a_sensor_that_falls_silent_is_named(simulator, route):
    simulator.reset(route, 1)
    sensors = simulator.session.world.get_actors().filter("sensor.other.imu")
    simulator.session.destroy([a.id for a in sensors])
    with pytest.raises(SensorTimeout, match=r"'imu'.*sent nothing for frame"):
        simulator.step(Command(brake=1.0))


def test_a_packet_that_is_due_is_waited_for():
    class Slow:  # a sensor whose packets come when the test says so
        type_id = "sensor.other.gnss"

        def listen(self, callback):
            self.send = lambda frame: callback(SimpleNamespace(frame=frame))

    sensor = Slow()
    reader = SensorReader("gnss", sensor, period=4)
    sensor.send(7)
    assert reader.read(7).frame == 7
    begin = time.monotonic()
    assert [reader.read(frame) for frame in (8, 9, 10)] == [None] * 3
    assert time.monotonic() - begin < LATE_S
    late = threading.Timer(0.25 * LATE_S, sensor.send, [11])
    late.start()
    assert reader.read(11).frame == 11
    late.join()


def test_the_same_commands_give_the_same_drive_to_the_bit(simulator, route):
    def drive():
        simulator.reset(route, 3)
        poses = []
        for i in range(60):
            command = Command(throttle=0.5, steer_norm=0.2 * np.sin(0.1 * i))
            poses.append(simulator.step(command).ego.pose)
        return np.array(poses)

    assert np.array_equal(drive(), drive())
