# SPDX-License-Identifier: Apache-2.0
"""What the guard costs a start: a domain is started paused by a real libvirtd, with the hook installed and without, in turn.

Starts a libvirtd in namespaces of its own, as the tests do, and QEMU without KVM, which does not matter: a paused machine
runs nothing. Needs root.
"""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import libvirt
from bench_disks import Shape, make_bench_disk, make_small_disks
from generators.libvirt_host import disk, domain
from generators.libvirtd import Libvirtd, libvirtd, missing
from setting import Setting, table

HOOK = Path(__file__).resolve().parent.parent / "hooks" / "libvirt" / "50-unxen"
MOST_SECONDS = 0.5
FILES = 20_000


def starts(setting: Setting) -> str:
    """One row per guest: without the hook, with it, and the difference."""
    if reason := missing():
        return f"What the guard costs a start was not measured: {reason}\n"
    disks = _disks(setting)
    with libvirtd() as daemon:
        connection = daemon.connect()
        for name, path in disks.items():
            connection.defineXML(domain(name, disk(path, "sda", "sata")))
        times = _times(setting, daemon, connection, disks)
        connection.close()
    rows = [_row(name, without, with_hook) for name, (without, with_hook) in times.items()]
    head = ("guest", "without the hook", "with it", "difference", f"under {MOST_SECONDS} s")
    return f"Paused starts of a libvirt domain, medians of {setting.rounds * 4}.\n\n{table(head, rows)}"


def _disks(setting: Setting) -> Mapping[str, Path]:
    setting.tell("making disks")
    empty, linux = make_small_disks(setting.folder)
    windows = setting.folder / "plain.qcow2"
    make_bench_disk(windows, setting.hive, Shape(files=FILES))
    return {"empty": empty, "linux": linux, "windows": windows}


def _times(
    setting: Setting, daemon: Libvirtd, connection: libvirt.virConnect, disks: Mapping[str, Path]
) -> Mapping[str, tuple[list[float], list[float]]]:
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in disks}
    for number in range(setting.rounds * 4):
        setting.tell(f"starts {number + 1} of {setting.rounds * 4}")
        for hooked in (False, True):
            _install(setting, daemon, hooked=hooked)
            for name in disks:
                found[name][hooked].append(_start(connection.lookupByName(name)))
    return found


def _install(setting: Setting, daemon: Libvirtd, *, hooked: bool) -> None:
    """The hook behind a line that gives it this unxen and a policy under which it lets everybody start."""
    place = daemon.hooks / "50-unxen"
    if not hooked:
        place.unlink(missing_ok=True)
        return
    own = {name: value for name, value in setting.env.items() if name in ("UNXEN_STATE_DIR", "UNXEN_CONFIG")}
    Path(own["UNXEN_CONFIG"]).write_text('guard = "warn"\n')
    words = " ".join(f"{name}={value}" for name, value in own.items())
    place.write_text(f'#!/bin/sh\nexport PATH={Path(setting.unxen).parent}:$PATH {words}\nexec {HOOK} "$@"\n')
    place.chmod(0o755)


def _start(machine: libvirt.virDomain) -> float:
    begun = time.monotonic()
    machine.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    took = time.monotonic() - begun
    machine.destroy()
    return took


def _row(name: str, without: list[float], with_hook: list[float]) -> tuple[str, ...]:
    plain, hooked = statistics.median(without), statistics.median(with_hook)
    cost = hooked - plain
    return (name, f"{plain:.2f} s", f"{hooked:.2f} s", f"{cost:.2f} s", "yes" if cost < MOST_SECONDS else "no")
