# SPDX-License-Identifier: Apache-2.0
"""libvirt's domains as guests: described from their inactive definition, switched by defining them anew, remarked upon in metadata.

Changes definitions and nothing else; starts and stops no domain. A definition is replaced only while the domain is off and its text
is still the one that the change was planned for; libvirt has no way to hold it, so this is asked in the last moment before.
"""

import hashlib
import os
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import libvirt

from unxen.errors import Refused, refused
from unxen.model.definition import Switch, Wish
from unxen.model.disk import Disk
from unxen.model.guest import Guest
from unxen.model.ids import ImageFormat
from unxen.model.judgement import Note, NoteKind
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.settings import Settings
from unxen.platforms.base import Ability, GuestState, HookCall, StillStopped
from unxen.platforms.libvirt import pool_files
from unxen.platforms.libvirt.completed import completes
from unxen.platforms.libvirt.connection import Connection, said, told
from unxen.platforms.libvirt.domain_xml import (
    NAMESPACE,
    Element,
    canonical,
    disks,
    hard_disks,
    name_of,
    parse_domain,
    target_of,
    uuid_of,
)
from unxen.platforms.libvirt.guest_disks import PoolPath, guest_disks, sniffed_format, source_path
from unxen.platforms.libvirt.hook import hook_call
from unxen.platforms.libvirt.leftovers import leftovers, missing_bridges
from unxen.platforms.libvirt.machine import machine_of, macs_of
from unxen.platforms.libvirt.note import note_element
from unxen.platforms.libvirt.switch import switched

T = TypeVar("T")
SCHEME = "libvirt"
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
INACTIVE, SECURE = libvirt.VIR_DOMAIN_XML_INACTIVE, libvirt.VIR_DOMAIN_XML_SECURE
PERSISTENT = libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT
BRIDGES = Path("/sys/class/net")


