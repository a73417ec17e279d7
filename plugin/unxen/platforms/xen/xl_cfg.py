# SPDX-License-Identifier: Apache-2.0
"""The settings of an xl or xm file become a machine, option by option; what none of the fields takes is told.

Touches nothing. Raises Unreadable, and Refused(PARAVIRTUAL_GUEST) for a guest that is no whole machine.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from unxen.model.ids import Firmware
from unxen.model.machine import Clock, Graphics, GuestKind, Loss, MachineDefinition
from unxen.platforms.xen.disk_spec import parse_disk
from unxen.platforms.xen.drives import drives_of
from unxen.platforms.xen.hvm_only import hvm_only
from unxen.platforms.xen.mappings import Mappings, boot_order, mappings
from unxen.platforms.xen.unreadable import Unreadable
from unxen.platforms.xen.vif_spec import parse_card
from unxen.platforms.xen.xl_syntax import Setting, Value

T = TypeVar("T")
MIB = 1 << 20
MOST_VCPUS = 4096
HVMLOADER = "hvmloader"
OFF = ("", "0", "none", "no", "false", "off", "127.0.0.1", "localhost")
"""What loses nothing when it is lost; a screen that listened on its own host still does."""
YES = ("1", "yes", "true", "on")
SECOND_CARD = "Add the other one if the guest needs both."
VALUED = {
    "bios": "firmware",
    "firmware": "firmware",
    "vga": "video",
    "on_poweroff": "action",
    "on_reboot": "action",
    "on_crash": "action",
}
"""Options whose values stand in a table of their own."""
KINDS = {"hvm": GuestKind.HVM, "pvh": GuestKind.PVH}


class Options:
    """Settings by name, each read in the type that it should have."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self._by_name: Mapping[str, Setting] = {each.name: each for each in settings}

    def all(self) -> Sequence[Setting]:
        """Every setting in the order of the file."""
        return tuple(self._by_name.values())

    def text(self, *names: str) -> str:
        """The first of these options that is there, as text."""
        value = next((self._by_name[each].value for each in names if each in self._by_name), "")
        return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""

    def number(self, name: str, default: int) -> int:
        """A number, which older files write as a string."""
        text = self.text(name).strip()
        if not text:
            return default
        try:
            return int(text, 0)
        except ValueError as error:
            raise Unreadable(f"{name} is no number", self._by_name[name].line) from error

    def flag(self, name: str, default: bool = False) -> bool:
        """A switch."""
        text = self.text(name).strip().lower()
        return default if not text else text in YES or (text.isdecimal() and text.strip("0") != "")

    def texts(self, name: str) -> list[str]:
        """A list of strings; one string is a list of one."""
        setting = self._by_name.get(name)
        value: Value = setting.value if setting else []
        values = value if isinstance(value, list) else [value] if value != "" else []
        if setting and not all(isinstance(each, str) for each in values):
            raise Unreadable(f"{name} is a list of strings", setting.line)
        return [str(each) for each in values]

    def at(self, name: str) -> int:
        """The line of an option."""
        return self._by_name[name].line if name in self._by_name else 0


def machine_of(settings: Sequence[Setting]) -> MachineDefinition:
    """The machine that the settings describe."""
    options, table = Options(settings), mappings()
    name = options.text("name")
    hvm_only(_kind(options), name)
    if not name:
        raise Unreadable("name is missing")
    memory = options.number("memory", 128)
    vcpus, max_vcpus = _vcpus(options)
    drives, disk_losses = _at(options, "disk", lambda: drives_of([parse_disk(each) for each in options.texts("disk")], table))
    cards = _at(options, "vif", lambda: [parse_card(each, number, table) for number, each in enumerate(options.texts("vif"))])
    hyperv, hyperv_losses = _hyperv(options, table)
    losses = (*_losses(options, table), *disk_losses, *(loss for _, lost in cards for loss in lost), *hyperv_losses)
    return MachineDefinition(
        name=name,
        uuid=options.text("uuid"),
        memory=_positive(options, "memory", memory) * MIB,
        max_memory=max(_positive(options, "maxmem", options.number("maxmem", memory)), memory) * MIB,
        vcpus=vcpus,
        max_vcpus=max_vcpus,
        firmware=_firmware(options, table),
        acpi=options.flag("acpi", True),
        apic=options.flag("apic", True),
        hpet=options.flag("hpet") if options.text("hpet") else None,
        nested=options.flag("nestedhvm"),
        hyperv=hyperv,
        boot=boot_order(options.text("boot") or "cda"),
        clock=Clock.LOCALTIME if options.flag("localtime") else Clock.UTC,
        clock_shift=options.number("rtc_timeoffset", 0),
        video=_video(options, table),
        video_memory=max(options.number("videoram", 0), 0) * 1024,
        graphics=Graphics("spice" if options.flag("spice") else "vnc", options.text("keymap")),
        tablet=True,
        sound="".join(table.kvm("sound", _sounds(options)[0])),
        serial=sum(each.lower() not in OFF for each in options.texts("serial")),
        on_poweroff=_action(options, table, "on_poweroff", "destroy"),
        on_reboot=_action(options, table, "on_reboot", "restart"),
        on_crash=_action(options, table, "on_crash", "destroy"),
        cards=tuple(card for card, _ in cards),
        drives=drives,
        losses=losses,
    )


