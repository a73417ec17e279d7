# SPDX-License-Identifier: Apache-2.0
"""What Xen's words become on KVM stands in tables, each row with its why and source; this reads them and answers from them.

Reads the tables beside it and nothing else. A word that no table knows is a Loss like any other: it is never dropped silently.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from unxen.model.ids import ImageFormat
from unxen.model.machine import BootDevice, Loss

NOT_KNOWN = "unxen does not know it"
LOOK_UP = "Look up what it does; if the guest needs it, set its counterpart by hand."
NO_COUNTERPART = "KVM has nothing of that name"
DEFAULT_TAKEN = "The new machine has the usual one; change it if that does not fit."
HEADINGS = ("xl_option", "disk_key", "vif_key", "xml_element", "xva_field")
_FILES = ("xl_options.toml", "xml_elements.toml", "xva_fields.toml", "values.toml")


@dataclass(frozen=True)
class Word:
    """One word of a definition. `becomes` is the field that it fills; without one it is lost, and `remedy` says what to do."""

    word: str
    becomes: str
    why: str
    remedy: str
    source: str
    harmless: bool = False


@dataclass(frozen=True)
class Value:
    """One value of Xen's and what it is on KVM."""

    xen: str
    kvm: tuple[str, ...]
    why: str
    source: str


class Mappings:
    """All tables; a word's table is its heading."""

    def __init__(self, words: Mapping[str, Mapping[str, Word]], values: Mapping[str, Mapping[str, Value]]) -> None:
        self.words = words
        self.values = values

    def keeps(self, heading: str, word: str) -> bool:
        """Whether a reader has to fill a field with it."""
        row = self.words[heading].get(word)
        return row is not None and bool(row.becomes)

    def loss(self, heading: str, word: str, shown: str = "") -> Loss:
        """What is said of a word that fills no field; `shown` is how the definition writes it."""
        row = self.words[heading].get(word)
        if row is None:
            return Loss(shown or word, NOT_KNOWN, LOOK_UP)
        return Loss(shown or word, row.why, row.remedy, row.harmless)

    def unknown_value(self, name: str, value: str) -> Loss:
        """What is said of a value that its table does not know."""
        return Loss(f"{name}={value}", NO_COUNTERPART, DEFAULT_TAKEN)

    def xva_losses(self, found: Iterable[str]) -> tuple[Loss, ...]:
        """One Loss per field of an export that fills nothing."""
        names = sorted(each for each in found if not self.keeps("xva_field", each))
        return tuple(self.loss("xva_field", each, each.removeprefix("object/").removeprefix("vm/")) for each in names)

    def card_model(self, xen: str) -> str | None:
        """The KVM name of a network card; empty when Windows decides, None when there is none."""
        row = self.values["nic_model"].get(xen.lower())
        return None if row is None else "".join(row.kvm)

    def image_format(self, xen: str) -> ImageFormat | None:
        """The image format behind Xen's name for it."""
        row = self.values["disk_format"].get(xen.lower())
        return ImageFormat(row.kvm[0]) if row else None

    def kvm(self, table: str, xen: str) -> tuple[str, ...]:
        """What a value is on KVM by one of the smaller tables; nothing when there is no row."""
        row = self.values[table].get(xen.lower())
        return row.kvm if row else ()

    def hyperv(self, group: str) -> tuple[str, ...] | None:
        """The enlightenments of one of Xen's viridian groups; None for a group that is not known."""
        row = self.values["viridian"].get(group.lower())
        return row.kvm if row else None

    def hyperv_all(self) -> tuple[str, ...]:
        """What `viridian=1` stands for."""
        return self.hyperv("defaults") or ()


def boot_order(letters: str) -> tuple[BootDevice, ...]:
    """Xen's letters in order; letters that mean nothing are passed over, as Xen's firmware does."""
    known = {"a": BootDevice.FLOPPY, "c": BootDevice.DISK, "d": BootDevice.CDROM, "n": BootDevice.NETWORK}
    order = tuple(dict.fromkeys(known[letter] for letter in letters.lower() if letter in known))
    return order or (BootDevice.DISK,)


@cache
def mappings() -> Mappings:
    """The tables, read once."""
    words: dict[str, dict[str, Word]] = {heading: {} for heading in HEADINGS}
    values: dict[str, dict[str, Value]] = {}
    for name in _FILES:
        for heading, rows in tomllib.loads(files(__package__).joinpath(name).read_text("utf-8")).items():
            for row in rows:
                _add(words, values, heading, row)
    return Mappings(words, values)


def _add(words: dict[str, dict[str, Word]], values: dict[str, dict[str, Value]], heading: str, row: dict[str, Any]) -> None:
    if heading in HEADINGS:
        word = Word(**{"becomes": "", "remedy": "", **row})
        words[heading][word.word] = word
        return
    value = Value(row["xen"], tuple(row["kvm"]), row["why"], row["source"])
    values.setdefault(heading, {})[value.xen] = value
