# SPDX-License-Identifier: Apache-2.0
"""The Debian package asks for what the program imports and starts, and for nothing that would hurt a Proxmox VE node."""

import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
CONTROL = (TOP / "packaging" / "debian" / "control").read_text()
INSTALLER = (TOP / "packaging" / "install-debian.sh").read_text()
# Needed for a checkout and not for an installed package, or essential on Debian.
ONLY_FOR_A_CHECKOUT = {"python3-venv", "python3-pip", "python3-setuptools", "python3-wheel", "ca-certificates", "util-linux"}
# Comes with the packages that need it.
BY_OTHERS = {"qemu-system-x86": "python3-guestfs"}


def field(name: str) -> list[str]:
    """The alternatives of one field of the binary package, an element for each comma."""
    (found,) = re.findall(rf"(?m)^{name}: ((?:.*\n)(?: .*\n)*)", CONTROL.split("\n\n", 1)[1])
    return [each.strip() for each in found.split(",") if each.strip()]


def wanted() -> list[str]:
    (found,) = re.findall(r'for_running="([^"]*)"', INSTALLER)
    return [each for each in found.split() if each not in ONLY_FOR_A_CHECKOUT]


@pytest.mark.parametrize("package", wanted())
def test_what_a_checkout_installs_the_package_asks_for(package: str) -> None:
    asked = [name for one in ("Depends", "Recommends", "Suggests") for each in field(one) for name in re.split(r"\s*\|\s*", each)]
    assert BY_OTHERS.get(package, package) in asked


def test_qemu_of_proxmox_counts_as_qemu_and_no_version_is_asked() -> None:
    for package in [each for each in field("Depends") if each.startswith("qemu")]:
        assert package.endswith("| pve-qemu-kvm")
        assert "(" not in package


def test_no_daemon_is_pulled_onto_a_host() -> None:
    asked = " ".join(each for one in ("Depends", "Recommends") for each in field(one))
    assert "daemon" not in asked
    assert "proxmoxer" not in asked


# Debian's alone: on a package index these names belong to nobody, or to something else.
NOT_ON_AN_INDEX = {"guestfs", "libguestfs", "hivex", "nbd", "libnbd", "pyfsntfs", "pytsk3", "seccomp"}


@pytest.mark.parametrize("file", ["setup.cfg", "pyproject.toml", "tests/requirements.txt"])
def test_no_requirement_names_what_no_index_has(file: str) -> None:
    lines = [re.split(r"[#\s<>=\[;]", line.strip(" \t'\","), maxsplit=1)[0] for line in (TOP / file).read_text().splitlines()]
    assert not NOT_ON_AN_INDEX & {each.lower() for each in lines}


def test_program_itself_requires_nothing_from_an_index() -> None:
    parser = ConfigParser(interpolation=None)
    parser.read(TOP / "setup.cfg")
    assert parser["options"]["install_requires"].strip() == ""
    assert not {each for each in parser.sections() if each.startswith("options.extras")}


def completed(*words: str) -> list[str]:
    """What bash offers for the last word."""
    script = subprocess.run(
        [sys.executable, str(TOP / "packaging" / "make-completion")], check=True, capture_output=True, text=True
    ).stdout
    typed = " ".join(shlex.quote(each) for each in words)
    call = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _unxen; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", f"{script}\n{call}"], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("unxen", "ins"), ["inspect"]),
        (("unxen", "repair", "--dry"), ["--dry-run"]),
        (("unxen", "repair", "--bus", "virtio-"), ["virtio-blk", "virtio-scsi"]),
        (("unxen", "hooks", "inst"), ["install"]),
        (("unxen", "plan", "--as", "r"), ["reg"]),
    ],
)
def test_shell_completes_what_the_program_knows(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*words) == offered
