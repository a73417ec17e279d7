# SPDX-License-Identifier: Apache-2.0
"""A plan as a .reg file, for those who would rather import it with regedit in the recovery environment than let unxen write.

Touches nothing. Version 5 of the format: UTF-16LE with a byte order mark, CRLF. Keys and values are removed before others are set,
as the order within one key demands; every edit carries its rule and reason as a comment without control characters. A name that
would break its line, so that regedit reads another line behind it, is Refused(HIVE_DAMAGED): names come from guests.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from unxen.errors import refused
from unxen.model.edit import Action, Edit
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import RegistryValue
from unxen.registry.names import fold
from unxen.registry.types import ValueType

HEADER = "Windows Registry Editor Version 5.00"
BYTE_ORDER_MARK = "\ufeff"
# regedit breaks lines of hexadecimal bytes before the 80th column and goes on after two blanks.
WIDTH = 80
DELETIONS = (Action.DELETE_KEY, Action.DELETE_VALUE)
# A line break ends the line even inside quotes, a NUL the whole file.
UNQUOTABLE = frozenset("\r\n\0")


def write_reg(edits: Sequence[Edit], hive_root: str) -> bytes:
    r"""The file's bytes; `hive_root` is where the hive is loaded, `HKEY_LOCAL_MACHINE\SYSTEM` or `HKEY_LOCAL_MACHINE\Temp`."""
    root = hive_root.rstrip("\\")
    lines = [HEADER, ""]
    for key, group in groupby(_in_order(edits), key=lambda edit: edit.key):
        lines += [*_key_lines(f"{root}\\{key}", list(group)), ""]
    return (BYTE_ORDER_MARK + "\r\n".join([*lines, ""])).encode("utf-16-le", "surrogatepass")


def _in_order(edits: Sequence[Edit]) -> list[Edit]:
    """Edits of one key together, where its first one stood, deletions before the rest."""
    first: dict[str, int] = {}
    for index, edit in enumerate(edits):
        first.setdefault(fold(edit.key), index)
    return sorted(edits, key=lambda edit: (first[fold(edit.key)], edit.action not in DELETIONS))


def _key_lines(path: str, edits: Sequence[Edit]) -> Iterator[str]:
    """Comments and lines of one key; a key that is deleted needs no other header."""
    for edit in (each for each in edits if each.action is Action.DELETE_KEY):
        yield from (_comment(edit), f"[-{_writable(path)}]")
    others = [each for each in edits if each.action is not Action.DELETE_KEY]
    if not others:
        return
    # Before the header: hivexregedit takes a comment for the end of a key.
    yield from map(_comment, others)
    yield f"[{_writable(path)}]"
    for edit in others:
        if edit.value_name is not None:
            yield from _value_lines(edit.value_name, edit.after)


def _writable(name: str) -> str:
    """The name, when it stays on its line."""
    if UNQUOTABLE & set(name):
        raise refused(ReasonKind.HIVE_DAMAGED, name, cause="line break in a name")
    return name


def _comment(edit: Edit) -> str:
    name = f"{edit.value_name}: " if edit.value_name else ""
    text = " ".join(f"{name}{edit.why} ({edit.rule})".split())
    return "; " + "".join(each if each.isprintable() else "?" for each in text)


def _value_lines(name: str, value: RegistryValue | None) -> Iterable[str]:
    start = f"{_quoted(_writable(name))}=" if name else "@="
    if value is None:
        return [f"{start}-"]
    if value.type == ValueType.DWORD and len(value.data) == 4:
        return [f"{start}dword:{int.from_bytes(value.data, 'little'):08x}"]
    text = _plain_text(value) if value.type == ValueType.SZ else None
    if text is not None:
        return [start + _quoted(text)]
    kind = "hex:" if value.type == ValueType.BINARY else f"hex({value.type:x}):"
    return _hex_lines(start + kind, value.data)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain_text(value: RegistryValue) -> str | None:
    """The string that regedit would write back to exactly these bytes, if there is one."""
    try:
        text = value.data.decode("utf-16-le")
    except UnicodeDecodeError:
        return None
    inner, end = text[:-1], text[-1:]
    return inner if end == "\0" and not UNQUOTABLE & set(inner) else None


def _hex_lines(start: str, data: bytes) -> list[str]:
    lines, line = [], start
    for index, byte in enumerate(data):
        last = index == len(data) - 1
        piece = f"{byte:02x}" if last else f"{byte:02x},"
        # Room for the backslash that says that the line goes on.
        if len(line) + len(piece) + (0 if last else 1) > WIDTH - 1:
            lines.append(line + "\\")
            line = "  "
        line += piece
    return [*lines, line]
