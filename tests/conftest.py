"""What all tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """CARLA's own maps, which the product never contains; tests that need them skip without."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not (path / "towns").is_dir():
        pytest.skip("needs CARLA's maps in ../shared/towns")
    return path
