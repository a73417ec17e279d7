# SPDX-License-Identifier: Apache-2.0
"""What meets people once Windows starts on its new machine, told before the switch, while the old one can still be asked.

Touches nothing. Told only of a Windows in which Xen is active and that has not run on KVM: for every other one it is too late or
does not matter. Each function is one kind of note; the order in which they stand is the order in which they are told. Sources:
docs/first-start.md.
"""

import ntpath
from collections.abc import Callable, Iterator

from unxen.model.judgement import Note, NoteKind
from unxen.model.letter_facts import LetterBy, LetterFacts
from unxen.model.registry_facts import ServiceFact
from unxen.plan.examined import Examined
from unxen.plan.names import fold
from unxen.plan.network import Interface, interfaces

BOOT, SYSTEM = 0, 1
MOST_CARDS = 4
TPM_IDS = ("acpi\\msft0101", "acpi\\pnp0c31")
# Drives that come and go, or that no machine of KVM has: nobody misses their letters.
LEFT_OUT = ("floppy", "usbstor#")


def first_start(examined: Examined) -> tuple[Note, ...]:
    """Notes about the first start; none where it has been."""
    if not examined.evidence or examined.kvm_trace:
        return ()
    return tuple(note for make in KINDS for note in make(examined))


def _fixed(examined: Examined) -> Iterator[Note]:
    """Cards that were set by hand; what a server gave, it gives again."""
    every = [each for each in interfaces(examined.deciding, examined.system.network) if each.fixed and not each.gone]
    for each in every[:MOST_CARDS]:
        yield Note(NoteKind.FIXED_ADDRESS, each.name, (("addresses", _addresses(each)), ("dns", ", ".join(each.settings.dns))))
    if len(every) > MOST_CARDS:
        left = ", ".join(each.name for each in every[MOST_CARDS:])
        yield Note(NoteKind.FIXED_ADDRESS, left, (("addresses", f"{len(every) - MOST_CARDS} more"),))


def _addresses(interface: Interface) -> str:
    return ", ".join(interface.held) or "DNS servers only"


def _kept(examined: Examined) -> Iterator[Note]:
    """Addresses that interfaces without an adapter, or more than one interface, lay claim to."""
    holders: dict[str, list[Interface]] = {}
    for each in interfaces(examined.deciding, examined.system.network):
        for address in each.held:
            holders.setdefault(address, []).append(each)
    claimed = [(address, found) for address, found in holders.items() if len(found) > 1 or found[0].gone]
    for address, found in claimed[:MOST_CARDS]:
        yield Note(NoteKind.KEPT_ADDRESS, address, (("adapters", ", ".join(each.name for each in found[:MOST_CARDS])),))


def _letters(examined: Examined) -> Iterator[Note]:
    found = [each for each in examined.system.letters if each.by is LetterBy.DEVICE and not _left_out(each)]
    if found:
        yield Note(NoteKind.LETTER_BY_DEVICE, ", ".join(f"{each.letter}: ({_what(each)})" for each in found))


def _left_out(letter: LetterFacts) -> bool:
    return any(word in fold(letter.device) for word in LEFT_OUT)


def _what(letter: LetterFacts) -> str:
    return "CD drive" if "#cdrom" in fold(letter.device) else "disk"


def _page_files(examined: Examined) -> Iterator[Note]:
    own = fold(examined.system.letter)
    letters = [each[0] for each in examined.system.page_files if each[1:2] == ":" and each[0].isalpha() and fold(each[0]) != own]
    if letters:
        yield Note(NoteKind.PAGE_FILE_ELSEWHERE, ", ".join(f"{each.upper()}:" for each in dict.fromkeys(letters)))


def _guards(examined: Examined) -> Iterator[Note]:
    """Programs that start before or with the drivers of new hardware."""
    early = [(each.name, _file(each)) for each in examined.deciding.control_set.services if each.start in (BOOT, SYSTEM)]
    for row in examined.deciding.knowledge.guards:
        files = {fold(name) for name in row.files}
        found = [name for name, file in early if file in files]
        if found:
            yield Note(NoteKind.GUARD_AT_START, row.product, (("services", ", ".join(found)),))


def _file(service: ServiceFact) -> str:
    """The name of the driver's file; what has no ImagePath is called as its service."""
    path = service.image_path if isinstance(service.image_path, str) else ""
    return fold(ntpath.basename(path.strip().strip('"')) or f"{service.name}.sys")


def _tpm(examined: Examined) -> Iterator[Note]:
    if any(fold(each.id).startswith(TPM_IDS) and each.service for each in examined.deciding.control_set.devices):
        yield Note(NoteKind.TPM)


def _activation(_examined: Examined) -> Iterator[Note]:
    """Windows weighs controller, network card and machine id together; the first two change with every switch."""
    yield Note(NoteKind.ACTIVATION)


KINDS: tuple[Callable[[Examined], Iterator[Note]], ...] = (_fixed, _kept, _letters, _page_files, _guards, _tpm, _activation)
