# SPDX-License-Identifier: Apache-2.0
"""What `unxen convert` makes is taken by a real libvirt and started by it; Xen's own definitions are not."""

import json
from pathlib import Path

import libvirt
import pytest
from unxen.cli.main import main

pytestmark = pytest.mark.disk
CASES = Path(__file__).resolve().parents[2] / "cases" / "convert"
EXPECTED = sorted((CASES / "expected").glob("*.libvirt"))


def xl_file(folder: Path, disk: Path, form: str, more: str = "") -> Path:
    path = folder / "guest.cfg"
    path.write_text(f'type = "hvm"\nname = "from-xen"\nmemory = 64\ndisk = [ "{disk},{form},xvda,w", ",hdc:cdrom,r" ]\n{more}')
    return path


def started(daemon, name: str) -> None:
    """Starts it paused, by emulation: whoever runs the tests may have no KVM."""
    connection = daemon.connect()
    xml = connection.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    xml = xml.replace("type='kvm'", "type='qemu'").replace("<cpu mode='host-model' check='partial'/>", "")
    domain = connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
    assert domain.isActive()
    domain.destroy()
    connection.close()


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name)
def test_every_converted_case_is_taken(daemon, path):
    connection = daemon.connect()
    domain = connection.defineXML(path.read_text())
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    connection.close()


def test_definition_from_xen_is_not_taken_as_it_is(daemon):
    connection = daemon.connect()
    with pytest.raises(libvirt.libvirtError):
        connection.defineXML((CASES / "libvirt-xenfv.xml").read_text())
    connection.close()


@pytest.mark.parametrize(("generation", "family", "bus"), [("10", "xenproject_winpv", "sata"), ("xp", "", "ide")], ids=["10", "xp"])
def test_one_command_defines_a_machine_that_starts(daemon, host, windows, tmp_path, capsys, generation, family, bus):
    disk = windows(tmp_path / "system.qcow2", generation, *filter(None, [family]))
    code = main(["convert", str(xl_file(tmp_path, disk, "qcow2")), "--repair", "--define"])
    assert (code, "defined at" in capsys.readouterr().err) == (0, True)
    connection = daemon.connect()
    assert f"bus='{bus}'" in connection.lookupByName("from-xen").XMLDesc()
    connection.close()
    started(daemon, "from-xen")


@pytest.mark.parametrize("bus", ["ide", "virtio-scsi", "virtio-blk", "scsi-lsi"])
def test_machine_starts_on_every_bus(daemon, host, windows, tmp_path, bus):
    """The drive of the CD among them."""
    disk = windows(tmp_path / "system.raw", "10", format="raw")
    assert main(["convert", str(xl_file(tmp_path, disk, "raw")), "--bus", bus, "--define"]) == 0
    started(daemon, "from-xen")


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "secure-boot"])
def test_uefi_machine_starts(daemon, host, windows, tmp_path, secure):
    """With this host's own firmware: Xen's is taken at define and cannot be started."""
    if not Path("/usr/share/qemu/firmware").is_dir():
        pytest.skip("no UEFI firmware is installed (ovmf)")
    disk = windows(tmp_path / "system.raw", "10", format="raw", scheme="gpt")
    definition = tmp_path / "guest.xml"
    definition.write_text(
        "<domain type='xen'><name>from-xen</name><memory unit='MiB'>128</memory><os><type machine='xenfv'>hvm</type>"
        f"<loader secure='{'yes' if secure else 'no'}' type='pflash'>/usr/lib/xen/boot/ovmf.bin</loader></os>"
        "<features><acpi/></features>"
        f"<devices><disk type='file'><source file='{disk}'/><target dev='xvda' bus='xen'/></disk></devices></domain>"
    )
    assert main(["convert", str(definition), "--define"]) == 0
    started(daemon, "from-xen")


def test_domain_that_is_there_is_never_replaced(daemon, host, windows, tmp_path, capsys):
    disk = windows(tmp_path / "system.raw", "10", format="raw")
    definition = xl_file(tmp_path, disk, "raw")
    assert main(["convert", str(definition), "--define"]) == 0
    definition.write_text(definition.read_text().replace("64", "128"))
    assert main(["convert", str(definition), "--define"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["convert", str(definition), "--define", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2
    connection = daemon.connect()
    assert connection.lookupByName("from-xen").maxMemory() == 64 << 10
    connection.close()


def test_what_libvirt_says_is_passed_on(daemon, host, windows, tmp_path, capsys):
    disk = windows(tmp_path / "system.raw", "10", format="raw")
    definition = xl_file(tmp_path, disk, "raw")
    definition.write_text(definition.read_text().replace("from-xen", "a/b"))
    assert main(["convert", str(definition), "--define"]) == 50
    assert "name a/b cannot contain '/'" in " ".join(capsys.readouterr().err.split())
