"""The table of planners, from rows written by hand."""

from __future__ import annotations

from scenarios.bench_rivals import entries, markdown, relative_time, share


def row(seed, seconds, **changes):
    whole = {
        "town": "grid", "seed": seed, "route_completion": 1.0, "collisions": 0,
        "collisions_at_fault": 0, "red_lights": 0, "stop_signs": 0, "sim_s": seconds,
        "comfort": 0.75, "act_median_ms": 2.0, "act_p99_ms": 4.0,
    }  # fmt: skip
    return whole | changes


def test_share_has_an_interval_where_all_or_none_passed():
    # Wilson: n / (n + z^2) and z^2 / (n + z^2) at the ends.
    assert share(25, 25) == "100 [87, 100]"
    assert share(0, 25) == "0 [0, 13]"
    assert share(5, 10) == "50 [24, 76]"


def test_times_are_compared_on_routes_that_both_finished():
    base = [row(1, 100.0), row(2, 200.0), row(3, 50.0, route_completion=0.4)]
    rows = [row(1, 90.0), row(2, 180.0), row(3, 500.0), row(4, 900.0)]
    assert relative_time(rows, base) == "90 [90, 90]"
    assert relative_time(rows[2:], base) == "-"


def test_only_routes_that_all_planners_drove_count_and_faults_are_no_success():
    rows = {name: [row(1, 100.0), row(2, 100.0)] for name in entries()}
    rows["mpc"] = [row(1, 80.0), row(2, 80.0, red_lights=1), row(3, 10.0)]
    rows["frenet"] = [row(1, 80.0), {"town": "grid", "seed": 2, "error": "died"}]
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in markdown(rows).splitlines()[2:]
    }
    assert set(cells) == {f"`{name}`" for name in entries() if " " not in name} | {"mpc, guarded"}
    assert cells["`mpc`"][:6] == ["2", share(1, 2), "100", "0 (0)", "1", "0"]
    assert cells["`mpc`"][6].startswith("80 ")
    assert cells["`frenet`"][:3] == ["2", share(1, 2), "100"]
    assert cells["`idm`"][-2:] == ["75.0", "2.0, 4.0"]
