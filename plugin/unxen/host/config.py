# SPDX-License-Identifier: Apache-2.0
"""A wrong word in the configuration must stop unxen with file, line and a suggestion, never be passed over.

Reads the TOML file named by UNXEN_CONFIG or /etc/unxen/unxen.toml (its absence is fine) and the administrator's knowledge rows;
touches nothing else. Raises Refused(CONFIG_INVALID) or Refused(NO_PERMISSION).
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.model.ids import Bus
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery, Settings

DEFAULT_CONFIG = Path("/etc/unxen/unxen.toml")
ROOT_STATE = Path("/var/lib/unxen")
BUS_ALIASES = {"scsi": Bus.VIRTIO_SCSI, "virtio": Bus.VIRTIO_BLK}
CHOOSABLE = tuple(bus for bus in Bus if bus not in (Bus.XEN, Bus.UNKNOWN))
_BIGGEST_FILE = 1 << 20


class _Wrong(Exception):
    """A value that is not what its key asks for."""

    def __init__(self, expected: str, found: object, suggestion: str = "") -> None:
        super().__init__(expected)
        self.expected, self.found, self.suggestion = expected, str(found), suggestion


def load_settings(environment: Mapping[str, str] | None = None, uid: int | None = None) -> Settings:
    """The configuration of this run; defaults where nothing is said."""
    env = os.environ if environment is None else environment
    path = Path(env.get("UNXEN_CONFIG") or DEFAULT_CONFIG)
    text = _read(path)
    chosen = _parse(path, text) if text is not None else {}
    state = state_dir(env, os.geteuid() if uid is None else uid)
    return Settings(**{"state_dir": state, **chosen})


def state_dir(environment: Mapping[str, str], uid: int) -> Path:
    """Where journal, overlays and undo data live."""
    if environment.get("UNXEN_STATE_DIR"):
        return Path(environment["UNXEN_STATE_DIR"]).absolute()
    if uid == 0:
        return ROOT_STATE
    base = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".local" / "state"
    return Path(base) / "unxen"


def knowledge_rows(settings: Settings) -> tuple[tuple[str, str], ...]:
    """(file name, text) of every table that administrators added, in the order of their names."""
    try:
        paths = sorted(settings.knowledge_dir.glob("*.toml"))
        return tuple((str(path), _text(path)) for path in paths)
    except OSError as error:
        raise refused(ReasonKind.NO_PERMISSION, str(settings.knowledge_dir), cause=error.strerror) from error


def bus_named(name: str) -> Bus:
    """The bus of that name or alias; ValueError for others."""
    alias = BUS_ALIASES.get(name.lower())
    bus = alias or Bus(name.lower())
    if bus not in CHOOSABLE:
        raise ValueError(name)
    return bus


def _read(path: Path) -> str | None:
    try:
        return _text(path)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise refused(ReasonKind.NO_PERMISSION, str(path), cause=error.strerror) from error
    except OSError as error:
        raise refused(ReasonKind.CONFIG_INVALID, str(path), cause=error.strerror) from error


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_BIGGEST_FILE + 1)
    if len(data) > _BIGGEST_FILE:
        raise refused(ReasonKind.CONFIG_INVALID, str(path), problem="larger than 1 MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise refused(ReasonKind.CONFIG_INVALID, str(path), problem="not UTF-8 text") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        rows = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise refused(ReasonKind.CONFIG_INVALID, str(path), line=line[1] if line else "", problem=str(error)) from error
    return {key: _checked(path, text, key, value) for key, value in rows.items()}


def _checked(path: Path, text: str, key: str, value: Any) -> Any:
    """The value in its own type; refused with key and line when it has another."""
    reader = _KEYS.get(key)
    if reader is None:
        near = difflib.get_close_matches(key, _KEYS, 1)
        raise _invalid(path, text, key, problem="unknown key", suggestion=near[0] if near else "", expected=", ".join(_KEYS))
    try:
        return reader(value)
    except _Wrong as wrong:
        raise _invalid(path, text, key, expected=wrong.expected, found=wrong.found, suggestion=wrong.suggestion) from wrong


def _invalid(path: Path, text: str, key: str, **details: str) -> Refused:
    return refused(ReasonKind.CONFIG_INVALID, str(path), line=_line_of(text, key), key=key, **details)


def _line_of(text: str, key: str) -> str:
    """The line on which a key stands; tomllib does not say."""
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=\].]")
    return next((str(number) for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), "")


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false", repr(value))
    return value


def _number(low: float, high: float, whole: bool) -> Callable[[Any], Any]:
    kind = "whole number" if whole else "number"

    def read(value: Any) -> Any:
        right = type(value) is int or (type(value) is float and not whole)
        if not right or not low <= value <= high:
            raise _Wrong(f"a {kind} from {low:g} to {high:g}", repr(value))
        return value if whole else float(value)

    return read


def _directory(value: Any) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise _Wrong("an absolute path", repr(value))
    return Path(value)


def _list_of(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise _Wrong("a list", repr(value))
        return tuple(read(each) for each in value)

    return run


def _one_of(names: tuple[str, ...], convert: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in names:
            near = difflib.get_close_matches(str(value), names, 1)
            raise _Wrong(f"one of {', '.join(names)}", repr(value), near[0] if near else "")
        return convert(value)

    return read


BUS_NAMES = (*(bus.value for bus in CHOOSABLE), *BUS_ALIASES)

_KEYS: dict[str, Callable[[Any], Any]] = {
    "knowledge_dir": _directory,
    "backing_dirs": _list_of(_directory),
    "preference": _list_of(_one_of(BUS_NAMES, bus_named)),
    "delivery": _one_of(tuple(each.value for each in Delivery), Delivery),
    "wait_seconds": _number(0, 86400, whole=False),
    "repair_guests_that_ran_on_kvm": _boolean,
    "undo_days": _number(0, 36500, whole=True),
}
