"""The experiments of the fidelity table: what was recorded on real CARLA servers, on our kernel.

The recorded figures ship in headway/data/recordings.json with their sources.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from headway.types import Array
from headway.vehicle import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_STATES,
    VehicleControlIndex,
    VehicleState,
    inverse_accel,
    step_vehicles,
    vehicle_params,
)

DT = 0.05  # [s] the tick of the suites
STEADY_GOAL = 0.10  # of the recorded value
DELAY_GOAL = 0.1  # [s]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        vehicle: short name.
        source: key into the recordings' sources.
        what: the experiment in words.
        unit: of both figures.
        recorded: on the real server.
        ours: on the kernel.
        kind: `steady` or `delay`, which goal it is held against; `regime` against none.
    """

    vehicle: str
    source: str
    what: str
    unit: str
    recorded: float
    ours: float
    kind: str = "steady"

    @property
    def error(self) -> float:
        """Relative for steady rows, in seconds for delays."""
        if self.kind == "delay":
            return self.ours - self.recorded
        return (self.ours - self.recorded) / abs(self.recorded) * math.copysign(1, self.recorded)

    @property
    def reached(self) -> bool:
        """Whether the row is within its goal."""
        return abs(self.error) <= (DELAY_GOAL if self.kind == "delay" else STEADY_GOAL) + 1e-9


class Bench:
    """One vehicle on the flat, driven tick by tick through the kernel."""

    def __init__(self, vehicle: str, dt: float = DT) -> None:
        self.params = vehicle_params(vehicle)[None]
        self.state = np.zeros((1, NUM_VEHICLE_STATES))
        self.control = np.zeros((1, NUM_VEHICLE_CONTROLS))
        self.grade = np.zeros((1, 2))
        self.active = np.ones(1, dtype=bool)
        self.dt = dt

    def tick(self, throttle: float = 0.0, brake: float = 0.0, steer: float = 0.0) -> float:
        """Advance by one tick; returns the speed [m/s]."""
        self.control[0, VehicleControlIndex.THROTTLE] = throttle
        self.control[0, VehicleControlIndex.BRAKE] = brake
        self.control[0, VehicleControlIndex.STEER] = steer
        step_vehicles(self.state, self.control, self.params, self.grade, self.active, self.dt)
        return self.speed

    @property
    def speed(self) -> float:
        """Forward speed [m/s]."""
        return float(self.state[0, VehicleState.VX])

    @property
    def yaw_rate(self) -> float:
        """[rad/s]."""
        return float(self.state[0, VehicleState.YAW_RATE])

    def reach(self, speed: float, hold: float = 2.0, steer: float = 0.0) -> None:
        """Drive to `speed` [m/s] and hold it for a while, pedals by the inverse map."""
        held, integral = 0.0, 0.0
        for _ in range(int(120.0 / self.dt)):
            error = speed - self.speed
            integral = min(max(integral + 0.5 * error * self.dt, -2.0), 2.0)
            throttle, brake = inverse_accel(
                self.params, np.array([self.speed]), np.array([1.5 * error + integral])
            )
            self.tick(float(throttle[0]), float(brake[0]), steer)
            held = held + self.dt if abs(error) < 0.1 else 0.0
            if held >= hold:
                return
        raise RuntimeError(f"Bench.reach: {speed} m/s not held after 120 s, at {self.speed:.2f}")


def recordings() -> dict[str, Any]:
    """The recorded figures, with their sources."""
    text = resources.files("headway.data").joinpath("recordings.json").read_text(encoding="utf-8")
    return json.loads(text)


def _short(vehicle: str) -> str:
    return vehicle.removeprefix("vehicle.")


def launch_rows(data: dict[str, Any]) -> list[Row]:
    """From throttle on to first motion."""
    rows = []
    for record in data["launch_delay"]:
        bench = Bench(record["vehicle"], dt=0.01)
        bench_time = 0.0
        while bench.speed < 0.01 and bench_time < 5.0:
            bench.tick(throttle=record["throttle"])
            bench_time += bench.dt
        what = f"launch, throttle {record['throttle']:g}: first motion after"
        rows.append(
            Row(_short(record["vehicle"]), record["source"], what, "s", record["delay"],
                bench_time - bench.dt, "delay")
        )  # fmt: skip
    return rows


