"""A small bench, driven in this process: two planners on a short route, and one that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from headway.cli import play_job
from headway.road.lane_graph import LaneGraph, LaneKind
from scenarios.bench import describe, keep
from scenarios.bench_jobs import Job, jobs_of, make_bench

PLANNERS = ("mpc", "idm")
INFRACTION = {  # of idm's, beside what was driven: who drives well leaves nothing to click on
    "kind": "red_light", "t": 3.2, "frame": 64, "x": 0.0, "y": 0.0, "z": 0.0, "s": 9.0,
    "at_fault": True, "reason": "passed on red <b>by hand</b>", "partner": 0,
    "partner_type": "", "impulse": 0.0,
}  # fmt: skip
ERROR = "its process died </script><script>throw 1</script>"

ROUTES = """<routes>
<route id="7" town="grid"><waypoints>{at}</waypoints><scenarios>
<scenario name="DynamicObjectCrossing_1" type="DynamicObjectCrossing">
<trigger_point x="{x}" y="{y}" z="0" yaw="{yaw}"/><distance value="40"/></scenario>
</scenarios></route>
<route id="8" town="Atlantis"><waypoints>{at}</waypoints><scenarios/></route>
</routes>"""


def drive_bench(grid: LaneGraph, folder: Path) -> Path:
    """Drive, keep and describe a bench below `folder`; return its folder."""
    fits = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0) & grid.left_change
    points = grid.points(int(np.argmax(np.where(fits, grid.length, 0.0))))
    xyz, yaw = grid.xyz[points], float(grid.yaw[points][10])
    at = "".join(f'<position x="{x}" y="{-y}" z="{z}"/>' for x, y, z in (xyz[2], xyz[90]))
    suite = folder / "small.xml"
    suite.write_text(
        ROUTES.format(at=at, x=xyz[10, 0], y=-xyz[10, 1], yaw=-np.degrees(yaw))
    )  # fmt: skip
    words = [f"suite={suite}", f"planners=[{','.join(PLANNERS)}]", f"folder={folder / 'bench'}",
             "keep_traces=true", "traffic=none"]  # fmt: skip
    config, rest = make_bench(words)
    known, jobs = jobs_of(config)
    describe(config, known)
    for job in jobs:
        row = play_job(config, rest, job)
        if job.planner == "idm":
            row["infractions"].append(INFRACTION)
        keep(config.path, job, row)
    keep(config.path, Job("grid", "9", 1, "idm"), {"error": ERROR})
    return config.path


def rows_of(folder: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return {row["key"]: row for row in rows}
