"""Where sensors' data come from."""

from __future__ import annotations

from carla_bridge.headless.arguments import ACTOR, INTEGER, NUMBER
from carla_bridge.headless.rpc import Answer, Call, Status, not_implemented, rpc
from carla_bridge.headless.server import Server
from carla_bridge.headless.streams import WORLD_STREAM


@rpc("get_sensor_token", INTEGER, deferred=True)
def get_sensor_token(server: Server, call: Call, stream_id: int) -> None:
    """Token of a stream; a client asks for the world's once per episode that it makes."""
    if not 0 <= stream_id <= 0xFFFFFFFF:
        raise ValueError(f"get_sensor_token: {stream_id} is no stream id")
    call.connection.num_episodes += stream_id == WORLD_STREAM
    call.answer([server.token(stream_id)])


@rpc("get_imui_gravity")
def get_imui_gravity(server: Server) -> float:
    """Gravity that the IMUs report [m/s^2]."""
    return server.world.imu_gravity


@rpc("set_imui_gravity", NUMBER, answer=Answer.VOID)
def set_imui_gravity(server: Server, gravity: float) -> None:
    """Set the gravity that the IMUs report [m/s^2]."""
    server.world.imu_gravity = gravity


@rpc("enable_sensor_for_ros", INTEGER, answer=Answer.VOID, status=Status.STATE)
def enable_sensor_for_ros(server: Server, stream_id: int) -> None:
    """There is no ROS here; the flag is kept."""
    server.ros_streams.add(stream_id)


@rpc("disable_sensor_for_ros", INTEGER, answer=Answer.VOID, status=Status.STATE)
def disable_sensor_for_ros(server: Server, stream_id: int) -> None:
    """There is no ROS here; the flag is kept."""
    server.ros_streams.discard(stream_id)


@rpc("is_sensor_enabled_for_ros", INTEGER, status=Status.STATE)
def is_sensor_enabled_for_ros(server: Server, stream_id: int) -> bool:
    """The flag."""
    return stream_id in server.ros_streams


@rpc("are_gbuffers_enabled", ACTOR, status=Status.STATE, note="never: there are no cameras")
def are_gbuffers_enabled(server: Server, actor_id: int) -> bool:
    """Whether a camera sends its G-buffers."""
    server.world.require(actor_id)
    return False


not_implemented(
    {"enable_gbuffers": Answer.VOID, "get_gbuffer_token": Answer.VALUE},
    __name__,
    "cameras are not implemented by this server",
)
