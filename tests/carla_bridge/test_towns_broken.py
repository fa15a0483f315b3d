"""Broken OpenDRIVE: a clear word instead of LibCarla's crash, and nothing good refused."""

import random
import re
import subprocess
import sys

import carla
import pytest

from carla_bridge.headless.towns import BrokenTown, town_from_xodr
from carla_bridge.headless.towns.grid import grid
from carla_bridge.headless.towns.ring import ring
from carla_bridge.headless.towns.validate import check_xodr, try_in_child


def change(pattern: str, replacement: str) -> str:
    """`ring` with the first match replaced."""
    text = re.sub(pattern, replacement, ring(), count=1, flags=re.DOTALL)
    assert text != ring()
    return text


SIGNAL_REFERENCE = (
    '<signalReference id="31337" s="1" t="1" orientation="+">'
    '<validity fromLane="-1" toLane="-1"/></signalReference></signals>'
)
CASES = {
    "nothing": (lambda: "  ", "is empty"),
    "no xml": (lambda: "hello", "not XML"),
    "cut off": (lambda: ring()[: len(ring()) // 2], "not XML"),
    "entities": (lambda: '<!DOCTYPE a [<!ENTITY b "c">]>' + ring()[38:], "entities"),
    "other root": (lambda: "<road/>", r"<road>, expected <OpenDRIVE>"),
    "no roads": (lambda: "<OpenDRIVE><header/></OpenDRIVE>", "no roads"),
    "controller": (
        lambda: grid().replace('control signalId="50', 'control signalId="90', 1),
        r"controller 70\d\d names signal 90\d\d, which is missing",
    ),
    "reference": (
        lambda: ring().replace("</signals>", SIGNAL_REFERENCE, 1),
        r"road 1: a signalReference names signal 31337, which is missing",
    ),
    "zero": (lambda: change(r'(<geometry [^>]*)length="[^"]*"', r'\1length="0"'), "length 0.0 m"),
    "negative": (
        lambda: change(r'(<geometry [^>]*)length="[^"]*"', r'\1length="-3"'),
        r"road 1: a geometry has the length -3.0 m",
    ),
    "nan": (
        lambda: change(r'(<geometry [^>]*)x="[^"]*"', r'\1x="nan"'),
        "x='nan'> is not a finite",
    ),
    "word": (lambda: change(r'(<arc )curvature="[^"]*"', r'\1curvature="x"'), "curvature='x'"),
    "infinite": (
        lambda: change(r'(<width [^>]*)a="[^"]*"', r'\1a="inf"'),
        r"lane \d: <width a='inf'>",
    ),
    "endless": (
        lambda: change(r'(<road [^>]*)length="[^"]*"', r'\1length="1e12"'),
        "length is 1000000000000.0 m",
    ),
    "spiral": (
        lambda: change(r"<arc [^>]*/>", '<spiral curvStart="0.01" curvEnd="0.01"/>'),
        "constant curvature 0.01 gives NaN",
    ),
    "no shape": (lambda: change(r"<line/>", ""), r"made of \[\]"),
    "no plan": (lambda: change(r"<planView>.*?</planView>", "<planView/>"), "without <geometry>"),
    "no lanes": (lambda: change(r"<lanes>.*?</lanes>", "<lanes/>"), "no <laneSection>"),
    "no centre": (lambda: change(r"<center>.*?</center>", ""), "no centre lane"),
    "late section": (lambda: change(r'<laneSection s="0"', '<laneSection s="9"'), "start at"),
    "twice": (lambda: change(r'id="2" junction="-1"', 'id="1" junction="-1"'), "road 1 is there 2"),
    "id": (lambda: change(r'id="2" junction="-1"', 'id="x" junction="-1"'), "<road id='x'>"),
    "same id": (lambda: ring().replace('"1000"', '"1"'), "id 1 is both a road's and a junction's"),
    "no road": (
        lambda: change(r'elementType="road" elementId="\d+"', 'elementType="road" elementId="777"'),
        "road 777, which is missing",
    ),
    "no junction": (lambda: change(r"<junction id=.*?</junction>", ""), "which is missing"),
    "connecting": (
        lambda: change(r'connectingRoad="\d+"', 'connectingRoad="777"'),
        "its connectingRoad 777 is missing",
    ),
    "lane link": (lambda: change(r'<predecessor id="-2"/>', '<predecessor id="-9"/>'), "lane -9"),
    "lane twice": (lambda: change(r'<lane id="2"', '<lane id="1"'), "are not unique"),
    "contact": (lambda: change(r' contactPoint="end"', ' contactPoint=""'), "not start or end"),
    "late heights": (
        lambda: change(r'<elevation s="0"', '<elevation s="8"'),
        "first <elevation> is",
    ),
    "signal": (lambda: change(r'(<signal [^>]*) s="[^"]*"', r'\1 s="-4"'), "before the road"),
}


@pytest.mark.parametrize("case", CASES)
def test_faults_are_named(case):
    make, message = CASES[case]
    xodr = make()
    with pytest.raises(BrokenTown, match=message) as caught:
        town_from_xodr("mine", xodr)
    assert str(caught.value).startswith("town 'mine': ")


@pytest.mark.parametrize("case", ["controller", "reference", "no shape", "no lanes", "no centre"])
def test_these_faults_would_kill_the_process(case):
    """Else the checks guard against nothing."""
    xodr = CASES[case][0]()
    code = "import sys, carla; m = carla.Map('m', sys.stdin.read()); m.generate_waypoints(2.0)"
    child = subprocess.run([sys.executable, "-c", code], input=xodr, text=True, check=False)
    assert child.returncode < 0


def test_what_only_libcarla_can_tell_is_tried_in_a_child(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path))
    walks = ring().replace('type="driving"', 'type="sidewalk"')
    check_xodr("walks", walks)
    with pytest.raises(
        BrokenTown, match=r"town 'walks': LibCarla cannot use it: .*no driving lanes"
    ):
        try_in_child("walks", walks)
    assert not list(tmp_path.rglob("*.passed"))
    try_in_child("ring", ring())
    assert len(list(tmp_path.rglob("*.passed"))) == 1
    monkeypatch.setattr("subprocess.run", None)  # what passed once is not run again
    try_in_child("ring", ring())


@pytest.mark.parametrize("name", ["Town01", "Town02", "Town03", "Town04", "Town05", "Town10HD"])
def test_the_real_carlas_towns_pass(name, shared):
    check_xodr(name, (shared / f"towns/{name}.xodr").read_text())


def test_random_damage_never_passes_into_a_crash(tmp_path, monkeypatch):
    """Whatever passes check and trial can be used in this process; the rest is a BrokenTown."""
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path))
    source = random.Random(4)
    outcomes = {"used": 0, "refused": 0}
    attributes = [(m.start(1), m.end(1)) for m in re.finditer(r'="([^"]*)"', ring())]
    for _ in range(16):
        text = ring()
        for start, end in sorted(source.sample(attributes, 2), reverse=True):
            value = source.choice(["", "0", "-1", "nan", "1e9", "999", "x", "-3"])
            text = text[:start] + value + text[end:]
        try:
            check_xodr("damaged", text)
            try_in_child("damaged", text)
        except BrokenTown:
            outcomes["refused"] += 1
            continue
        outcomes["used"] += 1
        assert carla.Map("damaged", text).generate_waypoints(10.0)
    assert min(outcomes.values()) >= 2, outcomes