def throttle_rows(data: dict[str, Any]) -> list[Row]:
    """Speeds after a throttle step, accelerations and steady speeds by throttle."""
    rows = []
    for record in data["throttle_step"]:
        times, speeds = _run_throttle(record["vehicle"], record["throttle"], 25.0)
        for t, recorded in zip(record["time"], record["speed"], strict=True):
            what = f"throttle {record['throttle']:g} from rest: speed {t:g} s after the command"
            rows.append(
                Row(_short(record["vehicle"]), record["source"], what, "m/s", recorded,
                    float(np.interp(t, times, speeds)))
            )  # fmt: skip
    for record in data["full_throttle"]:
        name, source = _short(record["vehicle"]), record["source"]
        times, speeds = _run_throttle(record["vehicle"], record["throttle"], 25.0)
        for (low, high), recorded in zip(record["bands"], record["accel"], strict=True):
            took = np.interp(high, speeds, times) - np.interp(low, speeds, times)
            what = f"full throttle: acceleration at {low} to {high} m/s"
            rows.append(Row(name, source, what, "m/s2", recorded, float((high - low) / took)))
        start = np.interp(0.01, speeds, times)
        for speed, recorded in record["motion_to_speed"]:
            what = f"full throttle: from first motion to {speed:g} m/s"
            took = float(np.interp(speed, speeds, times) - start)
            rows.append(Row(name, source, what, "s", recorded, took))
    for record in data["steady_speed"]:
        for throttle, recorded in zip(record["throttle"], record["speed"], strict=True):
            _, speeds = _run_throttle(record["vehicle"], throttle, 60.0)
            what = f"steady speed at throttle {throttle:g}"
            rows.append(
                Row(_short(record["vehicle"]), record["source"], what, "m/s", recorded, speeds[-1])
            )
    for record in data["throttle_accel"]:
        times, speeds = _run_throttle(record["vehicle"], record["throttle"], 10.0)
        low, high = record["speed"] - 0.3, record["speed"] + 0.3
        took = float(np.interp(high, speeds, times) - np.interp(low, speeds, times))
        what = f"throttle {record['throttle']:g}: acceleration at {record['speed']:g} m/s"
        rows.append(
            Row(_short(record["vehicle"]), record["source"], what, "m/s2", record["accel"],
                (high - low) / took)
        )  # fmt: skip
    return rows


def _run_throttle(vehicle: str, throttle: float, seconds: float) -> tuple[Array, Array]:
    bench = Bench(vehicle)
    speeds = [0.0] + [bench.tick(throttle=throttle) for _ in range(round(seconds / DT))]
    # Speeds rise but for a tick or two in a shift; interpolation over them wants order.
    return np.arange(len(speeds)) * DT, np.maximum.accumulate(speeds)


def brake_rows(data: dict[str, Any]) -> list[Row]:
    """Pulses of partial brake, whole stops, and braking through a band of speeds."""
    rows = []
    for record in data["brake_pulse"]:
        name, source = _short(record["vehicle"]), record["source"]
        for start, recorded_row in zip(record["from_speed"], record["accel"], strict=True):
            for brake, recorded in zip(record["brake"], recorded_row, strict=True):
                if recorded is None:
                    continue
                bench = Bench(record["vehicle"], dt=0.01)
                bench.reach(start)
                accels, speeds, low_passed = [], [], 0.0
                for _ in range(round(record["pulse"] / bench.dt)):
                    bench.tick(brake=brake)
                    low_passed += 0.35 * (float(bench.state[0, VehicleState.AX]) - low_passed)
                    accels.append(low_passed)
                    speeds.append(bench.speed)
                last = round(record["window"] / bench.dt)
                what = f"brake {brake:g}, from {start:g} m/s: mean 1.25 to 2 s after"
                rows.append(
                    Row(name, source, what, "m/s2", recorded, float(np.mean(accels[-last:])))
                )
    for record in data["brake_stop"]:
        for brake, recorded_row in zip(record["brake"], record["accel"], strict=True):
            for start, recorded in zip(record["from_speed"], recorded_row, strict=True):
                bench = Bench(record["vehicle"])
                bench.reach(start)
                v0, x0 = bench.speed, float(bench.state[0, VehicleState.X])
                while bench.tick(brake=brake) > 0.5:
                    pass
                distance = float(bench.state[0, VehicleState.X]) - x0
                what = f"brake {brake:g}, from {start:g} m/s: mean over the stop, v0^2 / 2d"
                rows.append(
                    Row(_short(record["vehicle"]), record["source"], what, "m/s2", recorded,
                        -v0 * v0 / (2.0 * distance))
                )  # fmt: skip
    rows += _brake_band_rows(data["brake_hold"])
    return rows