class LibvirtPlatform:
    """The domains of one libvirt daemon."""

    abilities = frozenset(Ability) - {Ability.LOCK}

    def __init__(self, uri: str, *, allow_snapshots: bool = False) -> None:
        self._connection = Connection(uri)
        self._allow_snapshots = allow_snapshots

    def describe(self, targets: Sequence[str], formats: Sequence[str], /) -> Guest:
        """The domain of that name or UUID, as its next start would find it."""
        if formats:
            raise refused(ReasonKind.USAGE, "--format", problem="the formats of a domain's disks stand in its definition")
        domain = self._domain(targets[0].partition(":")[2])
        with told(targets[0]):
            root = parse_domain(domain.XMLDesc(INACTIVE))
        return Guest(
            target=tuple(targets),
            disks=guest_disks(root, self._volume_path),
            machine=machine_of(root, leftovers(root, self._format_of)),
            id=f"{SCHEME}:{uuid_of(root)}",
            notes=_notes(root),
            backing_dirs=self._pool_directories(),
            macs=macs_of(root),
        )

    def obstacles(self, guest: Guest, /) -> tuple[Reason, ...]:
        """Saved memory, snapshots, disks that somebody else has too, and another host."""
        try:
            self._connection.require_this_host()
        except Refused as error:
            return error.reasons
        domain, target = self._domain_of(guest), guest.target[0]
        with told(target):
            root = parse_domain(domain.XMLDesc(INACTIVE))
            saved, snapshots = domain.hasManagedSaveImage(), domain.snapshotListNames()
        found = [_saved(domain, target)] if saved else []
        if snapshots and not self._allow_snapshots:
            found.append(reason(ReasonKind.HAS_SNAPSHOTS, target, names=", ".join(snapshots[:5])))
        return (*found, *self._shared(root, guest))

    def neighbours(self, guest: Guest, /) -> tuple[Disk, ...]:
        """The disks of all other domains; what of them cannot be reached is nobody's overlay here."""
        return tuple(disk for root in self._others(guest) for disk in _reachable(root, self._volume_path))

    @contextmanager
    def locked(self, guest: Guest, /) -> Iterator[StillStopped]:
        """libvirt has no lock of its own for this: the domain is off, and the image locks and the guard keep it so."""

        def still_stopped() -> None:
            if self._is_active(guest):
                raise refused(ReasonKind.IN_USE, guest.target[0], user=f"the domain {self._domain_of(guest).name()}")

        still_stopped()
        if against := self.obstacles(guest):
            raise Refused(*against)
        yield still_stopped

    def plan_switch(self, guest: Guest, wish: Wish, /) -> Switch:
        """The whole definition, secrets included where we may see them: without them a new definition would drop them."""
        text = self._definition(guest)
        # The wish speaks of disks by their numbers, which are their order in the definition that was described.
        if guest_disks(parse_domain(text), self._volume_path) != guest.disks:
            raise refused(ReasonKind.GUEST_CHANGED, guest.target[0])
        return switched(text, wish, self._format_of)

    def switch(self, guest: Guest, switch: Switch, /) -> str:
        """Defines the domain anew; libvirt keeps the old definition when it refuses the new one."""
        domain = self._domain_of(guest)
        if self._is_active(guest):
            raise _failed(guest, "the domain was started meanwhile")
        present = self._definition(guest)
        if canonical(present) != canonical(switch.before):
            raise _failed(guest, "its definition was changed meanwhile")
        try:
            _define(domain.connect(), switch.after)
        except libvirt.libvirtError as error:
            raise _failed(guest, said(error)) from error
        kept = self._definition(guest)
        if _slots(kept) != _slots(switch.after):
            with told(guest.target[0]):
                _define(domain.connect(), present)
            raise _failed(guest, "libvirt keeps another definition than it was given")
        return kept

    def stands(self, guest: Guest, definition: str, /) -> bool:
        """Whether the definition is this one, our remark apart."""
        return canonical(self._definition(guest)) == canonical(definition)

    def kept(self, guest: Guest, given: str, /) -> str:
        """The definition as it stands, if libvirt can have made it of that text; else empty."""
        present = self._definition(guest)
        return present if completes(given, present) else ""

    def note(self, guest: Guest, text: str, /) -> None:
        """One element in our own namespace below the domain's metadata; it takes the place of the last one."""
        kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
        with told(guest.target[0]):
            self._domain_of(guest).setMetadata(kind, note_element(text), "unxen", NAMESPACE, CONFIG)

    def states(self) -> Mapping[str, GuestState]:
        """Every persistent domain; its stamp is of the definition and of its disks' files."""
        self._connection.tell_events()
        with told(SCHEME):
            found = [_if_there(_state, each) for each in self._connection.handle().listAllDomains(PERSISTENT)]
        return dict(each for each in found if each is not None)

    def wait(self, seconds: float, /) -> frozenset[str]:
        """Names that libvirt tells; all of them after a new connection, for nothing was told in between."""
        self._connection.tell_events()
        if self._connection.lost:
            return self._reconnected(seconds)
        try:
            first = self._connection.happened.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return frozenset()
        names = {first}
        while not self._connection.happened.empty():
            names.add(self._connection.happened.get_nowait())
        return frozenset(names - {""})

    def hook_call(self, arguments: Sequence[str], stdin: bytes, /) -> HookCall:
        """The definition that is about to start, from standard input; libvirt is not asked."""
        return hook_call(arguments, stdin)

    def _reconnected(self, seconds: float) -> frozenset[str]:
        try:
            return frozenset(self.states())
        except Refused:
            time.sleep(max(seconds, 0.001))
            return frozenset()

    def _domain(self, name: str) -> libvirt.virDomain:
        handle = self._connection.handle()
        for look_up in (handle.lookupByName, handle.lookupByUUIDString):
            try:
                return look_up(name)
            except libvirt.libvirtError as error:
                if error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
                    raise refused(ReasonKind.PLATFORM_REFUSED, name, cause=said(error)) from error
        raise refused(ReasonKind.DISK_MISSING, f"{SCHEME}:{name}", cause="libvirt knows no domain of that name")

    def _domain_of(self, guest: Guest) -> libvirt.virDomain:
        return self._domain(guest.id.partition(":")[2])

    def _is_active(self, guest: Guest) -> bool:
        with told(guest.target[0]):
            return bool(self._domain_of(guest).isActive())

    def _definition(self, guest: Guest) -> str:
        """With its secrets; a connection that may only read gets it without, and can change nothing with it either."""
        domain = self._domain_of(guest)
        try:
            return str(domain.XMLDesc(INACTIVE | SECURE))
        except libvirt.libvirtError:
            with told(guest.target[0]):
                return str(domain.XMLDesc(INACTIVE))

    def _volume_path(self, pool: str, volume: str) -> str:
        with told(f"{pool}/{volume}"):
            return str(self._connection.handle().storagePoolLookupByName(pool).storageVolLookupByName(volume).path())

    def _pool_directories(self) -> tuple[str, ...]:
        """Where images of this host's pools lie: an overlay in one may have its base in another."""
        try:
            pools = self._connection.handle().listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
            return tuple(path for each in pools if (path := pool_files.directory_of(each.XMLDesc(0).encode())))
        except libvirt.libvirtError:
            # A daemon without the storage driver has no pools, and domains all the same.
            return ()

    def _format_of(self, disk: Element) -> ImageFormat | None:
        return sniffed_format(disk, self._volume_path)

    def _shared(self, root: Element, guest: Guest) -> tuple[Reason, ...]:
        """Disks that another domain has too, or that say of themselves that they are shared."""
        declared = [target_of(each) for each in hard_disks(root) if each.find("shareable") is not None]
        if declared:
            return (reason(ReasonKind.DISK_SHARED, declared[0], cause="it is declared as shareable"),)
        ours = {os.path.realpath(each.path): each.path for each in guest.disks}
        for other in self._others(guest):
            for path in _paths(other, self._volume_path):
                if os.path.realpath(path) in ours:
                    return (reason(ReasonKind.DISK_SHARED, ours[os.path.realpath(path)], others=name_of(other)),)
        return ()

    def _others(self, guest: Guest) -> list[Element]:
        """Every other domain, running ones as they run."""
        with told(guest.target[0]):
            found = [_if_there(_as_it_is, each) for each in self._connection.handle().listAllDomains()]
        return [each for each in found if each is not None and uuid_of(each) != guest.id.partition(":")[2]]


