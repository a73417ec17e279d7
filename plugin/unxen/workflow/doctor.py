# SPDX-License-Identifier: Apache-2.0
"""The recipe of `doctor`: everything that a repair will need, tried before anybody's disk is at stake.

Reads the host: programs, modules, the journal, free room, hooks, the platforms; makes one box, and with `deep` one appliance.
Changes nothing. Raises nothing that a check can tell instead.
"""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from unxen import __version__
from unxen.errors import Refused
from unxen.host.config import knowledge_rows
from unxen.host.files import free_bytes
from unxen.host.hook_files import HookFiles, PieceState
from unxen.host.process import PACKAGES, find, run
from unxen.host.sandbox import Box, box_mode, service_account
from unxen.journal.unfinished import every_unfinished_commit
from unxen.knowledge.loader import load_knowledge
from unxen.model.checkup import Check, CheckState
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.settings import STATE_SETTING, Settings
from unxen.platforms.proxmox.access import ALL_GUESTS, PRIVILEGES, Access, Task
from unxen.platforms.proxmox.api import missing_privileges
from unxen.platforms.schemes import make
from unxen.repair.delivery.appliance import deliver_by_appliance

KVM = Path("/dev/kvm")
LEAST_FREE_BYTES = 256 << 20
"""Overlays and old bytes of one repair with a large hive, several times."""
INTERPRETER = "/usr/bin/python3"
# Module: (Debian package, what cannot be done without it; empty when nothing can).
MODULES: dict[str, tuple[str, str]] = {
    "nbd": ("python3-libnbd", ""),
    "hivex": ("python3-hivex", ""),
    "pyfsntfs": ("python3-libfsntfs", ""),
    "pytsk3": ("python3-tsk", ""),
    "seccomp": ("python3-seccomp", ""),
    "guestfs": ("python3-guestfs", "delivery by an appliance"),
    "lxml": ("python3-lxml", "definitions of libvirt and of exports"),
    "xxhash": ("python3-xxhash", "exports of XenServer 8.1 and later"),
    "zstandard": ("python3-zstandard", "exports that zstd has compressed"),
    "libvirt": ("python3-libvirt", "guests of libvirt"),
    "proxmoxer": ("python3-proxmoxer", "Proxmox VE from another host"),
}


# What shows that a platform is on this host at all, and what has to run for it to answer.
SIGNS = {"libvirt": Path("/etc/libvirt"), "proxmox": Path("/etc/pve")}
UNITS = {"libvirt": "libvirtd", "proxmox": "pve-cluster"}


def examine(
    settings: Settings, hooks: HookFiles | None = None, *, access: Access | None = None, deep: bool = False
) -> Iterator[Check]:
    """Every check in its order, the one that cannot wait first. `hooks` is None where our own hook files are not at hand.

    `access`: also whether its token may do what is done to a Proxmox cluster from elsewhere.
    """
    yield _unfinished(settings)
    yield Check("unxen", CheckState.FINE, f"{__version__}, Python {platform.python_version()}")
    yield from (_program(name) for name in PACKAGES)
    yield from _modules()
    yield _knowledge(settings)
    yield _box()
    yield _room(settings)
    yield _accelerator()
    for scheme in (each for each, sign in SIGNS.items() if sign.is_dir()):
        yield _reachable(scheme, settings)
        if hooks is not None:
            yield _hooked(scheme, hooks)
    if access is not None:
        yield _token(access)
    if deep:
        yield _told("appliance", lambda: deliver_by_appliance(()))


def _unfinished(settings: Settings) -> Check:
    def ask() -> str:
        if found := every_unfinished_commit(settings.state_dir):
            raise Refused(*found)
        return "none"

    return _told("unfinished commits", ask)


def _program(name: str) -> Check:
    return _told(name, lambda: _version(name))


def _version(name: str) -> str:
    """The first line of what a program says of its version; its path where it says nothing."""
    path = find(name)
    said = run([path, "--version"], timeout=10, good=range(256)).stdout.decode(errors="replace").strip()
    return said.splitlines()[0] if said else path


def _modules() -> Iterator[Check]:
    """Asked of the distribution's interpreter, which runs the boxes and the appliance's helper."""
    script = "import importlib.util as u, sys; print(*(int(u.find_spec(n) is not None) for n in sys.argv[1:]))"
    found = run([INTERPRETER, "-I", "-c", script, *MODULES], timeout=30).stdout.split()
    versions = _package_versions([package for package, _ in MODULES.values()])
    for (name, (package, use)), there in zip(MODULES.items(), found, strict=True):
        if there == b"1":
            yield Check(name, CheckState.FINE, f"{package} {versions.get(package, '')}".strip())
        else:
            why = reason(ReasonKind.TOOL_MISSING, name, tool=f"the Python module {name}", package=package)
            yield Check(name, CheckState.ABSENT if use else CheckState.FAILED, use, why)


