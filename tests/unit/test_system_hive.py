# SPDX-License-Identifier: Apache-2.0
"""What is read from a SYSTEM hive: services and files, filters, devices, driver databases; and that nothing crashes on bad ones."""

import pytest
from generators.hive_bytes import Node, write_hive
from generators.hives import FAMILIES, GENERATIONS, driver_files, windows_hive
from unxen.errors import Refused
from unxen.model.codec import decode, encode
from unxen.model.ids import GuestPath, Missing
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import ControlSetFacts, FilterScope, FilterSide, ServiceFact, SystemFacts
from unxen.probe.image_path import Home, driver_path
from unxen.probe.system_hive import read_system
from unxen.probe.wanted import Wanted

WANTED = Wanted(
    services=("atapi", "intelide", "storahci", "xenbus", "scsifilt", "fooflt"),
    settings=(r"services\xen\unplug", r"services\xenfilt\unplug"),
    device_prefixes=("pci\\ven_5853", "pci\\ven_1af4", "xen\\"),
    device_ids=(r"pci\ven_8086&dev_7010", r"pci\cc_010601", r"pci\cc_010802"),
)
VOLUME = "{71a27cdd-812a-11d0-bec7-08002be2092f}"
ROOT = GuestPath(r"\Windows")
HDC, SYSTEM = "{4d36e96a-e325-11ce-bfc1-08002be10318}", "{4d36e97d-e325-11ce-bfc1-08002be10318}"


def read(hive: bytes, root: GuestPath = ROOT) -> SystemFacts:
    """The facts, on a disk that has exactly the files that such a Windows has."""
    files = {path.lower() for path in driver_files(hive, root)}
    return read_system(hive, WANTED, lambda path: path.lower() in files, root)


def only_set(facts: SystemFacts) -> ControlSetFacts:
    assert len(facts.control_sets) == 1
    return facts.control_sets[0]


def service(facts: SystemFacts, name: str) -> ServiceFact:
    (found,) = (each for each in only_set(facts).services if each.name.lower() == name.lower())
    return found


def lists(control_set: ControlSetFacts, guid: str) -> list[tuple[FilterScope, FilterSide, tuple[str, ...]]]:
    return [(each.scope, each.side, each.names) for each in control_set.filters if each.class_guid.lower() == guid]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_is_read_whole_and_travels_as_json(generation):
    facts = read(windows_hive(generation, families=["xcpng"]))
    assert facts.unread == ()
    assert decode(SystemFacts, encode(facts)) == facts
    first = facts.control_sets[0]
    by_name = {each.name.lower(): each for each in first.services}
    assert {"acpi", "pci", "disk", "partmgr", "mountmgr", "atapi", "intelide", "xenbus", "xenfilt", "xenagent"} <= set(by_name)
    assert by_name["disk"].start == 0
    assert by_name["disk"].file_seen is True
    assert any(device.id.startswith(r"PCI\VEN_8086&DEV_7010") and device.service == "intelide" for device in first.devices)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_service_of_a_family_that_starts_at_boot_is_read(family):
    plain = {each.name for each in only_set(read(windows_hive("10"))).services}
    added = [each for each in only_set(read(windows_hive("10", families=[family]))).services if each.name not in plain]
    assert any(each.start == 0 and each.file_seen is True for each in added)


def test_a_service_stands_as_it_is():
    xenvbd = service(read(windows_hive("10", families=["xcpng"])), "xenvbd")
    assert (xenvbd.start, xenvbd.type, xenvbd.error_control, xenvbd.group) == (0, 1, 1, "Scsi Miniport")
    assert xenvbd.key == r"ControlSet001\Services\xenvbd"
    assert xenvbd.image_path == r"System32\drivers\xenvbd.sys"
    assert xenvbd.file == r"\Windows\System32\drivers\xenvbd.sys"


def test_values_that_are_not_there_or_of_another_type_are_two_facts():
    text = '[ControlSet*\\Services\\xenodd]\n"Start"="0"\n"ImagePath"=hex:00,01\n[ControlSet*\\Services\\xenbare]\n"Type"=dword:1'
    facts = read(windows_hive("10", text=text))
    odd, bare = service(facts, "xenodd"), service(facts, "xenbare")
    assert (odd.start, odd.image_path, odd.file) == (Missing.UNREADABLE,) * 3
    assert (bare.start, bare.image_path) == (Missing.ABSENT, Missing.ABSENT)
    assert bare.file == r"\Windows\System32\drivers\xenbare.sys"


