# SPDX-License-Identifier: Apache-2.0
"""A wrong word in the configuration must stop unxen with file, line and a suggestion, never be passed over.

Reads the TOML file named by UNXEN_CONFIG or /etc/unxen/unxen.toml (its absence is fine) and the administrator's knowledge rows;
touches nothing else. Raises Refused(CONFIG_INVALID) or Refused(NO_PERMISSION).
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.host.config_keys import KEYS, Wrong
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass, fields
from unxen.model.settings import STATE_SETTING, Settings

DEFAULT_CONFIG = Path("/etc/unxen/unxen.toml")
ROOT_STATE = Path("/var/lib/unxen")
_BIGGEST_FILE = 1 << 20


def load_settings(environment: Mapping[str, str] | None = None, uid: int | None = None) -> Settings:
    """The configuration of this run; defaults where nothing is said."""
    env = os.environ if environment is None else environment
    path = config_path(env)
    text = _read(path)
    chosen = _parse(path, text) if text is not None else {}
    state = state_dir(env, os.geteuid() if uid is None else uid)
    return Settings(**{"state_dir": state, **chosen})


@dataclass(frozen=True)
class Origin:
    """Where the value of one setting comes from: a line of a file, the environment, or nowhere (`place` is empty then)."""

    name: str
    value: Any
    place: str
    line: str = ""


def origins(environment: Mapping[str, str] | None = None, uid: int | None = None) -> tuple[Origin, ...]:
    """Every setting with its source, in the order of the table of keys, the state directory first."""
    env = os.environ if environment is None else environment
    settings = load_settings(env, uid)
    path = config_path(env)
    text = _read(path) or ""
    import tomllib

    written = tomllib.loads(text)
    order = {name: number for number, name in enumerate(("state_dir", *KEYS))}
    rows = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return tuple(
        _origin(name, rows[name], path, text if name in written else "", env) for name in sorted(rows, key=order.__getitem__)
    )


def _origin(name: str, value: Any, path: Path, text: str, env: Mapping[str, str]) -> Origin:
    if text:
        return Origin(name, value, str(path), _line_of(text, name))
    chosen = name == "state_dir" and env.get(STATE_SETTING)
    return Origin(name, value, STATE_SETTING if chosen else "")


def config_path(environment: Mapping[str, str]) -> Path:
    """The file that is read, whether it is there or not."""
    return Path(environment.get("UNXEN_CONFIG") or DEFAULT_CONFIG)


def state_dir(environment: Mapping[str, str], uid: int) -> Path:
    """Where journal, overlays and undo data live."""
    if environment.get(STATE_SETTING):
        return Path(environment[STATE_SETTING]).absolute()
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
    import tomllib  # lazily: many hosts have no such file

    try:
        rows = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise refused(ReasonKind.CONFIG_INVALID, str(path), line=line[1] if line else "", problem=str(error)) from error
    return {key: _checked(path, text, key, value) for key, value in rows.items()}


def _checked(path: Path, text: str, key: str, value: Any) -> Any:
    """The value in its own type; refused with key and line when it has another."""
    known = KEYS.get(key)
    if known is None:
        import difflib  # lazily: mistakes are few

        near = difflib.get_close_matches(key, KEYS, 1)
        raise _invalid(path, text, key, problem="unknown key", suggestion=near[0] if near else "", expected=", ".join(KEYS))
    try:
        return known.read(value)
    except Wrong as wrong:
        raise _invalid(path, text, key, expected=wrong.expected, found=wrong.found, suggestion=wrong.suggestion) from wrong


def _invalid(path: Path, text: str, key: str, **details: str) -> Refused:
    return refused(ReasonKind.CONFIG_INVALID, str(path), line=_line_of(text, key), key=key, **details)


def _line_of(text: str, key: str) -> str:
    """The line on which a key stands; tomllib does not say."""
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=\].]")
    return next((str(number) for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), "")
