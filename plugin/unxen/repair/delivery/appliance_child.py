# SPDX-License-Identifier: Apache-2.0
"""The program that holds libguestfs, so that a crash of that library ends this program and not unxen.

Started as a script by the system's interpreter; imports guestfs and the standard library, nothing of unxen. Reads one request from
standard input (JSON: drives, writes), takes the bytes from descriptors it inherited, and says how far it came in JSON lines on
standard output, the last of them `done` or why it ended. Writes only through the NBD exports that the request names. Never
`upload`: it truncates first, and ntfs-3g then puts the file elsewhere.
"""

import json
import os
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

MEMORY_MIB = 256
"""The least that libguestfs takes; enough for ntfs-3g and a hive of any size, which is never held whole."""
MOUNT_OPTIONS = "norecover,noatime"
"""`norecover`: ntfs-3g would reset an unclean $LogFile without a word. `noatime`: no time stamp but those of the write."""
SCRATCH_BYTES = 1 << 20
MOST_LINES, LONGEST_LINE, MOST_KEPT = 4, 300, 40
BUILDER = "supermin: "
UNBUILT = "supermin exited"


class Stopped(Exception):
    """The work ends here; `state` is the last line's key."""

    def __init__(self, state: str, cause: str) -> None:
        super().__init__(cause)
        self.state, self.cause = state, cause


class Messages:
    """The last lines that QEMU, supermin and the appliance's kernel said: libguestfs' own errors leave the cause to them."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MOST_KEPT)

    def hear(self, _event: int, _handle: int, text: str, _numbers: list[int]) -> None:
        """Called by libguestfs; must not raise."""
        self._lines.extend(_lines(text))

    def telling(self, error: BaseException, *, own: bool) -> str:
        """The cause: the library's own first line where it tells (`own`) or nothing else was said, else the last messages."""
        if own or not self._lines:
            return (_lines(error) or [type(error).__name__])[0]
        # What a failed build says ends in two paragraphs of advice.
        builder = [line for line in self._lines if line.startswith(BUILDER)]
        return "; ".join((builder or list(self._lines))[-MOST_LINES:])


def _lines(text: object) -> list[str]:
    return [line.strip()[:LONGEST_LINE] for line in str(text).splitlines() if line.strip()]


def say(**state: str) -> None:
    """One line of progress, or the last one."""
    sys.stdout.write(json.dumps(state) + "\n")
    sys.stdout.flush()


def answer(done_by: Callable[[dict[str, Any]], None]) -> int:
    """One request from start to end; a refusal is a line, not an exit code."""
    request = json.load(sys.stdin)
    try:
        done_by(request)
    except Stopped as end:
        say(**{end.state: end.cause})
    else:
        say(done="")
    return 0


def work(request: dict[str, Any]) -> None:
    """Starts the appliance, writes everything, ends it; the disk is flushed when this returns."""
    messages = Messages()
    guest = new_handle(messages)
    try:
        if not request["drives"]:
            # Nothing is to be written, only tried; libguestfs wants a drive all the same.
            guest.add_drive_scratch(SCRATCH_BYTES)
        launch(guest, request["drives"], messages)
        for number, writes in enumerate(request["drives"]):
            _write_drive(guest, number, writes["writes"])
        guest.sync()
        guest.shutdown()
    except (RuntimeError, OSError, UnicodeError) as error:
        raise Stopped("failed", messages.telling(error, own=True)) from error
    finally:
        with suppress(RuntimeError):
            guest.close()


def new_handle(messages: Messages) -> Any:
    """A library handle whose settings are those of this program, whatever the environment says of back ends."""
    try:
        import guestfs
    except ImportError as error:
        raise Stopped("missing", str(error)) from error
    guest = guestfs.GuestFS(python_return_dict=True)
    guest.set_event_callback(messages.hear, guestfs.EVENT_APPLIANCE | guestfs.EVENT_LIBRARY | guestfs.EVENT_WARNING)
    guest.set_backend("direct")
    guest.set_memsize(MEMORY_MIB)
    guest.set_network(False)
    # A process that ends QEMU when this one is killed.
    guest.set_recovery_proc(True)
    return guest


def launch(guest: Any, drives: list[dict[str, Any]], messages: Messages) -> None:
    """Starts the appliance with these drives; Stopped(unbuilt, unstarted) when it does not come to life."""
    try:
        for drive in drives:
            server = {"protocol": "nbd", "server": [f"unix:{drive['socket']}"]}
            guest.add_drive_opts(drive["export"], readonly=drive.get("readonly", False), format="raw", **server)
        guest.launch()
    except RuntimeError as error:
        unbuilt = UNBUILT in str(error)
        raise Stopped("unbuilt" if unbuilt else "unstarted", messages.telling(error, own=False)) from error
    say(started="kvm" if _has_kvm(guest.get_pid()) else "tcg")


def _has_kvm(process: int) -> bool:
    """Whether the running QEMU holds a virtual machine of the kernel's; its command line only says what it would like."""
    with suppress(OSError):
        for each in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                if os.readlink(each) == "anon_inode:kvm-vm":  # noqa: PTH115
                    return True
    return False


def _write_drive(guest: Any, number: int, writes: list[dict[str, Any]]) -> None:
    """The writes of one drive, each partition mounted once."""
    device = guest.list_devices()[number]
    for partition in sorted({write["partition"] for write in writes}):
        guest.mount_vfs(MOUNT_OPTIONS, "ntfs-3g", f"{device}{partition or ''}", "/")
        chosen = [(_spelled(guest, each["path"]), each) for each in writes if each["partition"] == partition]
        for path, write in chosen:
            _check_size(guest, path, write["size"])
        for path, write in chosen:
            _write(guest, path, write)
        guest.umount("/")


def _write(guest: Any, path: str, write: dict[str, Any]) -> None:
    """The ranges, or everything, and then the whole file read back: half of the time of writing it whole without KVM (measured)."""
    if not write["ranges"]:
        guest.upload_offset(f"/proc/self/fd/{write['fd']}", path, 0)
    for offset, length in write["ranges"]:
        written = guest.pwrite(path, os.pread(write["fd"], length, offset), offset)
        if written != length:
            raise Stopped("failed", f"{written} of {length} bytes written")
    if guest.checksum("sha256", path) != write["sha256"]:
        raise Stopped("failed", "the file reads otherwise than it was written")


def _spelled(guest: Any, path: str) -> str:
    """The path as the volume spells it; a path that is there as given is not searched for."""
    return path if guest.is_file(path) else str(guest.case_sensitive_path(path))


def _check_size(guest: Any, path: str, size: int) -> None:
    """Writing from offset 0 never shortens: the old tail would stay behind shorter bytes."""
    found = guest.filesize(path)
    if found > size:
        raise Stopped("longer", f"{found}")


if __name__ == "__main__":
    sys.exit(answer(work))
