# SPDX-License-Identifier: Apache-2.0
"""How a TOML file is laid out: which heading is which table, what makes a row that row, and what may be left out.

Touches nothing. One file may hold rows of any table, so that administrators can keep a driver family in one place.
"""

from unxen.knowledge import tables
from unxen.model.record import dataclass

Row = object
"""A row of any table: an instance of one of the classes in `tables`."""


@dataclass(frozen=True)
class Table:
    """A heading such as `[[xen_service]]`: where its rows go, their class, and the fields that tell two rows apart."""

    heading: str
    field: str
    kind: type
    key: tuple[str, ...]


TABLES = (
    Table("family", "families", tables.Family, ("id",)),
    Table("xen_service", "xen_services", tables.XenService, ("name",)),
    Table("xen_filter", "xen_filters", tables.XenFilter, ("name",)),
    Table("xen_device", "xen_devices", tables.XenDevice, ("prefix",)),
    Table("xen_setting", "xen_settings", tables.XenSetting, ("key", "value")),
    Table("controller", "controllers", tables.Controller, ("service", "bus", "nt_from")),
    Table("emulated", "emulated", tables.EmulatedController, ("bus", "ids")),
    Table("boot_service", "boot_services", tables.BootService, ("service", "nt_from")),
    Table("class", "classes", tables.DeviceClass, ("guid",)),
    Table("critical_row", "critical_rows", tables.CriticalRow, ("id", "bus")),
    Table("article_step", "article", tables.ArticleStep, ("service",)),
    Table("kvm_trace", "kvm_traces", tables.KvmTrace, ("kind", "text")),
    Table("processor", "processors", tables.ProcessorService, ("service",)),
    Table("network_card", "network_cards", tables.NetworkCard, ("model", "nt_from")),
    Table("guard", "guards", tables.Guard, ("product",)),
    Table("stock_filter", "stock_filters", tables.StockFilter, ("class_guid", "side", "nt_from")),
    Table("san_policy", "san_policies", tables.SanPolicy, ("number",)),
    Table("san_default", "san_defaults", tables.SanDefault, ("server", "nt_from")),
    Table("unfinished_tool", "unfinished_tools", tables.UnfinishedTool, ("service",)),
    Table("critical_mistake", "critical_mistakes", tables.CriticalMistake, ("id", "service")),
)
BY_HEADING = {table.heading: table for table in TABLES}

# Fields that a row may leave out, whatever its table, and what that means.
DEFAULTS: dict[str, object] = {
    "dual_use": False,
    "images": (),
    "start_after": None,
    "proof": (),
    "off_beside": (),
    "off_why": None,
    "value": None,
    "requires": (),
    "files": (),
    "inbox": True,
    "required": True,
    "links": (),
    "last": False,
    "vital": False,
    "offline": (),
    "nt_to": tables.NEWEST,
    "installed": "",
}


@dataclass(frozen=True)
class Entry:
    """A row with the place that it came from, `number` counting the rows of its heading in its file from 1."""

    table: Table
    file: str
    number: int
    row: Row

    @property
    def key(self) -> tuple[str, str]:
        """What makes this row that row; names are compared without case."""
        parts = (getattr(self.row, name) for name in self.table.key)
        return self.table.heading, "\n".join(str(part).casefold() for part in parts)

    @property
    def label(self) -> str:
        """The row as a person finds it: heading, number, and its first key field."""
        return label(self.table, self.number, getattr(self.row, self.table.key[0]))


def label(table: Table, number: int, name: object) -> str:
    """`xen_service 3 (xenbus)`, without the name where there is none."""
    shown = getattr(name, "value", name)
    return f"{table.heading} {number}" + (f" ({shown})" if isinstance(shown, str) and shown else "")
