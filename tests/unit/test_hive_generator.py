# SPDX-License-Identifier: Apache-2.0
"""The fixtures themselves: generated hives are as clean as Windows' own, readable by others, and hold what their names promise."""

import pytest
from generators.hive_bytes import Node, Value, write_hive
from generators.hives import FAMILIES, GENERATIONS, add_family, driver_files, plant, windows_hive
from generators.network import Card
from generators.oddities import ODDITIES
from generators.reg_text import parse
from unxen.registry.audit import audit
from unxen.registry.hive import Hive, Key

HDC, SYSTEM = "{4d36e96a-e325-11ce-bfc1-08002be10318}", "{4d36e97d-e325-11ce-bfc1-08002be10318}"
EXAMPLES = {
    "foreign_filter": "fooflt",
    "dangling_filter": "goneflt",
    "disk_filter": "stdcfltn",
    "controller_filters": ("xenvbd", "xennet"),
    "citrix_prepared": True,
    "reg_sz_list": "XENFILT",
    "two_endings": ("XENFILT", "fooflt"),
    "no_ending": ("XENFILT",),
    "upper_cased": ("xenfilt", "fooflt"),
    "overrides": {"storahci": range(6)},
    "no_overrides": ("storahci",),
    "starts": {"atapi": 3},
    "virtio": ("viostor", "vioscsi"),
    "virtio_win": ("viostor", "vioscsi"),
    "kvm_traces": True,
    "third_party": "mvahci",
    "emptied_keyboard": True,
    "missing_service": "partmgr",
    "setup_in_progress": True,
    "no_database": True,
    "network": [Card("Ethernet", addresses=["192.0.2.1"])],
    "text": '[ControlSet*\\Services\\extra]\n"Start"=dword:3',
}


def at(hive: bytes, path: str) -> Key:
    found = Hive.read(hive).key(path)
    assert found is not None, path
    return found


def names(hive: bytes, guid: str, side: str = "UpperFilters", control_set: str = "ControlSet001") -> tuple[str, ...] | None:
    value = at(hive, rf"{control_set}\Control\Class\{guid}").value(side)
    return value.strings() if value else None


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_cell_of_a_generated_hive_is_used_or_free(generation):
    assert audit(windows_hive(generation)) == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_leaves_a_clean_hive_with_a_service_that_starts_at_boot(family):
    hive = windows_hive("10", families=[family])
    assert audit(hive) == ()
    added = {key.name for key in at(hive, r"ControlSet001\Services").subkeys()} - {
        key.name for key in at(windows_hive("10"), r"ControlSet001\Services").subkeys()
    }
    starts = [at(hive, rf"ControlSet001\Services\{name}").value("Start") for name in added]
    assert any(start is not None and start.dword() == 0 for start in starts)


@pytest.mark.parametrize("oddity", ODDITIES)
def test_every_oddity_changes_the_hive_and_leaves_it_clean(oddity):
    hive = windows_hive("10", families=["xcpng"], **{oddity: EXAMPLES[oddity]})
    assert hive != windows_hive("10", families=["xcpng"])
    assert audit(hive) == ()


def test_equal_arguments_give_equal_bytes():
    assert windows_hive("2019", families=["aws_pv"], kvm_traces=True) == windows_hive("2019", families=["aws_pv"], kvm_traces=True)


def test_a_family_appends_its_filter_behind_what_is_there():
    hive = windows_hive("10", families=["citrix_legacy"])
    assert names(hive, "{4d36e967-e325-11ce-bfc1-08002be10318}", "LowerFilters") == ("EhStorClass", "scsifilt")


def test_device_filters_hang_on_every_instance():
    hive = windows_hive("xp", families=["redhat_xenpv"])
    instances = at(hive, r"ControlSet003\Enum\PCIIDE\IDEChannel").subkeys()
    assert [key.value("UpperFilters").strings() for key in instances] == [("rhelfltr",)] * 2


def test_generations_differ_in_start_and_override():
    def row(generation: str, service: str) -> tuple[int | None, bool]:
        key = at(windows_hive(generation), rf"ControlSet001\Services\{service}")
        return key.value("Start").dword(), key.subkey("StartOverride") is not None

    assert row("xp", "pciide") == (4, False)
    assert row("7", "msahci") == (3, False)
    assert row("8", "storahci") == (0, True)
    assert row("10", "intelide") == (0, False)


