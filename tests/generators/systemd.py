# SPDX-License-Identifier: Apache-2.0
"""A real systemd for tests: process 1 of namespaces of its own, which runs our units with everything that they close.

Needs root, Debian's systemd (which need not run on this host) and cgroups that can be made. Sees the host's file system, but for
/run and the host's units; ends with its unit.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
GROUPS = Path("/sys/fs/cgroup")
SCRIPT = r"""
set -e
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system
cp -r "$1"/. /run/systemd/system/
mount -t tmpfs tmpfs /etc/systemd/system
umount -R /sys/fs/cgroup
if [ "$2" = 2 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
fi
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit="$3" --log-target=console \
  --log-level=notice --show-status=no
"""
# Once, without what it waits for; the end of the unit is the end of systemd.
ALONE = """[Unit]
DefaultDependencies=no
Wants=
ConditionPathExists=
RequiresMountsFor=
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
Restart=no
RemainAfterExit=no
"""


@dataclass(frozen=True)
class Ran:
    """What became of a unit's program: its exit code, what it printed, and what systemd itself said."""

    code: int
    stdout: str
    stderr: str
    systemd: str


def missing() -> str:
    """Why no systemd can be had here; empty when it can."""
    if os.geteuid() != 0:
        return "a systemd of one's own needs root"
    if not SYSTEMD.exists():
        return "not installed: systemd"
    try:
        _Groups().remove()
    except OSError as error:
        return f"no cgroup can be made here: {error.strerror}"
    return ""


def run_unit(unit: Path, command: Sequence[str], environment: Mapping[str, str], seconds: float = 120) -> Ran:
    """One of our units, with another program in it: what it orders and waits for is left out, what it closes is not."""
    # Its marks are read here, so they lie where no unit hides anything.
    with tempfile.TemporaryDirectory(prefix="sd-", dir="/tmp") as name:
        folder = Path(name)
        shutil.copy(unit, _made(folder / "units") / unit.name)
        files = {each: folder / each for each in ("stdout", "stderr", "code")}
        call = shlex.join(["/bin/sh", "-c", f'"$@"; echo $? >{files["code"]}', "sh", *command])
        lines = [f"Environment={shlex.quote(f'{key}={value}')}" for key, value in environment.items()]
        lines += ["ExecStart=", f"ExecStart={call.replace('$', '$$').replace('%', '%%')}"]
        lines += [f"StandardOutput=file:{files['stdout']}", f"StandardError=file:{files['stderr']}"]
        (_made(folder / "units" / f"{unit.name}.d") / "test.conf").write_text(ALONE + "\n".join(lines) + "\n")
        said = _boot(folder / "units", unit.name, seconds)
        texts = {each: path.read_text() if path.exists() else "" for each, path in files.items()}
        return Ran(int(texts["code"] or -1), texts["stdout"], texts["stderr"], said)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _boot(units: Path, goal: str, seconds: float) -> str:
    groups = _Groups()
    spaces = ["--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--propagation", "private"]
    command = ["unshare", *spaces, "bash", "-c", SCRIPT, "bash", str(units), groups.version, goal]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, preexec_fn=groups.enter, check=False
        )
    finally:
        groups.remove()
    return done.stdout + done.stderr


class _Groups:
    """A cgroup in each hierarchy that systemd uses, so that it takes what it finds above itself for its own."""

    def __init__(self) -> None:
        self.version = "2" if (GROUPS / "cgroup.procs").exists() else "1"
        roots = [GROUPS] if self.version == "2" else [GROUPS / "systemd", GROUPS / "unified"]
        self._folders = [root / f"unxen-tests-{os.getpid()}" for root in roots]
        for each in self._folders:
            each.mkdir()

    def enter(self) -> None:
        for each in self._folders:
            (each / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self) -> None:
        for each in self._folders:
            for folder, _, _ in os.walk(each, topdown=False):
                Path(folder).rmdir()
