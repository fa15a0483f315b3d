"""Makes files of ScenarioRunner's own kind."""

from __future__ import annotations

import math
from pathlib import Path

from scenarios.spots import Spot
from scenarios.suites.spec import Place


def pose(at: Place) -> str:
    """A place's attributes in CARLA's axes."""
    return f'x="{at.x:.3f}" y="{-at.y:.3f}" z="{at.z:.3f}" yaw="{-math.degrees(at.yaw or 0.0):.3f}"'


def ego(spot: Spot, left: float = 0.3) -> str:
    """Ego a little beside the centre of its lane, as in upstream's files."""
    return f'<ego_vehicle {pose(spot.beside(left))} model="vehicle.lincoln.mkz_2017"/>'


def other(spot: Spot, model: str) -> str:
    return f'<other_actor {pose(spot.beside(0.0))} model="{model}"/>'


def scenario(name: str, kind: str, ego: str, given: str = "", town: str = "grid") -> str:
    """A scenario, on a line of its own."""
    return f'<scenario name="{name}" type="{kind}" town="{town}">{ego}{given}</scenario>\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "own.xml"
    path.write_text(f"<scenarios>\n{text}</scenarios>\n")
    return path