def _package_versions(packages: Sequence[str]) -> dict[str, str]:
    """The version of each package that is installed; none where this is no Debian."""
    form = "-f=${Package} ${Version}\\n"
    try:
        said = run(["dpkg-query", "-W", form, *packages], timeout=30, good=range(256)).stdout.decode(errors="replace")
    except Refused:
        return {}
    return {name: version for name, _, version in (line.partition(" ") for line in said.splitlines())}


def _knowledge(settings: Settings) -> Check:
    def load() -> str:
        rows = knowledge_rows(settings)
        load_knowledge(rows)
        return f"{len(rows)} files in {settings.knowledge_dir}"

    return _told("knowledge", load)


def _box() -> Check:
    def make() -> str:
        with Box.open() as box:
            box.wait_until_ready()
        return f"{box_mode().value}, the parser runs as uid {service_account().uid}"

    check = _told("box", make)
    if check.why is None or check.why.kind is not ReasonKind.TOOL_FAILED:
        return check
    return _failed("box", reason(ReasonKind.NO_BOX, cause=check.why.detail("cause")))


def _room(settings: Settings) -> Check:
    place = next(each for each in (settings.state_dir, *settings.state_dir.parents) if each.is_dir())
    free = free_bytes(place)
    found = f"{free >> 20} MiB free in {settings.state_dir}"
    if not os.access(place, os.W_OK):
        return _failed("state", reason(ReasonKind.NO_PERMISSION, str(settings.state_dir), setting=STATE_SETTING))
    if free < LEAST_FREE_BYTES:
        return _failed(
            "state", reason(ReasonKind.NO_SPACE, str(settings.state_dir), needed=LEAST_FREE_BYTES, free=free, setting=STATE_SETTING)
        )
    return Check("state", CheckState.FINE, found)


def _accelerator() -> Check:
    """Whether an appliance would be fast; that KVM opens does not show that it works."""
    if os.access(KVM, os.R_OK | os.W_OK):
        return Check("accelerator", CheckState.FINE, "kvm")
    return Check("accelerator", CheckState.ABSENT, "kvm-closed" if KVM.exists() else "tcg")


def _reachable(scheme: str, settings: Settings) -> Check:
    """A platform that does not answer keeps nobody from repairing files."""
    name = f"{scheme}:"
    try:
        return Check(name, CheckState.FINE, f"{len(make(scheme, settings).states())} guests")
    except Refused as error:
        why = error.first
        if why.kind is ReasonKind.PLATFORM_REFUSED:
            cause = why.detail("cause") or why.detail("problem")
            why = reason(ReasonKind.PLATFORM_UNREACHABLE, scheme, cause=cause, unit=UNITS[scheme])
        return Check(name, CheckState.ABSENT, f"guests of {scheme}", why)


def _hooked(scheme: str, hooks: HookFiles) -> Check:
    name = f"hooks {scheme}"
    found = hooks.status(scheme)
    foreign = next((each for each in found if each.state is PieceState.FOREIGN), None)
    if foreign is not None:
        return _failed(name, reason(ReasonKind.FOREIGN_FILE, str(foreign.place)))
    if all(each.state is PieceState.INSTALLED and each.enabled is not False for each in found):
        return Check(name, CheckState.FINE, "installed")
    return Check(name, CheckState.ABSENT, f"guests of {scheme} that arrive", reason(ReasonKind.HOOKS_ABSENT, scheme))


def _token(access: Access) -> Check:
    """A failure is what keeps every switch from being made; what is left out without a right is only told."""
    name = f"token {access.user}!{access.token_name}"
    try:
        missing = missing_privileges(access)
    except Refused as error:
        return _failed(name, error.first)
    if not missing:
        return Check(name, CheckState.FINE, f"has {', '.join(each for names in PRIVILEGES.values() for each in names)}")
    lacks = ", ".join(each for names in missing.values() for each in names)
    why = reason(ReasonKind.PRIVILEGE_MISSING, f"the {name}", missing=lacks, path=ALL_GUESTS)
    if {Task.LOOK, Task.MOVE} & missing.keys():
        return _failed(name, why)
    return Check(name, CheckState.ABSENT, f"{lacks} on {ALL_GUESTS}", why)


def _told(name: str, look: Callable[[], str]) -> Check:
    """A look that says what it found, or refuses."""
    try:
        return Check(name, CheckState.FINE, look())
    except Refused as error:
        return _failed(name, error.first)


def _failed(name: str, why: Reason) -> Check:
    return Check(name, CheckState.FAILED, why=why)