def _brake_band_rows(records: list[dict[str, Any]]) -> list[Row]:
    rows = []
    for record in records:
        low, high = record["speeds"]
        bench = Bench(record["vehicle"], dt=0.01)
        bench.reach(high + (3.0 if high > 10.0 else 0.0))
        times, speeds = [], []
        while bench.speed > 0.9 * low:
            times.append(len(times) * bench.dt)
            speeds.append(bench.tick(brake=record["brake"]))
        t = np.interp([-high + 0.1, -low], [-v for v in speeds], times)
        recorded = float(np.mean(record["accel"]))
        what = f"brake {record['brake']:g} from {high:g} to {low:g} m/s: mean"
        rows.append(
            Row(_short(record["vehicle"]), record["source"], what, "m/s2", recorded,
                -(high - 0.1 - low) / float(t[1] - t[0]))
        )  # fmt: skip
    return rows


def steer_rows(data: dict[str, Any]) -> list[Row]:
    """Yaw rate by steer and speed, and its lag."""
    rows = []
    for record in data["yaw_gain"]:
        gain = _yaw_gain(record["vehicle"], record["speed"], record["steer"])
        what = f"yaw rate / (speed x steer) at {record['speed']:g} m/s, steer {record['steer']:g}"
        rows.append(
            Row(_short(record["vehicle"]), record["source"], what, "1/m", record["gain"], gain)
        )
    fit = data["identified"]["steer"]
    for steer in (0.1, 0.3, 0.5):
        angle = math.tan(fit["gain"] * steer) * fit["rear"] / (fit["front"] + fit["rear"])
        recorded = math.sin(math.atan(angle)) / fit["rear"] / steer
        vehicle = data["identified"]["vehicle"]
        what = f"yaw rate / (speed x steer) at 6 m/s, steer {steer:g}"
        gain = _yaw_gain(vehicle, 6.0, steer)
        rows.append(Row(_short(vehicle), data["identified"]["source"], what, "1/m", recorded, gain))
    return rows + _steer_step_rows(data["steer_step"])


def _yaw_gain(vehicle: str, speed: float, steer: float) -> float:
    bench = Bench(vehicle)
    bench.reach(speed, steer=steer)
    return bench.yaw_rate / (bench.speed * steer)


