"""`python -m carla_bridge.headless --port 2000 --town grid`."""

from __future__ import annotations

import argparse
import sys

from carla_bridge.headless.server import PortTaken, serve


def main() -> int:
    """Parse the command line and serve until interrupted; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m carla_bridge.headless", description="A CARLA 0.9.16 server without a GPU."
    )
    parser.add_argument("--port", type=int, default=2000, help="0 for any free pair")
    parser.add_argument("--town", default="grid")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--max-realtime-factor", type=float, default=None,
        help="cap on simulated seconds per wall second",
    )  # fmt: skip
    options = parser.parse_args()
    try:
        serve(
            options.port, options.town, options.host,
            max_realtime_factor=options.max_realtime_factor, seed=options.seed,
        )  # fmt: skip
    except (PortTaken, ValueError) as error:
        print(f"headway server: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
