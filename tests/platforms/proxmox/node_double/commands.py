# SPDX-License-Identifier: Apache-2.0
"""The other verbs of `qm` (rules 17 to 22)."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from node_double import storage
from node_double.conf_file import Conf, encoded, load, write
from node_double.drive_schema import check, is_disk, joined, properties, volume_in
from node_double.state import Node, die, warn
from node_double.update import add_unused, apply, flocked, update


def importdisk(node: Node, vmid: str, source: str, target: str, given: dict[str, str]) -> None:
    if not Path(source).is_file():
        die(
            f"failed to import disk: '{source}' is not a regular file"
            if Path(source).exists()
            else f"file '{source}' does not exist"
        )
    conf = load(node, vmid)
    _unlocked(conf)
    slot = given.get("target-disk", "")
    if slot and slot in conf.main:
        die(f"target disk '{slot}' is already in use")
    directory = storage.storage(node, target)["type"] in ("dir", "nfs")
    suffix = given.get("format", "raw") if directory else "raw"
    volume = storage.allocate(node, target, vmid, suffix)
    place = Path(storage.path(node, volume))
    place.parent.mkdir(parents=True, exist_ok=True)
    shown = f"importing disk '{source}' to VM {vmid} ..."
    sys.stdout.write(shown + "\n")
    sys.stdout.flush()
    try:
        _convert(node, source, place, suffix)
    except BaseException:
        storage.free(node, volume)
        raise
    storage.deactivate(node, volume)
    with flocked(node, vmid):
        conf = load(node, vmid)
        _unlocked(conf)
        if slot:
            conf.main[slot] = volume
        else:
            slot = add_unused(conf, vmid, volume)
        write(node, vmid, conf)
    sys.stdout.write(f"{slot}: successfully imported disk '{volume}'\n")


def _convert(node: Node, source: str, place: Path, suffix: str) -> None:
    sys.stdout.write("transferred 0.0 B of 1.0 MiB (0.00%)\n")
    if node.fault("import_fails"):
        die("copy failed: command '/usr/bin/qemu-img convert' failed: exit code 1")
    argv = ["qemu-img", "convert", "-O", suffix, source, str(place)]
    if subprocess.run(argv, stdout=subprocess.DEVNULL, check=False).returncode:
        die("copy failed: command '/usr/bin/qemu-img convert' failed: exit code 1")
    sys.stdout.write("transferred 1.0 MiB of 1.0 MiB (100.00%)\n")


def _unlocked(conf: Conf) -> None:
    if "lock" in conf.main:
        die(f"VM is locked ({conf.main['lock']})")


def create(node: Node, vmid: str, given: dict[str, str]) -> None:
    """`lock: create` first, one final write without it, and a task (rule 19)."""
    if node.config_path(vmid).exists():
        die(f"unable to create VM {vmid} - VM {vmid} already exists on node 'pve1'")
    check(given)
    write(node, vmid, Conf(main={"lock": "create"}))
    conf = Conf()
    try:
        for key, value in given.items():
            if key == "description":
                conf.description = value
            else:
                conf.main[key] = _created(node, vmid, value) if is_disk(key) else value
    except BaseException:
        node.config_path(vmid).unlink()
        node.changed(vmid)
        node.task("qmcreate", vmid, "ERROR: unable to create VM")
        raise
    write(node, vmid, conf)
    node.log("=made", [vmid])
    node.task("qmcreate", vmid, "OK")


def _created(node: Node, vmid: str, value: str) -> str:
    """A drive with a volume made for it: `STORAGE:GIB`, or filled from another with import-from."""
    parts = properties(value)
    source = parts.pop("import-from", "")
    found = re.fullmatch(r"([^:]+):(\d+)", parts["file"])
    if not found:
        return value
    suffix = parts.get("format", "raw")
    parts["file"] = storage.allocate(node, found[1], vmid, suffix)
    place = Path(storage.path(node, parts["file"]))
    place.parent.mkdir(parents=True, exist_ok=True)
    if source:
        shutil.copyfile(storage.path(node, source), place)
    else:
        with place.open("wb") as file:
            file.truncate(int(found[2]) << 30)
    return joined({**parts, "size": storage.size_text(node, parts["file"])})


def destroy(node: Node, vmid: str) -> None:
    """The configuration goes, with every volume in it that the VM owns."""
    conf = load(node, vmid)
    _unlocked(conf)
    for key, value in conf.main.items():
        if (is_disk(key) or key.startswith("unused")) and storage.owner(volume_in(value)) == vmid:
            storage.free(node, volume_in(value))
    node.config_path(vmid).unlink()
    node.changed(vmid)


def start(node: Node, vmid: str) -> None:
    """Pending first, then the hook with the lock held; what the hook writes into the configuration is too late (rule 20)."""
    with flocked(node, vmid):
        conf = load(node, vmid)
        _unlocked(conf)
        if node.is_running(vmid):
            die(f"VM {vmid} already running")
        apply(node, vmid, conf)
        conf = load(node, vmid)
        if "hookscript" in conf.main:
            program = storage.path(node, conf.main["hookscript"])
            if not Path(program).exists():
                die(f"hookscript error for {vmid} on pre-start: hookscript {conf.main['hookscript']} does not exist")
            code = subprocess.run([program, vmid, "pre-start"], check=False).returncode
            if code:
                die(f"hookscript error for {vmid} on pre-start: command '{program} {vmid} pre-start' failed: exit code {code}")
        pid_file = node.run / f"{vmid}.pid"
        # There before the machine, which ends when it finds no file.
        pid_file.touch()
        process = subprocess.Popen(
            ["/bin/sh", "-c", "exec sleep 300", str(pid_file)] if node.fault("dies_at_once") else _machine(pid_file),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        pid_file.write_text(str(process.pid))
        with (node.root / "started.jsonl").open("a") as file:
            file.write(f"{vmid} {sorted(key for key in conf.main if is_disk(key))}\n")
        if "hookscript" in conf.main:
            subprocess.run([program, vmid, "post-start"], check=False)


def _machine(pid_file: Path) -> list[str]:
    """A process that lives and names its pid file, as QEMU does; it ends when the file goes."""
    code = "import os,sys,time\nwhile os.path.exists(sys.argv[1]): time.sleep(0.05)"
    return ["/usr/bin/python3", "-S", "-E", "-c", code, str(pid_file)]


def stop(node: Node, vmid: str) -> None:
    (node.run / f"{vmid}.pid").unlink(missing_ok=True)


def rescan(node: Node, given: dict[str, str]) -> None:
    for path in sorted(node.configs.glob("*.conf")):
        vmid = path.stem
        if given.get("vmid", vmid) != vmid:
            continue
        with flocked(node, vmid):
            conf = load(node, vmid)
            _unlocked(conf)
            known = {volume_in(value) for key, value in conf.main.items() if is_disk(key) or key.startswith("unused")}
            for volume in _volumes(node, vmid):
                if volume not in known:
                    add_unused(conf, vmid, volume)
            for key, value in list(conf.main.items()):
                if is_disk(key) and properties(value).get("media") != "cdrom" and storage.exists(node, volume_in(value)):
                    conf.main[key] = joined({**properties(value), "size": storage.size_text(node, volume_in(value))})
            write(node, vmid, conf)


def _volumes(node: Node, vmid: str) -> list[str]:
    found = []
    for name, row in storage.storages(node).items():
        if row["type"] == "dir":
            found += [f"{name}:{vmid}/{each.name}" for each in sorted(Path(row["path"], "images", vmid).glob("vm-*"))]
    return found


def status(node: Node, vmid: str) -> None:
    load(node, vmid)
    shown = "stopped"
    if node.is_running(vmid):
        shown = "paused" if node.fault("paused") else "running"
    sys.stdout.write(f"status: {shown}\n")


def unlock(node: Node, vmid: str) -> None:
    conf = load(node, vmid)
    conf.main.pop("lock", None)
    write(node, vmid, conf)


def show_config(node: Node, vmid: str, given: dict[str, str]) -> None:
    """Pending applied unless asked otherwise, no digest, the notes encoded on one line (rule 22)."""
    conf = load(node, vmid)
    values = conf.main if given.get("current") == "1" else conf.with_pending()
    shown = dict(values)
    if conf.description:
        shown["description"] = quote(encoded(conf.description), safe=" %#")
    sys.stdout.write("".join(f"{key}: {shown[key]}\n" for key in sorted(shown)))


def pending(node: Node, vmid: str) -> None:
    conf = load(node, vmid)
    for key in sorted({*conf.main, *conf.pending}):
        word = "del" if key in conf.deletes else "new" if key in conf.pending else "cur"
        sys.stdout.write(f"{word} {key}: {conf.pending.get(key, conf.main.get(key))}\n")


def set_config(node: Node, vmid: str, given: dict[str, str]) -> None:
    update(node, vmid, given)


def refuse(program: str, words: list[str]) -> None:
    warn(f"the double knows no {program} {' '.join(words)}")
    die("ERROR: unknown command")
