"""The table of parts: every choice composes and becomes the part that its name promises."""

from dataclasses import is_dataclass

import pytest

from headway.cli import build_driver, compose_drive
from headway.parts import PARTS, part_of


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.group}={part.name}")
def test_every_choice_composes_and_is_found_by_its_settings(part):
    config, _ = compose_drive([f"{part.group}={part.name}"])
    settings = getattr(config, part.group)
    assert is_dataclass(settings)
    assert part_of(part.group, settings) is part


@pytest.mark.parametrize(
    "part", [p for p in PARTS if p.made and not p.on_server], ids=lambda p: f"{p.group}={p.name}"
)
def test_every_part_of_the_driver_is_the_class_that_the_table_names(part):
    config, _ = compose_drive([f"{part.group}={part.name}"])
    made = getattr(build_driver(config), part.group)
    assert f"{type(made).__module__}:{type(made).__qualname__}" == part.made


def test_settings_that_nobody_knows_are_an_error():
    with pytest.raises(ValueError, match="planner: no part has a configuration of type int"):
        part_of("planner", 3)