def _steer_step_rows(record: dict[str, Any]) -> list[Row]:
    rates = np.radians(record["yaw_rate_dps"])
    paired = 0.5 * (rates[1:] + rates[:-1])
    speed = float(np.mean(record["speed_kmh"])) / 3.6
    bench = Bench(record["vehicle"])
    bench.reach(speed)
    ours = []
    for _ in rates:
        bench.tick(
            *(float(p[0]) for p in inverse_accel(
                bench.params, np.array([bench.speed]), np.array([speed - bench.speed]))),
            steer=record["steer"],
        )  # fmt: skip
        ours.append(bench.yaw_rate)
    our_pairs = 0.5 * (np.array(ours[1:]) + np.array(ours[:-1]))
    name, source = _short(record["vehicle"]), record["source"]
    label = f"steer step {record['steer']:g} at {speed:.1f} m/s"
    end = float(np.mean(paired[-20:]))
    our_end = float(np.mean(our_pairs[-20:]))
    rows = [Row(name, source, f"{label}: settled yaw rate", "rad/s", end, our_end)]
    times = np.array(record["time"][1:])
    for share in (0.632, 0.9):
        # Both curves rise; the recording's first pair is already above half.
        recorded = float(np.interp(share, np.r_[0.0, paired / end], np.r_[-DT, times]))
        mine = float(np.interp(share, np.r_[0.0, our_pairs / our_end], np.r_[-DT, times]))
        what = f"{label}: {share:.0%} of it after"
        rows.append(Row(name, source, what, "s", recorded + DT, mine + DT, "delay"))
    return rows


def identified_rows(data: dict[str, Any]) -> list[Row]:
    """The suites' ego against its published identification, and the Patrol's throttle step."""
    fit, rows = data["identified"], []
    name = _short(fit["vehicle"])
    for throttle in (0.5, 0.75, 1.0):
        v, published = 1.0 * 3.6, []  # from walking pace: the identification has no launch delay
        while len(published) < 200:
            published.append(v / 3.6)
            v = _published_throttle(fit["throttle_kmh"], v, throttle)
        times, speeds = _run_throttle(fit["vehicle"], throttle, 12.0)
        start = float(np.interp(1.0, speeds, times))
        for after in (2.0, 4.0, 8.0):
            what = f"throttle {throttle:g}: speed {after:g} s after 1 m/s"
            ours = float(np.interp(start + after, times, speeds))
            recorded = published[round(after / fit["dt"])]
            rows.append(Row(name, fit["source"], what, "m/s", recorded, ours))
    for speed in (10.0, 14.0, 18.0):
        bench = Bench(fit["vehicle"])
        bench.reach(speed + 2.0)
        while bench.tick(brake=1.0) > speed + 0.5:
            pass
        v = bench.speed
        ours = (bench.tick(brake=1.0) - v) / DT
        kmh = v * 3.6
        after = sum(c * kmh ** (i + 1) for i, c in enumerate(fit["brake_kmh"]))
        what = f"full brake, acceleration at {speed:g} m/s"
        rows.append(Row(name, fit["source"], what, "m/s2", (after - kmh) / 3.6 / DT, ours))
    return rows + _patrol_rows(data["patrol_step"])


def _published_throttle(c: list[float], v: float, u: float) -> float:
    return (
        c[0] * v + c[1] * v * v + c[2] * u + c[3] * u * u
        + c[4] * v * u + c[5] * v * u * u + c[6] * v * v * u + c[7] * v * v * u * u
    )  # fmt: skip


def _patrol_rows(record: dict[str, Any]) -> list[Row]:
    times, speeds = np.array(record["time"]), np.array(record["speed_kmh"]) / 3.6
    our_times, our_speeds = _run_throttle(record["vehicle"], record["throttle"], 15.0)
    rows = []
    name, source = _short(record["vehicle"]), record["source"]
    for low, high in ((2.3, 4.4), (2.3, 9.8), (7.4, 10.2)):
        late = times > 3.5
        took = np.interp([low, high], np.maximum.accumulate(speeds[late]), times[late])
        mine = np.interp([low, high], our_speeds, our_times)
        what = f"throttle {record['throttle']:g}: mean acceleration from {low:g} to {high:g} m/s"
        rows.append(
            Row(name, source, what, "m/s2", float((high - low) / (took[1] - took[0])),
                float((high - low) / (mine[1] - mine[0])))
        )  # fmt: skip
    return rows


EXPERIMENTS: tuple[Callable[[dict[str, Any]], list[Row]], ...] = (
    launch_rows,
    throttle_rows,
    brake_rows,
    steer_rows,
    identified_rows,
)


def all_rows() -> list[Row]:
    """Run every experiment."""
    data = recordings()
    return [row for experiment in EXPERIMENTS for row in experiment(data)]
