"""CARLA's recorder and replayer, which are not there yet."""

from __future__ import annotations

from carla_bridge.headless.rpc import Answer, not_implemented

not_implemented(
    {
        "start_recorder": Answer.VALUE,
        "stop_recorder": Answer.VOID,
        "show_recorder_file_info": Answer.VALUE,
        "show_recorder_collisions": Answer.VALUE,
        "show_recorder_actors_blocked": Answer.VALUE,
        "replay_file": Answer.VALUE,
        "stop_replayer": Answer.VOID,
        "set_replayer_time_factor": Answer.VOID,
        "set_replayer_ignore_hero": Answer.VOID,
        "set_replayer_ignore_spectator": Answer.VOID,
    },
    __name__,
    "the recorder is not implemented by this server; `headway drive` writes a Trace",
)