def test_processes_that_have_nothing_to_do_with_booting_are_left_out_but_xen_ones_are_not():
    program = r"expand:C:\Tools\{}\service.exe"
    text = "\n".join(
        f'[ControlSet*\\Services\\{name}]\n"Type"=dword:10\n"Start"=dword:2\n"ImagePath"={program.format(place)}'
        for name, place in (("spooler", "Print"), ("helper", "XenTools"))
    )
    found = {each.name for each in only_set(read(windows_hive("10", text=text))).services}
    assert "helper" in found
    assert "spooler" not in found


def test_files_are_asked_for_only_where_it_matters():
    asked: list[str] = []
    hive = windows_hive("10", families=["xcpng"], foreign_filter="fooflt")
    facts = read_system(hive, WANTED, lambda path: bool(asked.append(path)), ROOT)
    assert r"\Windows\System32\drivers\fooflt.sys" in asked
    assert r"\Windows\System32\drivers\cdrom.sys" not in asked
    assert service(facts, "cdrom").file_seen is Missing.NOT_LOOKED_AT
    assert service(facts, "fooflt").file_seen is False


def test_overrides_keep_every_number():
    overrides = service(read(windows_hive("10", overrides={"storahci": range(6)})), "storahci").overrides
    assert overrides is not None
    assert sorted(each.name for each in overrides.values) == list("012345")
    assert all(each.value.data == b"\3\0\0\0" for each in overrides.values)
    assert service(read(windows_hive("10")), "atapi").overrides is None


@pytest.mark.parametrize(
    ("image_path", "expected"),
    [
        (Missing.ABSENT, r"\WINNT\System32\drivers\name.sys"),
        ("", r"\WINNT\System32\drivers\name.sys"),
        (r"system32\DRIVERS\name.sys", r"\WINNT\system32\DRIVERS\name.sys"),
        (r"\SystemRoot\System32\drivers\name.sys", r"\WINNT\System32\drivers\name.sys"),
        (r"\systemroot\system32\DriverStore\FileRepository\a\name.sys", r"\WINNT\system32\DriverStore\FileRepository\a\name.sys"),
        (r"%SystemRoot%\system32\drivers\name.sys", r"\WINNT\system32\drivers\name.sys"),
        (r"\??\D:\Tools\name.sys", r"\Tools\name.sys"),
        (r'"D:\Program Files\Xen Tools\agent.exe" -service', r"\Program Files\Xen Tools\agent.exe"),
        (r"D:\Program Files\Xen Tools\agent.exe -service", r"\Program Files\Xen Tools\agent.exe"),
        (r"\??\C:\Tools\name.sys", Missing.UNREADABLE),
        (r"\Device\HarddiskVolume1\name.sys", Missing.UNREADABLE),
        (r"\\server\share\name.sys", Missing.UNREADABLE),
        (r"%ProgramData%\name.sys", Missing.UNREADABLE),
        (r"System32\..\..\name.sys", Missing.UNREADABLE),
        ("System32\\drivers\\na\x1bme.sys", Missing.UNREADABLE),
        (r"System32\drivers\name.sys:stream", Missing.UNREADABLE),
        ("x" * 5000, Missing.UNREADABLE),
        (Missing.UNREADABLE, Missing.UNREADABLE),
    ],
)
def test_image_paths_lead_to_a_file_of_the_volume_or_nowhere(image_path, expected):
    assert driver_path(image_path, "name", Home(GuestPath("\\WINNT"), "D")) == expected


def test_windows_letter_comes_from_its_own_setup_directory():
    text = (
        '[Setup]\n"WorkingDirectory"="E:\\\\Windows\\\\Panther"\n'
        '[ControlSet*\\Services\\xenhere]\n"Type"=dword:1\n"ImagePath"=expand:\\??\\E:\\here.sys\n'
        '[ControlSet*\\Services\\xenthere]\n"Type"=dword:1\n"ImagePath"=expand:\\??\\C:\\there.sys\n'
    )
    facts = read(windows_hive("10", text=text))
    assert service(facts, "xenhere").file == r"\here.sys"
    assert service(facts, "xenthere").file is Missing.UNREADABLE


def test_the_setup_directory_of_another_windows_says_nothing_about_the_letter():
    text = (
        '[Setup]\n"WorkingDirectory"="E:\\\\Windows.1\\\\Panther"\n'
        '[ControlSet*\\Services\\xenhere]\n"Type"=dword:1\n"ImagePath"=expand:\\??\\C:\\here.sys\n'
    )
    assert service(read(windows_hive("10", text=text)), "xenhere").file == r"\here.sys"


