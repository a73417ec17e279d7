# SPDX-License-Identifier: Apache-2.0
"""How a Proxmox cluster elsewhere is reached, and what a token must be allowed before anything is asked for with it.

Reads the token's file, which nobody else may read. The rest is pure. Raises Refused(USAGE, POLICY_REFUSED, NO_PERMISSION).
"""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from unxen.errors import refused
from unxen.model.reason import ReasonKind

_OTHERS = 0o077
_LONGEST_TOKEN = 4096
_TOKEN = re.compile(r"([^\s!=]+@[^\s!=]+)!([^\s!=]+)=(\S+)")
ALL_GUESTS = "/vms"


class Task(Enum):
    """What is done from elsewhere."""

    LOOK = "look"
    MOVE = "move"
    CONTROLLER = "controller"
    NOTE = "note"


# qemu-server 9.2.6 API2/Qemu.pm: `vm_config` and `check_vm_modify_config_perm`, which sorts keys into groups.
PRIVILEGES: Mapping[Task, tuple[str, ...]] = {
    Task.LOOK: ("VM.Audit",),
    Task.MOVE: ("VM.Config.Disk",),
    Task.CONTROLLER: ("VM.Config.HWType",),
    Task.NOTE: ("VM.Config.Options",),
}
TASK_OF_KEY: Mapping[str, Task] = {"scsihw": Task.CONTROLLER, "description": Task.NOTE, "tags": Task.NOTE}
"""Keys that ask for more than the right to change disks."""


@dataclass(frozen=True)
class Access:
    """How to get there. `verify`: a file with the certificate authority, True for the system's, False for no check."""

    host: str
    user: str
    token_name: str
    secret: str = field(repr=False)
    verify: str | bool = True


def access_to(host: str, token_file: str, ca: str = "", *, insecure: bool = False) -> Access:
    """The way to a cluster, with the token that stands in a file; the certificate is checked unless somebody asked not to."""
    user, name, secret = parse_token(_token(Path(token_file)))
    return Access(host, user, name, secret, False if insecure else ca or True)


def parse_token(text: str) -> tuple[str, str, str]:
    """User, name and secret of `USER@REALM!NAME=SECRET`, as Proxmox shows it once; Refused(USAGE) for anything else."""
    found = _TOKEN.fullmatch(text.strip())
    if found is None:
        raise refused(ReasonKind.USAGE, problem="the token file does not hold USER@REALM!NAME=SECRET")
    return found[1], found[2], found[3]


def lacking(granted: Mapping[str, Mapping[str, object]], path: str, tasks: Collection[Task]) -> dict[Task, tuple[str, ...]]:
    """The privileges that each of the tasks asks for on a path and that are not there; tasks that lack nothing are left out.

    `granted` is what `GET /access/permissions` gives: paths with their privileges, each with 1 where paths below have it, too.
    """
    held = {name for name, _ in granted.get(path, {}).items()}
    above = (place for place in ("/", ALL_GUESTS) if place != path)
    held |= {name for place in above for name, below in granted.get(place, {}).items() if below}
    missing = {task: tuple(each for each in PRIVILEGES[task] if each not in held) for task in Task if task in tasks}
    return {task: names for task, names in missing.items() if names}


def _token(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise refused(ReasonKind.POLICY_REFUSED, str(path), problem="others can read this token (chmod 600 it)")
            return file.read(_LONGEST_TOKEN)
    except (OSError, UnicodeDecodeError) as error:
        raise refused(ReasonKind.NO_PERMISSION, str(path), cause=getattr(error, "strerror", "not text")) from error
