# SPDX-License-Identifier: Apache-2.0
"""`qm set`, which is PUT config (rules 6 and 8 to 16): checks, lock, deletes, adds in no order, pending is applied."""

import contextlib
import fcntl
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from node_double import storage
from node_double.conf_file import Conf, load, write
from node_double.drive_schema import check, is_disk, joined, kind_of, properties, volume_in
from node_double.state import Node, die, warn


@contextlib.contextmanager
def flocked(node: Node, vmid: str) -> Iterator[None]:
    """The VM's real lock, with the words that Proxmox says while it waits (rule 9)."""
    seconds = float(str(node.fault("lock_seconds", 10)))
    path = node.locks / f"lock-{vmid}.conf"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("trying to acquire lock...\n")
            _wait(fd, path, seconds)
        yield
    finally:
        os.close(fd)


def _wait(fd: int, path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sys.stderr.write(" OK\n")
            return
        time.sleep(0.05)
    die(f"can't lock file '{path}' - got timeout", 4)


def update(node: Node, vmid: str, given: dict[str, str]) -> None:
    check(given)
    _check_loaded(load(node, vmid), given)
    changes = {key: value for key, value in given.items() if key not in ("digest", "force", "skiplock", "background_delay")}
    if not changes:
        die("400 no options specified")
    with flocked(node, vmid):
        conf = load(node, vmid)
        _check_loaded(conf, given)
        words = " ".join(f"-{key} {value}" for key, value in sorted(changes.items()))
        sys.stdout.write(f"update VM {vmid}: {words}\n")
        deletes = [each for each in re.split("[,; ]", changes.pop("delete", "")) if each]
        reverts = [each for each in re.split("[,; ]", changes.pop("revert", "")) if each]
        if both := sorted({*deletes, *reverts} & {*changes} | {*deletes} & {*reverts}):
            die(
                f"400 Parameter verification failed.\n{both[0]}: you can't use '-{both[0]}' and -delete or -revert at the same time"
            )
        _revert(node, vmid, conf, reverts)
        _delete(node, vmid, conf, deletes)
        _add(node, vmid, conf, changes, deletes)
        apply(node, vmid, conf)


def _check_loaded(conf: Conf, given: dict[str, str]) -> None:
    if given.get("digest", conf.digest) != conf.digest:
        die("checksum mismatch (file change by other user?)")
    if "lock" in conf.main and given.get("skiplock") != "1":
        die(f"VM is locked ({conf.main['lock']})")


def _revert(node: Node, vmid: str, conf: Conf, keys: list[str]) -> None:
    for key in keys:
        conf.pending.pop(key, None)
        conf.deletes = [each for each in conf.deletes if each != key]
        write(node, vmid, conf)


def _delete(node: Node, vmid: str, conf: Conf, keys: list[str]) -> None:
    for key in keys:
        if key not in conf.main and key not in conf.pending:
            warn(f"cannot delete '{key}' - not set in current configuration!")
            continue
        if kind_of(key) == "unused":
            volume = conf.main.pop(key)
            if storage.owner(volume) == vmid and volume not in {volume_in(value) for value in conf.main.values()}:
                storage.free(node, volume)
        else:
            if is_disk(key) and conf.main.get("protection") == "1":
                die(f"can't remove drive '{key}' - protection mode enabled")
            conf.pending.pop(key, None)
            conf.deletes.append(key)
            if is_disk(key):
                _out_of_boot_order(conf, key)
        write(node, vmid, conf)


def _out_of_boot_order(conf: Conf, key: str) -> None:
    boot = conf.pending.get("boot", conf.main.get("boot", ""))
    if boot.startswith("order=") and key in boot.removeprefix("order=").split(";"):
        left = [each for each in boot.removeprefix("order=").split(";") if each != key]
        conf.pending["boot"] = f"order={';'.join(left)}"


def _add(node: Node, vmid: str, conf: Conf, changes: dict[str, str], deletes: list[str]) -> None:
    keys = list(changes)
    random.shuffle(keys)
    if first := node.fault("add_first"):
        keys.sort(key=lambda key: key != first)
    for number, key in enumerate(keys):
        if node.fault("fail_after_adds") == number:
            die("unable to create image: got lock timeout - aborting command", 25)
        value = changes[key]
        if is_disk(key):
            value = _drive(node, vmid, value)
        elif key == "boot":
            _check_boot(conf, value, {*changes}, deletes)
            conf.deletes += ["bootdisk"] if "bootdisk" in conf.main else []
        elif key == "hookscript":
            _check_hookscript(node, value)
        elif key == "tags":
            value = ";".join(sorted({each.lower() for each in re.split("[;, ]+", value) if each}))
        if key == "description":
            conf.description = value
        else:
            conf.deletes = [each for each in conf.deletes if each != key]
            conf.pending[key] = value
        write(node, vmid, conf)


def _drive(node: Node, vmid: str, value: str) -> str:
    parts = properties(value)
    volume = parts["file"]
    if volume in ("none", "cdrom"):
        return joined(parts)
    if re.fullmatch(r"[a-z-]+:\d+", volume):
        parts["file"] = volume = storage.allocate(node, volume.partition(":")[0], vmid, "raw")
        place = Path(storage.path(node, volume))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"\0" * 4096)
    if not storage.exists(node, volume):
        die(f"volume '{volume}' does not exist")
    storage.activate(node, volume)
    if parts.get("media") != "cdrom":
        parts["size"] = storage.size_text(node, volume)
    return joined(parts)


