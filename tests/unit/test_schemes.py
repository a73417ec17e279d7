# SPDX-License-Identifier: Apache-2.0
"""A TARGET is a path unless its scheme is a platform's, and a guest of a platform stands by itself."""

from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.platforms import schemes
from unxen.platforms.files import FilesPlatform
from unxen.platforms.schemes import SCHEMES, Scheme, name_in, platform_for, scheme_of

SETTINGS = Settings(Path("/nowhere"))


@pytest.mark.parametrize("path", ["disk.raw", "./libvirt:win10", "/x/proxmox:100", "odd:name.raw", "", ":", "libvirt"])
def test_everything_without_a_scheme_is_a_path(path: str) -> None:
    assert scheme_of(path) == ""
    assert isinstance(platform_for((path,), SETTINGS), FilesPlatform)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_is_told_from_the_name(scheme: str) -> None:
    assert (scheme_of(f"{scheme}:a:b"), name_in(f"{scheme}:a:b")) == (scheme, "a:b")


def test_guest_of_a_platform_stands_by_itself() -> None:
    with pytest.raises(Refused) as caught:
        platform_for(("a.raw", "libvirt:win10"), SETTINGS)
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.USAGE, "libvirt:win10")


def test_platform_that_is_not_there_yet_is_named(monkeypatch) -> None:
    monkeypatch.setitem(SCHEMES, "proxmox", Scheme(""))
    with pytest.raises(Refused) as caught:
        platform_for(("proxmox:100",), SETTINGS)
    assert caught.value.first.kind is ReasonKind.PLATFORM_REFUSED


def test_library_that_is_not_installed_is_named_with_its_package(monkeypatch) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError("no module", name="libvirt")

    monkeypatch.setitem(SCHEMES, "libvirt", Scheme("unxen.platforms.libvirt.platform", "libvirt", "python3-libvirt"))
    monkeypatch.setattr(schemes.importlib, "import_module", missing)
    with pytest.raises(Refused) as caught:
        platform_for(("libvirt:win10",), SETTINGS)
    assert caught.value.first.kind is ReasonKind.TOOL_MISSING
    assert caught.value.first.detail("package") == "python3-libvirt"