def _at(options: Options, name: str, read: Callable[[], T]) -> T:
    """Says on which line the option begins in which something cannot be read."""
    try:
        return read()
    except Unreadable as error:
        raise Unreadable(error.problem, error.line or options.at(name), error.advice) from error


def _kind(options: Options) -> GuestKind:
    """xl starts a PV guest unless it is told otherwise."""
    return KINDS.get((options.text("type", "builder")).lower(), GuestKind.PV)


def _positive(options: Options, name: str, number: int) -> int:
    if not 0 < number < 1 << 30:
        raise Unreadable(f"{name} is no sensible number", options.at(name))
    return number


def _vcpus(options: Options) -> tuple[int, int]:
    """Processors at the start, and at most."""
    most = options.number("maxvcpus", options.number("vcpus", 1))
    now = options.number("vcpus", most)
    if options.text("vcpu_avail"):
        now = options.number("vcpu_avail", 0).bit_count()
    if not (0 < now <= MOST_VCPUS and 0 < most <= MOST_VCPUS):
        raise Unreadable("the number of processors is not sensible", options.at("vcpus") or options.at("maxvcpus"))
    return now, max(now, most)


def _firmware(options: Options, table: Mappings) -> Firmware:
    named = options.text("bios", "firmware").lower()
    found = table.kvm("firmware", named)
    return Firmware(found[0]) if found else Firmware.BIOS


def _video(options: Options, table: Mappings) -> str:
    named = "stdvga" if options.flag("stdvga") else options.text("vga").lower()
    return "".join(table.kvm("video", named))


def _sounds(options: Options) -> list[str]:
    """Older files name several cards in one string."""
    return [each.strip() for each in options.text("soundhw").split(",")]


def _action(options: Options, table: Mappings, name: str, default: str) -> str:
    found = table.kvm("action", options.text(name).replace("_", "-"))
    return found[0] if found else default


def _hyperv(options: Options, table: Mappings) -> tuple[tuple[str, ...], tuple[Loss, ...]]:
    """`viridian=1`, or a list of groups, of which `!group` takes one away."""
    groups = options.texts("viridian") if not options.text("viridian").isdecimal() else []
    if not groups or groups[0].lower() in (*YES, *OFF):
        return (table.hyperv_all() if options.flag("viridian") else ()), ()
    unknown = [each for each in groups if table.hyperv(each.removeprefix("!")) is None]
    without = {each.removeprefix("!").lower() for each in groups if each.startswith("!")}
    wanted = [each for each in groups if not each.startswith("!") and each.lower() not in without]
    names = dict.fromkeys(name for each in wanted for name in table.hyperv(each) or ())
    losses = tuple(no_enlightenment(each) for each in unknown)
    return tuple(names), losses


def no_enlightenment(name: str) -> Loss:
    """One of Xen's groups, or of another hypervisor's names, that KVM's libvirt has no switch for."""
    return Loss(f"viridian: {name}", "KVM has no such enlightenment", "", harmless=True)


def _losses(options: Options, table: Mappings) -> tuple[Loss, ...]:
    """Every option that is on and fills no field."""
    found = []
    for setting in options.all():
        if table.keeps("xl_option", setting.name) or _is_off(setting):
            continue
        found.append(table.loss("xl_option", setting.name))
    cards = [Loss(f"soundhw {each}", "the new machine has one sound card", SECOND_CARD) for each in _sounds(options)[1:]]
    ends = [serial_end(each) for each in options.texts("serial") if each.lower() not in (*OFF, "pty")]
    return (*found, *_unknown_values(options, table), *cards, *ends)


def serial_end(where: str) -> Loss:
    """A serial port comes along; what it was connected to on the old host does not."""
    return Loss(
        f"serial {where}", "the port comes along, its other end was on the old host", "Connect it anew if something listens there."
    )


def _unknown_values(options: Options, table: Mappings) -> list[Loss]:
    """Values of known options that no table knows; the field has its default then."""
    found = [(name, options.text(name).replace("_", "-")) for name in VALUED]
    found += [("soundhw", _sounds(options)[0])]
    tables = {**VALUED, "soundhw": "sound"}
    return [table.unknown_value(name, value) for name, value in found if value and value.lower() not in table.values[tables[name]]]


def _is_off(setting: Setting) -> bool:
    if setting.name == "kernel":
        return HVMLOADER in str(setting.value)
    return str(setting.value).lower() in OFF if isinstance(setting.value, str | int) else not setting.value
