"""Columns of numbers as gzipped JSON: quantised, then written as differences.

What moves little costs little: a track takes one to two bytes a number. A page in a browser reads
it without a library (`reportpage/decode.js`).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from headway.types import Array

FORMAT = 1  # raise it when documents change

Document = dict[str, Any]


def pack(values: Array, step: float) -> Document:
    """Write numbers as differences of whole steps; what is not finite becomes null.

    Args:
        values: (n,).
        step: what values are rounded to.
    """
    finite = np.isfinite(values)
    whole = np.rint(np.where(finite, values, 0.0) / step).astype(np.int64)
    steps: list[int | None] = [None] * len(values)
    before = 0
    for i in np.flatnonzero(finite):
        steps[i] = int(whole[i]) - before
        before = int(whole[i])
    return {"step": step, "d": steps}


def unpack(packed: Document) -> Array:
    """(n,) Undo `pack`."""
    values, whole = np.full(len(packed["d"]), np.nan), 0
    for i, difference in enumerate(packed["d"]):
        if difference is not None:
            whole += difference
            values[i] = whole * packed["step"]
    return values


def write(document: Document, path: Path) -> Path:
    """Write a document; the same one gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    words = json.dumps(document, separators=(",", ":"), allow_nan=False)
    path.write_bytes(gzip.compress(words.encode(), mtime=0))
    return path


def read(path: Path) -> Document:
    """Read what `write` wrote.

    Raises:
        ValueError: the file is of another version of headway.
    """
    document = json.loads(gzip.decompress(path.read_bytes()))
    if document.get("format") != FORMAT:
        raise ValueError(f"{path}: format {document.get('format')}, expected {FORMAT}")
    return document
