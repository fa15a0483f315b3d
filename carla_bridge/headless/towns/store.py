"""Where towns come from: our own, imported ones, and a CARLA installation.

Imported towns lie in `$HEADWAY_TOWNS` (else `~/.local/share/headway/towns`) as NAME.xodr. An
installation is found through `$CARLA_ROOT`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from carla_bridge.headless.towns.grid import grid
from carla_bridge.headless.towns.harbour import harbour
from carla_bridge.headless.towns.interchange import interchange
from carla_bridge.headless.towns.old_town import old_town
from carla_bridge.headless.towns.ring import ring
from carla_bridge.headless.towns.town import BrokenTown, TownNotFound
from carla_bridge.headless.towns.validate import check_xodr, try_in_child
from carla_bridge.headless.towns.village import village

OWN_TOWNS: dict[str, Callable[[], str]] = {
    "grid": grid,
    "ring": ring,
    "old_town": old_town,
    "interchange": interchange,
    "harbour": harbour,
    "village": village,
}
_MAPS = ("CarlaUE4/Content/Carla/Maps", "Unreal/CarlaUE4/Content/Carla/Maps", "Content/Carla/Maps")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*")


def towns_folder() -> Path:
    """The folder of imported towns; it need not exist."""
    given = os.environ.get("HEADWAY_TOWNS")
    return Path(given) if given else Path.home() / ".local/share/headway/towns"


def installation_files(root: Path) -> list[Path]:
    """The OpenDRIVE files of a CARLA installation at `root`; empty if it is none."""
    files = []
    for maps in _MAPS:
        files += sorted((root / maps).glob("OpenDrive/*.xodr"))
        files += sorted((root / maps).glob("*/OpenDrive/*.xodr"))
    return files


def available_towns() -> list[str]:
    """Names of all towns that `load_town` can load, our own first."""
    return [*OWN_TOWNS, *sorted(set(_files()) - set(OWN_TOWNS))]


def _files() -> dict[str, Path]:
    """Town files by name; what was imported wins over what `$CARLA_ROOT` has."""
    carla_root = os.environ.get("CARLA_ROOT")
    files = installation_files(Path(carla_root)) if carla_root else []
    files += sorted(towns_folder().glob("*.xodr"))
    return {path.stem: path for path in files}


def plain_name(name: str) -> str:
    """A town's name without the folders that CARLA puts before it (/Game/Carla/Maps/Town01)."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].removesuffix(".xodr")


def read_town(name: str) -> tuple[str, str]:
    """Name and OpenDRIVE of a town.

    CARLA's layered maps (Town01_Opt) have the roads of the plain ones.

    Raises:
        TownNotFound: there is none of that name.
        BrokenTown: its file is not text.
    """
    plain = plain_name(name)
    if plain in OWN_TOWNS:
        return plain, OWN_TOWNS[plain]()
    files = _files()
    path = files.get(plain) or files.get(plain.removesuffix("_Opt"))
    if path is None:
        raise TownNotFound(
            f"no town named {plain!r}; there are {', '.join(available_towns())}. "
            "CARLA's own towns come with CARLA: set CARLA_ROOT to an installation, or run "
            "`headway towns import PATH` with a .xodr file, a folder of them, or an installation"
        )
    return plain, read_xodr(path)


def read_xodr(path: Path) -> str:
    """The text of an OpenDRIVE file.

    Raises:
        BrokenTown: it cannot be read as UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenTown(f"{path}: cannot be read: {error}") from error


def import_towns(path: str | Path) -> list[str]:
    """Copy towns to where `load_town` finds them.

    All are checked first; if one is broken none is copied.

    Args:
        path: a .xodr file, a folder with such files, or a CARLA installation.

    Returns:
        Their names, sorted.

    Raises:
        TownNotFound: nothing is there to import.
        BrokenTown: a file is broken, or its name is taken or unusable.
    """
    path = Path(path).expanduser()
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = installation_files(path) or sorted(path.glob("*.xodr"))
    else:
        raise TownNotFound(f"{path}: no such file or folder")
    if not files:
        raise TownNotFound(
            f"{path}: neither .xodr files nor a CARLA installation (it would have {_MAPS[0]})"
        )
    for file in files:
        if not _NAME.fullmatch(file.stem) or file.stem in OWN_TOWNS:
            raise BrokenTown(f"{file}: {file.stem!r} cannot be the name of an imported town")
        xodr = read_xodr(file)
        check_xodr(file.stem, xodr)
        try_in_child(file.stem, xodr)
    folder = towns_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        part = folder / f".{file.stem}.part"
        shutil.copyfile(file, part)
        part.replace(folder / f"{file.stem}.xodr")
    return sorted(file.stem for file in files)