def make(settings: Settings) -> LibvirtPlatform:
    """What `schemes` asks for."""
    return LibvirtPlatform(settings.libvirt_uri, allow_snapshots=settings.repair_guests_with_snapshots)


def _define(connection: libvirt.virConnect, text: str) -> None:
    """Checked against libvirt's schema, so that nothing is dropped without a word; what never fitted it goes without."""
    try:
        connection.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_XML_INVALID_SCHEMA:
            raise
        connection.defineXML(text)


def _slots(text: str) -> list[tuple[str, str]]:
    """Names and buses of the disks, which are what a switch is about."""
    targets = [disk.find("target") for disk in disks(parse_domain(text))]
    return sorted((each.get("dev", ""), each.get("bus", "")) for each in targets if each is not None)


def _failed(guest: Guest, cause: str) -> Refused:
    return refused(ReasonKind.SWITCH_FAILED, guest.target[0], cause=cause)


def _saved(domain: libvirt.virDomain, target: str) -> Reason:
    return reason(ReasonKind.SAVED_STATE, target, command=f"virsh managedsave-remove {domain.name()}")


def _notes(root: Element) -> tuple[Note, ...]:
    bridges = missing_bridges(root, lambda name: (BRIDGES / name).exists())
    return tuple(Note(NoteKind.MISSING_BRIDGE, name) for name in bridges)


def _if_there(ask: Callable[[libvirt.virDomain], T], domain: libvirt.virDomain) -> T | None:
    """The answer about a domain, None when it went away since it was listed."""
    try:
        return ask(domain)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None


def _as_it_is(domain: libvirt.virDomain) -> Element:
    return parse_domain(domain.XMLDesc(0))


def _state(domain: libvirt.virDomain) -> tuple[str, GuestState]:
    text = domain.XMLDesc(INACTIVE)
    files = [_file_stamp(path) for path in _local_paths(parse_domain(text))]
    stamp = hashlib.sha256("\0".join((canonical(text), *files)).encode()).hexdigest()
    return domain.name(), GuestState(stamp, not domain.isActive())


def _file_stamp(path: str) -> str:
    """A file that came, went, or was written since."""
    try:
        seen = os.stat(path)  # noqa: PTH116
    except OSError:
        return f"{path} none"
    return f"{path} {seen.st_ino} {seen.st_size} {seen.st_mtime_ns}"


def _local_paths(root: Element) -> list[str]:
    """Files and devices that are named outright; a volume's path would cost a question each time."""
    sources = [disk.find("source") for disk in hard_disks(root)]
    return [path for each in sources if each is not None and (path := each.get("file") or each.get("dev"))]


def _paths(root: Element, pool_path: PoolPath) -> Iterator[str]:
    for disk in hard_disks(root):
        try:
            yield source_path(disk, pool_path)
        except Refused:
            continue


def _reachable(root: Element, pool_path: PoolPath) -> tuple[Disk, ...]:
    try:
        return guest_disks(root, pool_path)
    except Refused:
        return ()