def test_class_filters_are_read_whatever_their_case_order_and_ending():
    facts = read(windows_hive("10", families=["xcpng"], foreign_filter="fooflt"))
    assert lists(only_set(facts), HDC) == [(FilterScope.CLASS, FilterSide.UPPER, ("XENFILT", "fooflt"))]
    twice = only_set(read(windows_hive("10", two_endings=("XENFILT", "fooflt"))))
    (value,) = (each for each in twice.filters if each.class_guid == HDC)
    assert value.names == ("XENFILT", "fooflt")
    assert value.value.data.endswith(b"\0" * 6)
    cased = f'[ControlSet*\\Control\\Class\\{HDC}]\n"UPPERfilters"=multi:a'
    (value,) = (each for each in only_set(read(windows_hive("10", text=cased))).filters if each.class_guid == HDC)
    assert (value.value_name, value.names) == ("UPPERfilters", ("a",))


def test_a_list_without_ending_and_with_an_odd_byte_is_read_as_far_as_it_goes():
    facts = only_set(read(windows_hive("10", no_ending=("XENFILT",))))
    assert lists(facts, HDC)[0][2][0].startswith("XENFILT")


@pytest.mark.parametrize(("text", "names"), [("XENFILT", ("XENFILT",)), ("XENFILT fooflt", ("XENFILT fooflt",)), ("", ())])
def test_a_list_that_is_one_string_keeps_its_type(text, names):
    (value,) = (each for each in only_set(read(windows_hive("10", reg_sz_list=text))).filters if each.class_guid == HDC)
    assert (value.value.type, value.names) == (1, names)


def test_device_filters_bring_their_device_along():
    control_set = read(windows_hive("xp", families=["redhat_xenpv"]), GuestPath(r"\WINDOWS")).control_sets[0]
    assert (FilterScope.DEVICE, FilterSide.UPPER, ("rhelfltr",)) in lists(control_set, SYSTEM)
    keyboards = '[ControlSet*\\Enum\\ACPI\\PNP0303\\4&1d401fb5&0]\n"LowerFilters"=multi:odd'
    devices = {each.id: each for each in only_set(read(windows_hive("10", text=keyboards))).devices}
    assert devices[r"ACPI\PNP0303"].service == "i8042prt"
    assert r"ACPI\PNP0303" not in {each.id for each in only_set(read(windows_hive("10"))).devices}


def test_devices_that_lead_to_a_disk_and_wanted_ones_are_read():
    devices = {each.id: each for each in only_set(read(windows_hive("10", families=["gplpv"], kvm_traces=True))).devices}
    piix3 = next(device for name, device in devices.items() if "DEV_7010" in name)
    assert r"PCI\CC_0101" in piix3.compatible_ids
    assert (piix3.config_flags, piix3.instance) == (0, "3&267a616a&0&09")
    assert devices[r"XEN\VBD"].service == "XenVbd"
    assert any("VEN_1AF4&DEV_1001" in name and device.service == "viostor" for name, device in devices.items())
    assert not any(name.startswith("STORAGE") for name in devices)


def test_rows_of_the_driver_database_lead_to_services():
    facts = read(windows_hive("10", third_party="mvahci"))
    assert facts.driver_database_seen
    assert {(each.id, each.inf, each.service) for each in facts.driver_matches} == {
        (r"PCI\VEN_8086&DEV_7010", "mshdc.inf", "intelide"),
        (r"PCI\CC_010601", "mshdc.inf", "storahci"),
        (r"PCI\CC_010601", "oem7.inf", "mvahci"),
        (r"PCI\CC_010802", "stornvme.inf", "stornvme"),
    }
    assert read(windows_hive("2025", driver_rows=False)).driver_matches == ()


def test_a_package_that_is_gone_leaves_an_unknown_service():
    text = '[DriverDatabase\\DeviceIds\\PCI\\CC_010802]\n"oem9.inf"=hex:01,00,00,00'
    facts = read(windows_hive("10", text=text))
    assert [each.service for each in facts.driver_matches if each.inf == "oem9.inf"] == [Missing.ABSENT]


def test_critical_devices_are_read_up_to_7_and_their_absence_is_a_fact():
    seven = read(windows_hive("7")).control_sets[0]
    rows = {each.id: each.service for each in seven.critical_devices}
    assert (rows["pci#cc_010601"], rows["primary_ide_channel"]) == ("msahci", "atapi")
    assert seven.critical_devices_seen
    assert not only_set(read(windows_hive("10"))).critical_devices_seen