def _check_boot(conf: Conf, value: str, given: set[str], deletes: list[str]) -> None:
    there = {*conf.with_pending(), *given} - set(deletes)
    for device in value.removeprefix("order=").split(";") if value.startswith("order=") else ():
        if device and device not in there:
            die(f"invalid bootorder: device '{device}' does not exist'")


def _check_hookscript(node: Node, volume: str) -> None:
    if ":snippets/" not in volume:
        die(f"hookscript {volume} is not in snippets directory")
    place = Path(storage.path(node, volume))
    if not place.is_file():
        die(f"hookscript {volume} does not exist")
    if not os.access(place, os.X_OK):
        die(f"hookscript {volume} is not executable")


def apply(node: Node, vmid: str, conf: Conf) -> None:
    """What was pending becomes so (rule 14); on a running VM only what can be plugged while it runs."""
    running = node.is_running(vmid)

    def cold(key: str) -> bool:
        return not running or kind_of(key) not in ("ide", "sata", "boot", "scsihw", "machine", "bios", "bootdisk")

    for key in [each for each in conf.deletes if cold(each)]:
        value = conf.main.pop(key, "")
        conf.deletes.remove(key)
        if value and is_disk(key):
            _unused(conf, vmid, volume_in(value))
        write(node, vmid, conf)
    for key in [each for each in list(conf.pending) if cold(each)]:
        old = conf.main.get(key, "")
        conf.main[key] = conf.pending.pop(key)
        if old and is_disk(key) and volume_in(old) != volume_in(conf.main[key]):
            _unused(conf, vmid, volume_in(old))
        write(node, vmid, conf)


def _unused(conf: Conf, vmid: str, volume: str) -> str:
    """The lowest free slot, where this VM owns the volume and has it nowhere else."""
    for key, value in conf.main.items():
        if kind_of(key) == "unused" and value == volume:
            return key
    if storage.owner(volume) != vmid:
        return ""
    free = next((f"unused{number}" for number in range(256) if f"unused{number}" not in conf.main), None)
    if free is None:
        die("Too many unused volumes - please delete them first.")
    conf.main[free] = volume
    return free


def add_unused(conf: Conf, vmid: str, volume: str) -> str:
    return _unused(conf, vmid, volume)
