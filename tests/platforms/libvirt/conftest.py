# SPDX-License-Identifier: Apache-2.0
"""What the tests against a real libvirtd share: the daemon, disks with a Windows on them, and domains around those."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from generators.disks import MIB, make_disk
from generators.hives import GENERATION, driver_files, windows_hive
from generators.kernels import kernel
from generators.libvirt_host import Host
from generators.libvirtd import Libvirtd, libvirtd, missing


@pytest.fixture(scope="module")
def daemon() -> Iterator[Libvirtd]:
    """A libvirtd of this module's own."""
    if reason := missing():
        pytest.skip(f"no libvirtd can be had here: {reason}")
    with libvirtd() as running:
        yield running


@pytest.fixture
def host(daemon: Libvirtd, own_state: Path) -> Iterator[Host]:
    """The daemon without domains, and unxen configured for it."""
    host = Host(daemon, own_state.parent / "unxen.toml")
    host.configure()
    yield host
    daemon.clear()


@pytest.fixture(scope="session")
def windows(tmp_path_factory) -> Callable[..., Path]:
    """Makes a disk with a Windows on it; the same one is made once and copied."""
    made: dict[tuple[object, ...], Path] = {}
    store = tmp_path_factory.mktemp("disks")

    def make(path: Path, generation: str = "10", *families: str, format="qcow2", scheme="mbr", hive: bytes | None = None) -> Path:
        key = (generation, families, format, scheme, hive)
        if key not in made:
            made[key] = _make(store / f"{len(made)}.{format}", generation, families, format, scheme, hive)
        shutil.copyfile(made[key], path)
        return path

    return make


def _make(path: Path, generation: str, families: Sequence[str], format: str, scheme: str, hive: bytes | None) -> Path:
    row = GENERATION[generation]
    nt5 = row.version[0] == 5
    root = "WINDOWS" if nt5 else "Windows"
    hive = hive if hive is not None else windows_hive(generation, families=families)
    files = driver_files(hive, rf"\{root}")
    kind = kernel(row.version, row.arch)
    return make_disk(path, hive, format=format, scheme=scheme, root=root, kernel=kind, files=files, nt5=nt5, size=48 * MIB)


@pytest.fixture
def unxen(unxen: Callable[..., tuple[int, dict]], host: Host) -> Callable[..., tuple[int, dict]]:
    """The program, configured for the daemon."""
    return unxen
