"""Reads a scenario's parameters, with upstream's defaults given where they are used."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.suites.spec import Parameter, Place, ScenarioSpec, SuiteError
from scenarios.suites.xml import finite


class Parameters:
    """Typed access to the parameters of one scenario.

    Args:
        spec: of the scenario.
    """

    def __init__(self, spec: ScenarioSpec) -> None:
        self._spec = spec

    def number(self, name: str, default: float | None = None) -> float:
        """Return `<name value="..."/>`, in the unit of the file.

        Raises:
            SuiteError: it is no finite number, or not there and has no default.
        """
        found = self._find(name, default is None)
        return float(default or 0.0) if found is None else self._number(found, "value")

    def word(self, name: str, default: str | None = None) -> str:
        """Return `<name value="..."/>`.

        Raises:
            SuiteError: it is not there and has no default.
        """
        found = self._find(name, default is None)
        return str(default) if found is None else found.words.get("value", "")

    def choice(self, name: str, among: Sequence[str], default: str | None = None) -> str:
        """Return `<name value="..."/>`, one of `among`.

        Raises:
            SuiteError: it is another word, or not there and has no default.
        """
        found = self._find(name, default is None)
        if found is None:
            return str(default)
        got = found.words.get("value", "")
        if got not in among:
            expected = ", ".join(among)
            raise SuiteError(found.source, f"expected one of {expected} in 'value', got {got!r}")
        return got

    def side(self, name: str = "direction") -> int:
        """Return the side of ego that `<name value="..."/>` names: 1 left, -1 right (default).

        Raises:
            SuiteError: it is neither.
        """
        return 1 if self.choice(name, ("left", "right"), "right") == "left" else -1

    def interval(
        self, name: str, default: tuple[float, float] | None = None
    ) -> tuple[float, float]:
        """Return `<name from="..." to="..."/>`, in the unit of the file.

        A `<name value="..."/>` is both ends.

        Raises:
            SuiteError: an end is no finite number, the first is the larger, or it is not there and
                has no default.
        """
        found = self._find(name, default is None)
        if found is None:
            return default or (0.0, 0.0)
        if "value" in found.words:
            return (value := self._number(found, "value"), value)
        low, high = self._number(found, "from"), self._number(found, "to")
        if low > high:
            raise SuiteError(found.source, f"expected 'from' <= 'to', got {low:g} and {high:g}")
        return low, high

    def place(self, name: str) -> Place:
        """Return `<name x="..." y="..." z="..."/>` in the map frame.

        Raises:
            SuiteError: it is not there, or a coordinate is missing or no number.
        """
        found = self._find(name, True)
        assert found is not None
        x, y, z = (self._number(found, axis) for axis in "xyz")
        return Place.from_carla(x, y, z)

    def _find(self, name: str, needed: bool) -> Parameter | None:
        found = self._spec.parameters.get(name)
        if found is None and needed:
            raise SuiteError(
                self._spec.source, f"{self._spec.type} needs a <{name}>, and there is none"
            )
        return found

    @staticmethod
    def _number(found: Parameter, attribute: str) -> float:
        return finite(found.words.get(attribute, ""), attribute, found.source)
