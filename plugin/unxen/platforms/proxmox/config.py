# SPDX-License-Identifier: Apache-2.0
"""A VM's configuration file as Proxmox reads it: main part, what is pending, snapshots, and the notes above them all.

Touches nothing. Reading is enough: every change goes through Proxmox itself, which alone knows how to write the file. A line that
Proxmox would not understand is passed over as Proxmox does, with no claim about it. Grammar: qemu-server 9.2.6, QemuServer.pm
`parse_vm_config`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from unxen.model.record import dataclass

_KEY_LINE = re.compile(r"([a-z][a-z_-]*[0-9]*):\s*(.+?)\s*$")
_PENDING = re.compile(r"\[PENDING\]\s*$", re.IGNORECASE)
_SPECIAL = re.compile(r"\[special:([a-z]+)\]\s*$")
_SNAPSHOT = re.compile(r"\[([a-zA-Z][a-zA-Z0-9_-]+)\]\s*$")
TRUE = ("1", "yes", "on", "true")
"""How Proxmox spells yes."""
_MAIN, _PENDING_NAME, _SPECIAL_NAME = "main", "pending", "special"


@dataclass(frozen=True)
class VmConfig:
    """One file. `digest`: SHA-1 in hex over its bytes, by which Proxmox tells that somebody else changed it.

    `pending` are values that wait for the next start or change, `pending_deletes` the keys that wait for their end. `snapshots` by
    name. `description` is the text of the notes, decoded.
    """

    digest: str
    values: Mapping[str, str]
    description: str
    pending: Mapping[str, str]
    pending_deletes: tuple[str, ...]
    snapshots: Mapping[str, Mapping[str, str]]

    @property
    def lock(self) -> str:
        """The long operation that has the VM, or nothing."""
        return self.values.get("lock", "")

    @property
    def is_template(self) -> bool:
        """Whether its disks are the base of other VMs."""
        return self.values.get("template", "0") in TRUE

    @property
    def has_memory_image(self) -> bool:
        """Whether a sleeping guest will go on from here: its disks must stay as it knows them."""
        return "vmstate" in self.values

    def of(self, kind: str) -> Iterator[tuple[str, str]]:
        """Every key of the main part that is the kind and a number, by number."""
        found = ((key, value) for key, value in self.values.items() if re.fullmatch(rf"{kind}[0-9]+", key))
        return iter(sorted(found, key=lambda each: int(each[0][len(kind) :])))


def parse(data: bytes) -> VmConfig:
    """The configuration in these bytes."""
    parts: dict[tuple[str, str], dict[str, str]] = {(_MAIN, ""): {}}
    notes: list[str] = []
    here = (_MAIN, "")
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith("#"):
            if here == (_MAIN, ""):
                notes.append(_decoded(line[1:]))
        elif section := _section(line):
            here = section
            parts.setdefault(here, {})
        elif found := _KEY_LINE.match(line):
            parts[here][found[1]] = found[2]
    return _made(data, parts, notes)


def _made(data: bytes, parts: Mapping[tuple[str, str], dict[str, str]], notes: list[str]) -> VmConfig:
    pending = dict(parts.get((_PENDING_NAME, ""), {}))
    # `!key` is a delete that was forced.
    deletes = tuple(each.lstrip("!") for each in re.split(r"[,; ]+", pending.pop("delete", "")) if each)
    return VmConfig(
        digest=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        values=parts[(_MAIN, "")],
        description="\n".join(notes),
        pending=pending,
        pending_deletes=deletes,
        snapshots={name: values for (kind, name), values in parts.items() if kind == "snapshot"},
    )


def _section(line: str) -> tuple[str, str] | None:
    if _PENDING.match(line):
        return _PENDING_NAME, ""
    if found := _SPECIAL.match(line):
        return _SPECIAL_NAME, found[1]
    found = _SNAPSHOT.match(line)
    return ("snapshot", found[1]) if found else None


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")


def rewritten(data: bytes, values: Mapping[str, str]) -> bytes:
    """The file with other values in its main part; every line that is not about a changed key stays as it is, where it is."""
    old = parse(data).values
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    end = next((number for number, line in enumerate(lines) if _section(line)), len(lines))
    kept = [each for each in (_rewritten_line(line, old, values) for line in lines[:end]) if each is not None]
    while kept and not kept[-1].strip():
        kept.pop()
    kept += [f"{key}: {value}" for key, value in sorted(values.items()) if key not in old]
    tail = lines[end:]
    return "\n".join((*kept, "", *tail)).encode("utf-8", "surrogateescape")


def written(config: VmConfig, values: Mapping[str, str]) -> bytes:
    """A text that is read as these values and what is pending in `config`; for a configuration that came without its file."""
    pending = dict(config.pending)
    if config.pending_deletes:
        pending["delete"] = ",".join(config.pending_deletes)
    lines = [f"{key}: {value}" for key, value in sorted(values.items())]
    lines += ["", "[PENDING]", *(f"{key}: {value}" for key, value in sorted(pending.items()))] if pending else []
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _rewritten_line(line: str, old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    found = None if line.startswith("#") else _KEY_LINE.match(line)
    if found is None or new.get(found[1]) == old[found[1]]:
        return line
    return f"{found[1]}: {new[found[1]]}" if found[1] in new else None