def test_overrides_can_have_many_numbers():
    hive = windows_hive("10", overrides={"storahci": range(6)})
    override = at(hive, r"ControlSet001\Services\storahci\StartOverride")
    assert sorted(value.name for value in override.values()) == list("012345")


def test_control_sets_and_select_are_as_asked():
    hive = windows_hive("10", control_sets=(1, 2, 7), select={"Current": 2, "Failed": 7}, families=["xcpng"])
    assert [key.name for key in Hive.read(hive).root.subkeys() if key.name.startswith("Control")] == [
        "ControlSet001",
        "ControlSet002",
        "ControlSet007",
    ]
    assert at(hive, "Select").value("Failed").dword() == 7
    assert all(names(hive, HDC, control_set=f"ControlSet00{number}") == ("XENFILT",) for number in (1, 2, 7))


def test_planting_sets_removes_and_appends_and_stays_clean():
    hive = plant(
        windows_hive("10", families=["xcpng"]),
        "Windows Registry Editor Version 5.00\n\n"
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\atapi]\n"
        '"Start"=dword:00000003\n"Note"="a \\"quoted\\" C:\\\\path"\n"Group"=-\n'
        f'[ControlSet*\\Control\\Class\\{SYSTEM}]\n"UpperFilters"=+multi:fooflt\n'
        "[-ControlSet001\\Services\\storahci\\StartOverride]\n"
        '[ControlSet001\\Services\\new\\below]\n"Raw"=hex(7):41,00,\\\n  00,00\n',
    )
    atapi = at(hive, r"ControlSet001\Services\atapi")
    assert (atapi.value("Start").dword(), atapi.value("Note").text(), atapi.value("Group")) == (3, 'a "quoted" C:\\path', None)
    assert names(hive, SYSTEM) == ("XENFILT", "fooflt")
    assert at(hive, r"ControlSet001\Services\storahci").subkeys() == ()
    assert at(hive, r"ControlSet001\Services\new\below").value("Raw").data == b"A\0\0\0"
    assert audit(hive) == ()


def test_text_that_is_not_understood_is_refused():
    with pytest.raises(ValueError, match="not understood"):
        list(parse('[Select]\n"Current"=drowd:1'))


def test_driver_files_follow_image_paths_and_leave_out_what_never_was_there():
    files = driver_files(windows_hive("7", families=["citrix_legacy"]), missing=("scsifilt",))
    assert {rf"\Windows\System32\drivers\{name}.sys" for name in ("xevtchn", "msahci", "pciidex")} <= set(files)
    assert not any("scsifilt" in each or each.endswith(".exe") for each in files)
    xp = driver_files(windows_hive("xp"), root=r"\WINDOWS")
    assert r"\WINDOWS\System32\drivers\partmgr.sys" in xp
    assert not any("symc8xx" in each or "\\pciide.sys" in each for each in xp)


def test_names_beyond_latin_and_large_values_are_laid_out_right():
    root = Node("ROOT")
    root.below("Ключ\\below").values["ИМЯ"] = Value("Имя", 3, bytes(range(256)) * 40)
    root.below("Ключ").values[""] = Value("", 1, b"x\0\0\0")
    hive = write_hive(root)
    assert audit(hive) == ()
    assert at(hive, "ключ\\below").value("имя").data == bytes(range(256)) * 40
    with pytest.raises(ValueError):
        root.below("large").values["X"] = Value("x", 3, bytes(20000))
        write_hive(root)


def test_another_reader_sees_the_same_tree(tmp_path):
    registry = pytest.importorskip("Registry.Registry", reason="python-registry is not installed")
    hive = windows_hive("8.1", families=["gplpv_old"])
    path = tmp_path / "SYSTEM"
    path.write_bytes(hive)

    def foreign(key) -> set[tuple[str, str]]:
        below = {each for child in key.subkeys() for each in foreign(child)}
        return below | {(key.path().partition("\\")[2], value.name()) for value in key.values()}

    ours = {(key.path, value.name or "(default)") for key in Hive.read(hive).root.walk() for value in key.values()}
    assert foreign(registry.Registry(str(path)).root()) == ours


@pytest.mark.corpus
def test_a_family_fits_into_a_real_hive(corpus):
    hive = add_family(corpus.read("win10-19041-x64-vmware/SYSTEM"), "xcpng")
    assert names(hive, SYSTEM) == ("XENFILT",)
    assert at(hive, r"ControlSet001\Services\xenbus").value("Start").dword() == 0
    assert audit(hive) == ()
