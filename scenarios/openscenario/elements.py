"""The states of a storyboard's elements, and what has happened to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Happening:
    """Something happened to an element.

    Attributes:
        time: [s] since the storyboard began.
        kind: e.g. `event`.
        name: of the element.
        what: `startTransition`, `endTransition`, `stopTransition` or `skipTransition`.
    """

    time: float
    kind: str
    name: str
    what: str


class Elements:
    """By kind and name; what happened stays in `log`, in order."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], str] = {}
        self.log: list[Happening] = []

    def state(self, kind: str, name: str) -> str:
        """`standbyState`, `runningState`, `completeState`, or empty before its time."""
        return self._states.get((kind, name), "")

    def enter(self, kind: str, name: str, state: str) -> None:
        """An element comes to a state."""
        self._states[kind, name] = state

    def happens(self, time: float, kind: str, name: str, what: str) -> None:
        """Note a transition."""
        self.log.append(Happening(time, kind, name, what))
