"""Where headway keeps what can be made anew."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `$HEADWAY_CACHE`, else `~/.cache/headway`; it need not exist yet."""
    return Path(os.environ.get("HEADWAY_CACHE") or Path.home() / ".cache" / "headway")
