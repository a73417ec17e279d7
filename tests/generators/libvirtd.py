# SPDX-License-Identifier: Apache-2.0
"""A real libvirtd for tests: a system daemon in namespaces of its own, with its own configuration, hooks and state, under TCG.

Needs root, libvirt-daemon and qemu-system-x86. Everything below /run, /etc/libvirt and /var/lib/libvirt that the daemon sees is its
own; disks are on the shared file system. Nothing of the host's own libvirt is read or written. Ends with its guests.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import libvirt

SCRIPT = r"""
set -e
S="$1"
mkdir -p /run/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt
for each in /run /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt; do mount -t tmpfs -o mode=755 tmpfs $each; done
ip link set lo up
# The account that the package libvirt-daemon-system makes; libvirtd does not start without it, whatever its configuration says.
for each in passwd group; do cp /etc/$each "$S/$each"; done
grep -q ^libvirt-qemu: "$S/passwd" || echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>"$S/passwd"
grep -q ^libvirt-qemu: "$S/group" || echo 'libvirt-qemu:x:64055:' >>"$S/group"
grep -q ^kvm: "$S/group" || echo 'kvm:x:64056:' >>"$S/group"
for each in passwd group; do mount --bind "$S/$each" /etc/$each; done
mkdir -p /run/libvirt /etc/libvirt/hooks/qemu.d "$S/hooks"
mount --bind "$S/hooks" /etc/libvirt/hooks/qemu.d
# libvirt looks once whether there are hooks at all; with one that does nothing, others are seen as soon as they are there.
printf '#!/bin/sh\nexit 0\n' >"$S/hooks/00-nothing"
chmod 755 "$S/hooks/00-nothing"
printf 'auth_unix_rw = "none"\nauth_unix_ro = "none"\nunix_sock_dir = "%s"\n' "$S" >/etc/libvirt/libvirtd.conf
printf '%s\n' 'user = "root"' 'group = "root"' 'stdio_handler = "file"' 'security_driver = "none"' 'cgroup_controllers = []' \
  'namespaces = []' >/etc/libvirt/qemu.conf
daemon() { libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid >"$S/log" 2>&1 & P=$!; }
trap 'kill $P; wait $P; exit 0' TERM
trap 'R=1; kill $P' USR1
echo $$ >"$S/holder.pid"
daemon
while :; do
  R=0
  wait $P || true
  # A restart by the test, or the interruption of the wait by its signal.
  if [ "$R" = 1 ]; then wait $P 2>/dev/null || true; daemon; else kill -0 $P 2>/dev/null || exit 0; fi
done
"""


@dataclass(frozen=True)
class Libvirtd:
    """A running daemon; `hooks` is its /etc/libvirt/hooks/qemu.d."""

    directory: Path
    uri: str
    holder: int

    @property
    def hooks(self) -> Path:
        return self.directory / "hooks"

    def connect(self) -> libvirt.virConnect:
        """A new connection, as soon as the daemon answers."""
        return _until_it_answers(self.uri)

    def restart(self) -> None:
        """Stops the daemon and starts it again; guests go on running."""
        before = self.process
        os.kill(self.holder, signal.SIGUSR1)
        deadline = time.monotonic() + 60
        while self.process in (0, before):
            assert time.monotonic() < deadline, "libvirtd did not start again"
            time.sleep(0.1)
        self.connect().close()

    @property
    def process(self) -> int:
        """The daemon's number, 0 while there is none."""
        found = subprocess.run(["pgrep", "-P", str(self.holder), "libvirtd"], capture_output=True, text=True, check=False).stdout
        return int(found.split()[0]) if found.strip() else 0

    def clear(self) -> None:
        """No domain is left, running or not."""
        connection = self.connect()
        for domain in connection.listAllDomains():
            with suppress(libvirt.libvirtError):
                domain.destroy()
            for snapshot in domain.listAllSnapshots() if domain.isPersistent() else ():
                with suppress(libvirt.libvirtError):
                    snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
            with suppress(libvirt.libvirtError):
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        connection.close()


def missing() -> str:
    """Why no daemon can be had here; empty when it can."""
    if os.geteuid() != 0:
        return "a system libvirtd needs root"
    absent = [each for each in ("libvirtd", "qemu-system-x86_64", "unshare", "ip") if shutil.which(each) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if not driver_installed("qemu"):
        return "libvirtd has no driver for QEMU (libvirt-daemon-driver-qemu)"
    done = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip()


def driver_installed(name: str) -> bool:
    """Whether libvirtd can load this driver; newer distributions have a package for each."""
    return any(Path("/usr").glob(f"lib*/**/libvirt/connection-driver/libvirt_driver_{name}.so"))


@contextmanager
def libvirtd() -> Iterator[Libvirtd]:
    """A daemon until the block ends."""
    # Short, because a socket's address is.
    directory = Path(tempfile.mkdtemp(prefix="lv-", dir="/tmp"))
    directory.chmod(0o755)
    command = ["unshare", "--mount", "--net", "--propagation", "private", "bash", "-c", SCRIPT, "bash", str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        uri = f"qemu+unix:///system?socket={directory}/libvirt-sock"
        _until_it_answers(uri).close()
        daemon = Libvirtd(directory, uri, int((directory / "holder.pid").read_text()))
        yield daemon
        daemon.clear()
    finally:
        with suppress(OSError, ValueError):
            os.kill(int((directory / "holder.pid").read_text()), signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _until_it_answers(uri: str, seconds: float = 60.0) -> libvirt.virConnect:
    deadline = time.monotonic() + seconds
    libvirt.registerErrorHandler(lambda *_: None, None)
    while True:
        try:
            return libvirt.open(uri)
        except libvirt.libvirtError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
