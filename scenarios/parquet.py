"""A bench's rows as a table for other tools: `rows.parquet`, one row a drive."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from scenarios.tick import Infraction

TABLE = "rows.parquet"
PLAIN = {"str": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
# Types of what may be empty in all rows, so that it does not show them; the others do.
TYPES = {
    "scenarios": pa.list_(pa.string()), "slowness": pa.list_(pa.float64()),
    "efficiency": pa.float64(),
    "infractions": pa.list_(pa.struct({f.name: PLAIN[str(f.type)] for f in fields(Infraction)})),
}  # fmt: skip


def write_parquet(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write `rows.parquet`; what a row lacks is null.

    `outcome` is spread over columns, `infractions` is a list of structs.

    Args:
        folder: for the file.
        rows: of drives, in the order that the table is to have.
    """
    flat = [{**row, **row.get("outcome", {})} for row in rows]
    names = dict.fromkeys(name for row in flat for name in row if name != "outcome")
    columns = {name: pa.array([r.get(name) for r in flat], TYPES.get(name)) for name in names}
    path = folder / TABLE
    fresh = path.with_suffix(".parquet.new")
    parquet.write_table(pa.table(columns), fresh)
    os.replace(fresh, path)
    return path
