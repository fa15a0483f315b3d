"""XML whose errors say where: lxml's elements know their line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from scenarios.suites.spec import Place, RouteSpec, Source, SuiteError

Element = Any  # lxml has no types of its own


def read_root(path: Path) -> Element:
    """Parse a file.

    Raises:
        SuiteError: it cannot be read, or is no XML.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        return etree.fromstring(path.read_bytes(), parser)
    except OSError as error:
        raise SuiteError(Source(str(path), 0, ""), error.strerror or str(error)) from error
    except etree.XMLSyntaxError as error:
        raise SuiteError(
            Source(str(path), error.lineno or 0, ""), f"no XML: {error.msg}"
        ) from error


def collect(
    root: Element, path: Path, tag: str, key: str, read: Callable[[Element], RouteSpec]
) -> tuple[tuple[RouteSpec, ...], tuple[SuiteError, ...]]:
    """Read all elements of a tag; a broken one is left out, with its error, and the others go on.

    Args:
        root: of the file.
        path: of the file.
        tag: of the elements.
        key: the attribute that is their id.
        read: makes a route of one.
    """
    found: dict[str, RouteSpec] = {}
    errors: list[SuiteError] = []
    for element in root.iter(tag):
        try:
            spec = read(element)
            if spec.id in found:
                first = found[spec.id].source.line
                raise SuiteError(spec.source, f"{key} {spec.id!r} is that of line {first} already")
            found[spec.id] = spec
        except SuiteError as error:
            errors.append(error)
    if not found and not errors:
        errors.append(SuiteError(source_of(root, path), f"expected a <{tag}> in it, got none"))
    return tuple(found.values()), tuple(errors)


def source_of(element: Element, path: Path) -> Source:
    """Return where an element stands."""
    return Source(str(path), element.sourceline or 0, element.tag)


def word(element: Element, name: str, path: Path) -> str:
    """Return an attribute.

    Raises:
        SuiteError: it is not there, or empty.
    """
    value = (element.get(name) or "").strip()
    if not value:
        raise SuiteError(source_of(element, path), f"expected an attribute {name!r}, got none")
    return value


def number(element: Element, name: str, path: Path, default: float | None = None) -> float:
    """Return an attribute that is a finite number, `default` where it is not there.

    Raises:
        SuiteError: it is none, or not there and has no default.
    """
    if default is not None and name not in element.attrib:
        return default
    return finite(word(element, name, path), name, source_of(element, path))


def finite(text: str, name: str, source: Source) -> float:
    """Return the finite number that attribute `name` spells.

    Raises:
        SuiteError: it spells none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SuiteError(source, f"expected a number in {name!r}, got {text!r}")
    return value


def place(element: Element, path: Path) -> Place:
    """Return a point in the map frame from CARLA's x, y, z [m] and, where given, yaw [deg].

    Raises:
        SuiteError: a coordinate is missing or no number.
    """
    x, y, z = (number(element, name, path) for name in "xyz")
    yaw_deg = number(element, "yaw", path) if "yaw" in element.attrib else None
    return Place.from_carla(x, y, z, yaw_deg)
