# SPDX-License-Identifier: Apache-2.0
"""A real Ceph of one monitor and one small OSD, which lets nobody in without a key."""

import base64
import os
import shutil
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POOL = "vms"
PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "rbd", "ceph-authtool", "monmaptool")
OSD_BYTES = 1 << 29
SECONDS = 60.0
# Its directory of sockets and the client's keyring are as Proxmox writes them: nothing of a box has either.
CONF = """\
[global]
fsid = {fsid}
mon_host = 127.0.0.1:{port}
ms_bind_msgr1 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_client_required = cephx
auth_cluster_required = cephx
auth_service_required = cephx
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_data_avail_crit = 0
run_dir = {place}
admin_socket =
log_file = {place}/$name.log
[client]
keyring = /etc/pve/priv/$cluster.$name.keyring
[mon]
mon_data = {place}/mon
keyring = {place}/mon/keyring
[osd]
osd_data = {place}/osd
keyring = {place}/osd.keyring
bluestore_block_size = {bytes}
"""


def missing() -> list[str]:
    """The programs that a cluster needs and that are not here."""
    return [each for each in PROGRAMS if shutil.which(each) is None]


@dataclass(frozen=True)
class Cluster:
    """A running cluster with the pool `vms`; `user` may use images of that pool, and its key lies in `keyring`."""

    place: Path
    port: int
    user: str = "pve"

    @property
    def conf(self) -> Path:
        return self.place / "ceph.conf"

    @property
    def keyring(self) -> Path:
        return self.place / "far.keyring"

    @property
    def key(self) -> str:
        return self.keyring.read_text().split("key =")[1].split()[0]

    def run(self, program: str, *words: str) -> bytes:
        """As the cluster's administrator."""
        argv = [program, "-c", self.conf, "--keyring", self.place / "admin.keyring", *words]
        return subprocess.run(argv, capture_output=True, check=True, timeout=SECONDS).stdout

    def put(self, image: Path, name: str) -> None:
        self.run("rbd", "import", "--no-progress", str(image), f"{POOL}/{name}")

    def content(self, name: str) -> bytes:
        return self.run("rbd", "export", "--no-progress", f"{POOL}/{name}", "-")


@contextmanager
def cluster(place: Path) -> Iterator[Cluster]:
    """A cluster below `place` until the block ends."""
    place.mkdir(mode=0o700)
    made = Cluster(place, _free_port())
    fsid = uuid.uuid4()
    made.conf.write_text(CONF.format(fsid=fsid, port=made.port, place=place, bytes=OSD_BYTES))
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons.append(_monitor(made, str(fsid)))
        daemons.append(_store(made))
        made.run("ceph", "osd", "pool", "create", POOL, "1")
        caps = ("mon", "profile rbd", "osd", f"profile rbd pool={POOL}")
        made.keyring.write_bytes(made.run("ceph", "auth", "get-or-create", f"client.{made.user}", *caps))
        made.keyring.chmod(0o600)
        yield made
    finally:
        for each in reversed(daemons):
            each.kill()
            each.wait()


def other_key() -> str:
    """A key that no cluster knows: its kind, its time, its length, and sixteen bytes."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _write_keyring(path: Path, name: str, key: str, *caps: str) -> None:
    lines = [f'\tcaps {each} = "allow *"\n' for each in caps]
    path.write_text(f"[{name}]\n\tkey = {key}\n{''.join(lines)}")


def _monitor(made: Cluster, fsid: str) -> "subprocess.Popen[bytes]":
    all_keys, one_map = made.place / "all.keyring", made.place / "monmap"
    _write_keyring(made.place / "admin.keyring", "client.admin", other_key(), "mon", "osd", "mgr")
    _write_keyring(all_keys, "mon.", other_key(), "mon")
    all_keys.write_text(all_keys.read_text() + (made.place / "admin.keyring").read_text())
    (made.place / "mon").mkdir()
    _done("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{made.port}]", "--fsid", fsid, one_map)
    _done("ceph-mon", "-c", made.conf, "--mkfs", "-i", "a", "--monmap", one_map, "--keyring", all_keys)
    return _daemon("ceph-mon", "-c", made.conf, "-f", "-i", "a")


def _store(made: Cluster) -> "subprocess.Popen[bytes]":
    (made.place / "osd").mkdir()
    key, osd = other_key(), str(uuid.uuid4())
    _write_keyring(made.place / "osd.keyring", "osd.0", key)
    secrets = made.place / "osd.json"
    secrets.write_text(f'{{"cephx_secret": "{key}"}}')
    made.run("ceph", "osd", "new", osd, "-i", str(secrets))
    _done("ceph-osd", "-c", made.conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
    return _daemon("ceph-osd", "-c", made.conf, "-f", "-i", "0")


def _done(*argv: object) -> None:
    subprocess.run([str(each) for each in argv], capture_output=True, check=True, timeout=SECONDS)


def _daemon(*argv: object) -> "subprocess.Popen[bytes]":
    words = [str(each) for each in argv]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