def test_wanted_settings_come_with_all_their_content():
    (leftover,) = only_set(read(windows_hive("10", families=["aws_pv"]))).leftovers
    assert leftover.key == r"ControlSet001\Services\XEN\Unplug"
    assert leftover.tree is not None
    assert sorted(each.name for each in leftover.tree.values) == ["DISKS", "NICS"]


def test_every_control_set_is_read_by_itself_and_by_number():
    facts = read(windows_hive("10", control_sets=(7, 1, 2), select={"Current": 2, "Failed": 1}))
    assert [each.number for each in facts.control_sets] == [1, 2, 7]
    assert (facts.select.current, facts.select.default, facts.select.failed) == (2, 1, 1)


def test_machines_and_an_unfinished_setup_are_told():
    facts = read(windows_hive("10", kvm_traces=True, setup_in_progress=True))
    assert facts.setup_in_progress
    assert any(each.endswith("SystemManufacturer=QEMU") for each in facts.hardware_configs)
    assert any(each.endswith("SystemProductName=HVM domU") for each in facts.hardware_configs)
    assert not read(windows_hive("10")).setup_in_progress


def test_restrictions_of_device_installation_are_told():
    key = r"Policies\Microsoft\Windows\DeviceInstall\Restrictions"
    text = f'[ControlSet*\\{key}]\n"DenyDeviceIDs"=dword:1\n[ControlSet*\\{key}\\DenyDeviceIDs]\n"1"="PCI\\\\CC_010601"'
    assert only_set(read(windows_hive("10", text=text))).restrictions == (
        rf"ControlSet001\{key}\DenyDeviceIDs=1",
        rf"ControlSet001\{key}\DenyDeviceIDs\1=PCI\CC_010601",
    )


def test_a_hive_of_something_else_has_no_control_sets():
    facts = read(write_hive(Node("ROOT")))
    assert facts.control_sets == ()
    assert facts.select.default is Missing.ABSENT


def test_a_value_that_cannot_be_read_is_named_and_the_rest_is_read():
    hive = bytearray(windows_hive("10", families=["xcpng"]))
    cell = hive.index("fvevol".encode("utf-16-le")) - 4
    link = hive.index((cell - 4096).to_bytes(4, "little"))
    hive[link : link + 4] = (0x7FFFFFF8).to_bytes(4, "little")
    facts = read_system(bytes(hive), WANTED, lambda _: True, ROOT)
    assert facts.unread == (rf"ControlSet001\Control\Class\{VOLUME}\LowerFilters",)
    assert lists(only_set(facts), VOLUME) == [(FilterScope.CLASS, FilterSide.UPPER, ("volsnap",))]
    assert service(facts, "xenbus").start == 0


def test_no_hive_is_refused():
    for data in (b"", b"regf" + bytes(9000), bytes(8192)):
        with pytest.raises(Refused):
            read_system(data, WANTED, lambda _: True, ROOT)


def test_lists_that_name_one_key_again_and_again_are_refused_soon():
    root = Node("ROOT")
    for number in range(500):
        root.below(rf"ControlSet001\Enum\A\{number:03}")
        root.below(rf"ControlSet001\Enum\B{number:03}")
    root.children["CONTROLSET001"].children["ENUM"].children.pop("B499")
    hive = bytearray(write_hive(root))
    assert read_system(bytes(hive), WANTED, lambda _: True, ROOT).unread == ()
    _point_all_at_first(hive, b"Enum")
    with pytest.raises(Refused) as refusal:
        read_system(bytes(hive), WANTED, lambda _: True, ROOT)
    assert refusal.value.first.kind is ReasonKind.HIVE_DAMAGED


def _point_all_at_first(hive: bytearray, name: bytes) -> None:
    """Every entry of a key's subkey list leads to the first one."""
    node = hive.index(b"nk", 0)
    while hive[node + 76 : node + 76 + len(name)] != name:
        node = hive.index(b"nk", node + 2)
    place = 4096 + int.from_bytes(hive[node + 28 : node + 32], "little") + 4
    count = int.from_bytes(hive[place + 2 : place + 4], "little")
    for entry in range(count):
        hive[place + 4 + 8 * entry : place + 8 + 8 * entry] = hive[place + 4 : place + 8]


def test_files_that_drivers_need_beside_their_own_are_looked_for():
    wanted = Wanted((), (), (), driver_files=("pciidex.sys", "gone.sys"))
    there = r"\WINDOWS\System32\drivers\pciidex.sys"
    facts = read_system(windows_hive("xp"), wanted, lambda path: path == there, GuestPath(r"\WINDOWS"))
    assert [(each.name, each.seen) for each in facts.driver_files] == [("pciidex.sys", True), ("gone.sys", False)]
