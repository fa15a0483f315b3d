"""Elements of an OpenSCENARIO file: `$name` in attributes, catalogs, signs of the map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scenarios.suites.spec import Source, SuiteError
from scenarios.suites.xml import Element, finite, read_root, source_of

CARLA_AXES = "CARLA:"  # at the head of a description: y and yaw are CARLA's


@dataclass(frozen=True)
class Context:
    """What an element is read with.

    Attributes:
        path: of its file.
        parameters: words by name.
        left: 1 in the standard's right-handed axes, -1 in CARLA's.
        catalogs: entries by catalog and entry name.
    """

    path: Path
    parameters: Mapping[str, str]
    left: float
    catalogs: Mapping[tuple[str, str], Node]


@dataclass(frozen=True)
class Node:
    """One element; whatever is wrong with it raises a `SuiteError` that names its place."""

    element: Element
    context: Context

    @property
    def tag(self) -> str:
        """Its name."""
        return str(self.element.tag)

    @property
    def source(self) -> Source:
        """Where it stands."""
        return source_of(self.element, self.context.path)

    def error(self, message: str) -> SuiteError:
        """What is wrong with it."""
        return SuiteError(self.source, message)

    def unsupported(self, what: str = "") -> SuiteError:
        """It is none of those that are ours."""
        return self.error(f"{what or self.tag} is not supported yet")

    def find(self, *tags: str) -> Node | None:
        """Return the first child of one of these names, None where there is none."""
        return next(self.children(*tags), None)

    def child(self, *tags: str) -> Node:
        """Return the first child of one of these names."""
        found = self.find(*tags)
        if found is None:
            expected = " or ".join(f"<{tag}>" for tag in tags)
            raise self.error(f"expected {expected} in it, got none")
        return found

    def only(self) -> Node:
        """Return its one child."""
        found = list(self.children())
        if len(found) != 1:
            raise self.error(f"expected one element in it, got {len(found)}")
        return found[0]

    def children(self, *tags: str) -> Iterator[Node]:
        """Its children, of these names where any are given."""
        for element in self.element:
            if not tags or element.tag in tags:
                yield Node(element, self.context)

    def entry(self, *tags: str) -> Node:
        """Return the child of one of these names, or the catalog's entry that stands for it."""
        found = self.child(*tags, "CatalogReference")
        return found.referred() if found.tag == "CatalogReference" else found

    def referred(self) -> Node:
        """Return the entry of a catalog that this <CatalogReference> names."""
        key = self.word("catalogName"), self.word("entryName")
        entry = self.context.catalogs.get(key)
        if entry is None:
            raise self.error(f"no catalog {key[0]!r} in its folders has an entry {key[1]!r}")
        given = self.find("ParameterAssignments")
        assigned = {
            node.word("parameterRef").lstrip("$"): node.word("value")
            for node in (given.children("ParameterAssignment") if given else ())
        }
        parameters = {**self.context.parameters, **entry.declared(), **assigned}
        return Node(entry.element, replace(entry.context, parameters=parameters))

    def declared(self) -> dict[str, str]:
        """Return its <ParameterDeclarations>."""
        found = self.find("ParameterDeclarations")
        return {
            node.word("name"): node.word("value", "")
            for node in (found.children("ParameterDeclaration") if found else ())
        }

    def word(self, name: str, default: str | None = None) -> str:
        """Return an attribute, the parameter's value where it names one."""
        text = (self.element.get(name) or "").strip()
        if text.startswith("${"):
            raise self.error(f"expressions such as {text!r} in {name!r} are not supported yet")
        if text.startswith("$"):
            if text[1:] not in self.context.parameters:
                raise self.error(f"{name!r} refers to {text!r}, which no declaration has")
            text = self.context.parameters[text[1:]].strip()
        if text or default is not None:
            return text or str(default)
        raise self.error(f"expected an attribute {name!r}, got none")

    def number(self, name: str, default: float | None = None) -> float:
        """Return an attribute that is a finite number."""
        text = self.word(name, None if default is None else str(default))
        return finite(text, name, self.source)

    def positive(self, name: str, default: float | None = None) -> float:
        """Return an attribute that is a number of 0 or more."""
        value = self.number(name, default)
        if value < 0.0:
            raise self.error(f"expected {name!r} 0 or more, got {value:g}")
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        """Return an attribute that is a whole number."""
        value = self.number(name, default)
        if value != math.floor(value):
            raise self.error(f"expected a whole number in {name!r}, got {value:g}")
        return int(value)

    def side(self, name: str, default: float | None = None) -> float:
        """Return an attribute that is a way or an angle to one side, left positive."""
        return self.context.left * self.number(name, default)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return an attribute that is `true` or `false`."""
        among = ("true", "false", "1", "0")
        words = None if default is None else str(default).lower()
        return self.choice(name, among, words) in ("true", "1")

    def choice(self, name: str, among: Sequence[str], default: str | None = None) -> str:
        """Return an attribute that is one of `among`."""
        got = self.word(name, default)
        if got not in among:
            raise self.error(f"expected one of {', '.join(among)} in {name!r}, got {got!r}")
        return got


def open_file(path: Path) -> Node:
    """Return the root of a file, its parameters and catalogs read."""
    root = _root(path)
    catalogs: dict[tuple[str, str], Node] = {}
    context = replace(root.context, parameters=root.declared(), catalogs=catalogs)
    root = Node(root.element, context)
    locations = root.find("CatalogLocations")
    for location in locations.children() if locations else ():
        place = location.child("Directory")
        folder = path.parent / place.word("path")
        if not folder.is_dir():
            raise place.error(f"{folder} is no folder")
        for file in sorted(folder.glob("*.xosc")):
            for catalog in _root(file, catalogs).children("Catalog"):
                for entry in catalog.children():
                    key = catalog.word("name"), entry.word("name")
                    catalogs.setdefault(key, entry)
    return root


def _root(path: Path, catalogs: Mapping[tuple[str, str], Node] | None = None) -> Node:
    element = read_root(path)
    header = element.find("FileHeader")
    description = "" if header is None else header.get("description", "")
    left = -1.0 if description.startswith(CARLA_AXES) else 1.0
    return Node(element, Context(path, {}, left, catalogs if catalogs is not None else {}))
