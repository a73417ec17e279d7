# SPDX-License-Identifier: Apache-2.0
"""A disk that is a part of a file: repaired and taken back, and nothing around it touched."""

import subprocess
from pathlib import Path

import pytest
from content import digest
from generators.libvirt_host import disk
from unxen.platforms.libvirt.domain_xml import canonical

pytestmark = pytest.mark.disk
XEN = ("10", "xcpng")


def sliced(path: Path, start: int, length: int, target: str = "xvda", *, format: str = "raw") -> str:
    """A disk that is a part of its file."""
    part = f'"><slices><slice type="storage" offset="{start}" size="{length}"/></slices></source><target'
    return disk(path, target, format=format).replace('"/><target', part)


@pytest.mark.parametrize("kind", ["file", "block"])
def test_slice_of_a_file_is_repaired_and_taken_back_and_nothing_around_it(host, unxen, windows, tmp_path, kind) -> None:
    """Between a beginning of odd length and an end, as in a container that holds several images."""
    image = windows(tmp_path / "w.raw", *XEN, format="raw").read_bytes()
    before, after = b"B" * 7680, b"A" * 4096
    path = tmp_path / "container"
    path.write_bytes(before + image + after)
    device = subprocess.check_output(["losetup", "--show", "-f", path], text=True).strip() if kind == "block" else ""
    try:
        element = sliced(Path(device) if device else path, len(before), len(image))
        host.define("win", element.replace("type='file'", f"type='{kind}'").replace("file=", "dev=") if device else element)
        definition = host.xml("win")
        assert unxen("inspect", "libvirt:win")[0] == 3
        code, document = unxen("repair", "libvirt:win")
        assert (code, document["verdict"]) == (0, "repaired")
        assert unxen("inspect", "libvirt:win")[0] == 0
        assert host.starts("win") == ""
        written = path.read_bytes()
        assert written[: len(before)] == before
        assert written[-len(after) :] == after
        assert written[len(before) : -len(after)] != image
        assert unxen("undo", "libvirt:win")[0] == 0
    finally:
        if device:
            subprocess.run(["losetup", "-d", device], check=True)
    assert path.read_bytes() == before + image + after
    assert canonical(host.xml("win")) == canonical(definition)


def test_two_guests_in_one_file_keep_their_own_ways_back(host, unxen, windows, tmp_path) -> None:
    """The newest repair of the file is another guest's."""
    image = windows(tmp_path / "w.raw", *XEN, format="raw").read_bytes()
    path = tmp_path / "container"
    path.write_bytes(image + image)
    kept = {}
    for number, name in enumerate(("first", "second")):
        host.define(name, sliced(path, number * len(image), len(image)))
        assert unxen("repair", f"libvirt:{name}")[1]["reasons"] == []
        kept[name] = host.xml(name)
        host.domain(name).undefine()
    host.daemon.connect().defineXML(kept["first"])
    assert unxen("undo", "libvirt:first")[0] == 0
    assert path.read_bytes()[: len(image)] == image
    assert path.read_bytes()[len(image) :] != image


@pytest.mark.parametrize(
    ("start", "length", "format", "code"), [(512, 0, "raw", 12), (1 << 40, 512, "raw", 12), (0, 100, "raw", 12)]
)
def test_slice_that_is_no_part_of_its_file_is_refused(host, unxen, windows, tmp_path, start, length, format, code) -> None:
    path = windows(tmp_path / "w.raw", *XEN, format="raw")
    content = digest(path)
    host.define("win", sliced(path, start, length, format=format))
    assert unxen("repair", "libvirt:win")[0] == code
    assert digest(path) == content


def test_slices_with_a_format_inside_and_keys_are_refused(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("sliced", sliced(path, 0, 1 << 20, format="qcow2"))
    assert unxen("repair", "libvirt:sliced")[0] == 15
    key = "<encryption format='luks'><secret type='passphrase' uuid='6f0d6f0c-3c1b-4f43-9d3e-0a1f5c1c7a01'/></encryption>"
    host.define("locked", disk(path, "xvda", format="raw", inner=key))
    assert unxen("repair", "libvirt:locked")[0] == 24
