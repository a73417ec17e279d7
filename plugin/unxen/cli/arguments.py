# SPDX-License-Identifier: Apache-2.0
"""The command line as people type it becomes a Call; argparse, because it starts in a fraction of click's time.

Prints only what --help and --version ask for. Everything that is wrong raises Refused(USAGE).
"""

import argparse
import difflib
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from unxen import __version__
from unxen.cli.call import Call
from unxen.errors import refused
from unxen.host.config_keys import BUS_NAMES, bus_named
from unxen.model.fix import Fix
from unxen.model.ids import Bus, ImageFormat, InstallationId
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery
from unxen.platforms.files import FORMAT_NAMES
from unxen.platforms.schemes import SCHEMES

EPILOG = """\
A TARGET is the path of a disk image or block device, or a guest: libvirt:NAME. Several paths are the disks of one guest;
--each makes every TARGET a guest of its own. inspect and plan write nothing. Exit codes: unxen exit-codes.
"""
UP, DOWN = ("virtio", "virtio-blk", "scsi", "virtio-scsi"), ("sata", "ide")
"""Names of the buses to which `promote` and `demote` move a disk."""
NEW_DISK_FORMATS = (ImageFormat.RAW.value, ImageFormat.QCOW2.value)
DEFAULT_HIVE_ROOT = r"HKEY_LOCAL_MACHINE\SYSTEM"


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is a refusal like any other."""

    def error(self, message: str) -> NoReturn:
        verb = self.prog.partition(" ")[2]
        raise refused(ReasonKind.USAGE, verb=verb, problem=message)


def parse(arguments: Sequence[str]) -> Call:
    """The call; SystemExit after --help and --version."""
    _refuse_unknown_verb(arguments)
    chosen = vars(_parser(*arguments[:1]).parse_args(arguments))
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    call = Call(**values)
    _check(call)
    return call


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line that cannot be understood asks for JSON all the same."""
    before = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    pairs = list(itertools.pairwise(before))
    return "--json" in before or "--as=json" in before or ("--as", "json") in pairs


def verb_in(arguments: Sequence[str]) -> str:
    """The verb of a command line that cannot be understood, or nothing."""
    return next((each for each in arguments if each in VERBS), "")


def _parser(first: str = "") -> _Parser:
    """Of all verbs, or, where the first word is one, of that alone: making all takes longer than looking at a small disk."""
    wanted = {first: VERBS[first]} if first in VERBS else VERBS
    parser = _Parser(
        prog="unxen",
        description="Makes a Windows that ran on Xen start on KVM, offline and with a way back.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"unxen {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for name, (summary, options) in wanted.items():
        child = verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False)
        for each in options:
            each(child)
    return parser


def _target_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="disk image, block device, libvirt:NAME or proxmox:VMID")
    parser.add_argument(
        "--format",
        dest="formats",
        action="append",
        default=[],
        metavar="F",
        help=f"image format of the disks in their order, repeatable: {', '.join(FORMAT_NAMES)}; not needed where the name tells",
    )
    parser.add_argument("--each", action="store_true", help="every TARGET is a guest of its own")
    parser.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="with --each: work on N guests at a time")


def _choice_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--installation", type=_installation, metavar="ID", help=r"one Windows of several, e.g. '1:2:\Windows'")
    parser.add_argument("--bus", type=_bus, metavar="BUS", help=f"bus to judge and repair for: {', '.join(BUS_NAMES)}")
    parser.add_argument(
        "--accept-stale-hive",
        action="store_true",
        help="go on with a dirty registry hive although its logs are missing or useless; what stood in them is lost",
    )


def _fix_option(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(each.value for each in Fix)
    text = f"also mend what does not keep Windows from starting, a list with commas: {names}"
    parser.add_argument("--fix", type=_fixes, action="extend", default=[], metavar="LIST", help=text)


def _key_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key",
        default="",
        metavar="FILE",
        help="file with the recovery key or password of BitLocker volumes; an appliance opens them",
    )


def _state_options(parser: argparse.ArgumentParser) -> None:
    _key_option(parser)
    parser.add_argument(
        "--accept-unclean-volume",
        action="store_true",
        help="go on when NTFS is dirty or its journal unclean, if the hive surely lies where it seems to; written in place only",
    )


def _output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document per guest, on failure too")
    parser.add_argument("--quiet", action="store_true", help="the verdict only")
    parser.add_argument("--verbose", action="store_true", help="tell the steps even when nobody looks at a terminal")
    parser.add_argument("--timings", action="store_true", help="tell on standard error where the time went")
    parser.add_argument("--debug", action="store_true", help="tell every program that is started, and where an error came from")
    parser.add_argument("--log-json", action="store_true", help="tell the steps as JSON, a line each, on standard error")


def _network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="disk image, block device, libvirt:NAME, or proxmox:VMID")
    text = f"image format of the disks in their order, repeatable: {', '.join(FORMAT_NAMES)}; not needed where the name tells"
    parser.add_argument("--format", dest="formats", action="append", default=[], metavar="F", help=text)
    parser.add_argument("--installation", type=_installation, metavar="ID", help=r"one Windows of several, e.g. '1:2:\Windows'")
    parser.add_argument(
        "--script",
        choices=("powershell", "netsh"),
        default="",
        help="a script that sets it again, by MAC address: powershell from Windows 8 and Server 2012 on, netsh for all",
    )
    parser.add_argument(
        "--accept-stale-hive", action="store_true", help="go on with a dirty registry hive although its logs are missing or useless"
    )
    _key_option(parser)


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="form", choices=("text", "json", "reg"), default="text", help="reg is what regedit imports")
    parser.add_argument(
        "--hive-root",
        type=_hive_root,
        default=DEFAULT_HIVE_ROOT,
        metavar="KEY",
        help=rf"where the SYSTEM hive is loaded when the .reg file is imported (default {DEFAULT_HIVE_ROOT}; "
        r"in the recovery environment for instance HKEY_LOCAL_MACHINE\Temp)",
    )


def _repair_options(parser: argparse.ArgumentParser) -> None:
    ways = [each.value for each in Delivery]
    parser.add_argument(
        "--delivery", type=_delivery, metavar="WAY", help=f"how the hive gets into the file system: {', '.join(ways)}"
    )
    parser.add_argument("--dry-run", action="store_true", help="do everything but the last step; the disk stays as it is")


def _move_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--installation", type=_installation, metavar="ID", help=r"one Windows of several, e.g. '1:2:\Windows'")
    parser.add_argument("--dry-run", action="store_true", help="tell whether it could be done, and what would change")
    _key_option(parser)


def _promote_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", dest="bus", type=_one_of(UP), required=True, metavar="BUS", help=f"where to: {', '.join(UP)}")
    _move_options(parser)


def _demote_options(parser: argparse.ArgumentParser) -> None:
    text = f"where to: {', '.join(DOWN)} (default: the first of them from which this Windows starts)"
    parser.add_argument("--to", dest="bus", type=_one_of(DOWN), metavar="BUS", help=text)
    _move_options(parser)


def _undo_options(parser: argparse.ArgumentParser) -> None:
    text = "put back the registry values that still stand as the repair left them, though Windows has run since"
    parser.add_argument("--registry", action="store_true", help=text)


def _wait_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", type=_seconds, metavar="S", help="wait up to S seconds for another unxen on the same disk")


def _codes_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="as docs/exit-codes.md")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def _config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("show", "example"), help="show: every setting and its source; example: a file to start with"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def _doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="start an appliance too, which takes seconds to half a minute")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def _platform_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("platform", choices=tuple(SCHEMES), metavar="PLATFORM", help=" or ".join(SCHEMES))


def _disk_format(text: str) -> ImageFormat:
    if text not in NEW_DISK_FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(NEW_DISK_FORMATS)}")
    return ImageFormat(text)


def _convert_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs=1, metavar="DEFINITION", help="domain XML from Xen, xl or xm configuration, or .xva export"
    )
    parser.add_argument("--to", dest="platform", choices=("libvirt", "proxmox"), default="libvirt", help="what the machine is for")
    parser.add_argument("--bus", type=_bus, metavar="BUS", help="bus of its disks, instead of what they need")
    parser.add_argument(
        "--bridge", dest="bridges", type=_bridge, action="append", default=[], metavar="OLD=NEW", help="another bridge, repeatable"
    )
    parser.add_argument("--disks", dest="disks_dir", default="", metavar="DIR", help="write the disks of an .xva there as files")
    parser.add_argument("--disk-format", type=_disk_format, default=ImageFormat.RAW, metavar="F", help="of those: raw, qcow2")
    parser.add_argument("--repair", action="store_true", help="repair its disks first, and go on only if that succeeds")
    parser.add_argument("--define", action="store_true", help="define it in libvirt")
    parser.add_argument("--create", type=_vmid, default="", metavar="VMID", help="make it on this Proxmox node")
    parser.add_argument("--storage", type=_storage, default="", metavar="S", help="storage of this Proxmox node for its disks")


def _import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vmid", type=_vmid, metavar="VMID", help="guest that gets the disk; for an .xva the number of a new one")
    parser.add_argument("targets", nargs=1, metavar="SOURCE", help="disk image, block device, or .xva export")
    parser.add_argument("storage", type=_storage, metavar="STORAGE", help="storage of this node that takes the disks")
    text = f"format of SOURCE where its name does not tell: {', '.join(FORMAT_NAMES)}"
    parser.add_argument("--format", dest="formats", action="append", default=[], metavar="F", help=text)
    parser.add_argument("--bus", type=_bus, metavar="BUS", help="bus of the system disk, instead of what it needs")
    parser.add_argument(
        "--bridge", dest="bridges", type=_bridge, action="append", default=[], metavar="OLD=NEW", help="for an .xva: another bridge"
    )


def _switch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="a VM, such as proxmox:100")
    parser.add_argument("--bus", type=_bus, required=True, metavar="BUS", help=f"where to: {', '.join(BUS_NAMES)}")
    parser.add_argument("--dry-run", action="store_true", help="tell what would change")
    _host_options(parser, required=True)


def _host_options(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    group = parser.add_argument_group("a Proxmox VE cluster elsewhere", "by its configurations alone: disks need their node")
    group.add_argument("--host", required=required, default="", metavar="HOST", help="a node of it, with :PORT if it is not 8006")
    group.add_argument("--token-file", required=required, default="", metavar="FILE", help="file that holds USER@REALM!NAME=SECRET")
    trust = group.add_mutually_exclusive_group()
    trust.add_argument("--ca", default="", metavar="FILE", help="authority that signed the node's certificate")
    trust.add_argument("--insecure", action="store_true", help="do not check the certificate")


def _watch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="look at every guest once and end")
    parser.add_argument("--debug", action="store_true", help="tell every program that is started, and where an error came from")


def _hook_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="what the platform called its hook with")


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="only these guests, as they were named then")
    parser.add_argument("--html", default="", metavar="FILE", help="write one self-contained page; - is standard output")
    parser.add_argument("--days", type=_days, default=0, metavar="N", help="only the last N days")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def _recover_options(parser: argparse.ArgumentParser) -> None:
    text = "close an interrupted entry as it is: the disk was restored by other means"
    parser.add_argument("--forget", type=int, metavar="ENTRY", help=text)


def _hooks_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("install", "remove", "status"), help="what to do")
    parser.add_argument("platform", choices=tuple(SCHEMES), metavar="PLATFORM", help=" or ".join(SCHEMES))
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="VMID",
        help="guests of Proxmox VE to install the hookscript in, or to take it from; without one remove takes it from all",
    )
    parser.add_argument("--storage", default="local", metavar="S", help="whose snippets it lies among (default local)")
    parser.add_argument("--json", action="store_true", help="one JSON document")


_Option = Callable[[argparse.ArgumentParser], None]
VERBS: dict[str, tuple[str, tuple[_Option, ...]]] = {
    "inspect": (
        "tell whether Windows would reach its system disk, and if not why",
        (_target_options, _choice_options, _fix_option, _state_options, _output_options, _host_options),
    ),
    "plan": (
        "show every registry change that repair would make",
        (_target_options, _choice_options, _fix_option, _state_options, _plan_options, _output_options, _host_options),
    ),
    "repair": (
        "make Windows bootable: edit, verify, commit",
        (_target_options, _choice_options, _fix_option, _state_options, _repair_options, _wait_option, _output_options),
    ),
    "network": (
        "tell what was set on the network cards, or print a script that sets it again on the new machine",
        (_network_options, _output_options),
    ),
    "promote": (
        "move the disk of a guest to virtio, once its Windows is shown to have the driver",
        (_target_options, _promote_options, _wait_option, _output_options),
    ),
    "demote": (
        "move the disk of a guest back from virtio to a bus that its Windows is shown to start from",
        (_target_options, _demote_options, _wait_option, _output_options),
    ),
    "undo": (
        "give back a repaired disk as it was before",
        (_target_options, _undo_options, _wait_option, _output_options, _host_options),
    ),
    "recover": ("finish or throw away what an interruption left, on all disks", (_recover_options, _output_options)),
    "convert": ("turn a machine of Xen into one of KVM, and tell what does not come along", (_convert_options, _output_options)),
    "import": (
        "copy a disk or an .xva export into Proxmox VE, make it bootable and attach it, in one go",
        (_import_options, _output_options),
    ),
    "switch": (
        "move the boot disk of a VM on a Proxmox VE cluster elsewhere to another bus, without a look at it",
        (_switch_options, _output_options),
    ),
    "config": ("show the configuration that holds here, or a file to start with", (_config_options,)),
    "doctor": ("check that this host has what a repair needs", (_doctor_options, _host_options)),
    "watch": ("look at every guest of a platform as it arrives, and repair it where needed", (_platform_argument, _watch_options)),
    "hook": ("answer a platform that is about to start a guest", (_platform_argument, _hook_arguments)),
    "hooks": ("put guard and services of a platform in place, tell how they are, or take them away", (_hooks_options,)),
    "report": ("show what became of all guests", (_report_options, _host_options)),
    "exit-codes": ("list the exit codes", (_codes_options,)),
}


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("a number from 1 to 64 is expected")
    return int(text)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 36500:
        raise argparse.ArgumentTypeError("a number of days from 1 on is expected")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("seconds from 0 to 86400 are expected")
    return seconds


def _bus(text: str) -> Bus:
    try:
        return bus_named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no bus {text!r}; known are {', '.join(BUS_NAMES)}{_near(text, BUS_NAMES)}") from error


def _one_of(names: Sequence[str]) -> Callable[[str], Bus]:
    """A bus of these names alone."""

    def bus(text: str) -> Bus:
        if text.lower() not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is not a place to go; known are {', '.join(names)}{_near(text, names)}")
        return bus_named(text)

    return bus


def _bridge(text: str) -> str:
    old, sign, new = text.partition("=")
    if not (old and sign and re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", new)):
        raise argparse.ArgumentTypeError("two names of bridges are expected, e.g. xenbr0=vmbr0")
    return text


def _vmid(text: str) -> str:
    if text and not re.fullmatch(r"[1-9][0-9]{2,8}", text):
        raise argparse.ArgumentTypeError("the number of a new virtual machine is expected, e.g. 100")
    return text


def _storage(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]", text):
        raise argparse.ArgumentTypeError("the name of a storage is expected, e.g. local-lvm")
    return text


def _delivery(text: str) -> Delivery:
    try:
        return Delivery(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no delivery {text!r}; known are {', '.join(each.value for each in Delivery)}") from error


def _fixes(text: str) -> list[Fix]:
    names = tuple(each.value for each in Fix)
    for each in text.split(","):
        if each not in names:
            raise argparse.ArgumentTypeError(f"no fix {each!r}; known are {', '.join(names)}{_near(each, names)}")
    return [Fix(each) for each in text.split(",")]


def _installation(text: str) -> InstallationId:
    r"""`disk:partition:\ROOT`; slashes are taken for backslashes, which shells make hard to type."""
    disk, _, rest = text.partition(":")
    partition, _, root = rest.partition(":")
    if not (disk.isdecimal() and partition.isdecimal() and root):
        raise argparse.ArgumentTypeError(r"an id as unxen inspect shows it is expected, e.g. '1:2:\Windows'")
    root = root.replace("/", "\\")
    return InstallationId(f"{disk}:{partition}:{root if root[0] == chr(92) else chr(92) + root}")


def _hive_root(text: str) -> str:
    if not text.upper().startswith(("HKEY_LOCAL_MACHINE\\", "HKEY_USERS\\")) or not text.isprintable() or "]" in text:
        raise argparse.ArgumentTypeError(r"a key below HKEY_LOCAL_MACHINE or HKEY_USERS is expected, e.g. HKEY_LOCAL_MACHINE\Temp")
    return text.rstrip("\\")


def _near(text: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(text, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _refuse_unknown_verb(arguments: Sequence[str]) -> None:
    """argparse would say `argument VERB: invalid choice`, which nobody reads."""
    first = next((each for each in arguments if not each.startswith("-")), "")
    if first and arguments[0] == first and first not in VERBS:
        raise refused(
            ReasonKind.USAGE, problem=f"there is no verb {first!r}; known are {', '.join(VERBS)}{_near(first, list(VERBS))}"
        )


def _check(call: Call) -> None:
    """What argparse cannot say."""
    if call.each and call.formats and len(call.formats) != len(call.targets):
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="with --each, --format is given for every TARGET or for none")
    if (call.token_file or call.ca or call.insecure) and not call.host:
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--token-file, --ca and --insecure go with --host")
    if call.host and (call.html or call.registry or call.key or call.formats or call.form == "reg"):
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--host goes with nothing that is about a disk, nor with --html")
    if call.script and call.json:
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--script and --json are two forms; choose one")
    if call.define and call.platform != "libvirt":
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--define goes with --to libvirt")
    if call.verb == "convert" and (call.create or call.storage) and call.platform != "proxmox":
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--create and --storage go with --to proxmox")
    if call.create and not call.storage:
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--create needs --storage, which takes the disks")
    if call.form == "reg" and (call.each or call.json):
        raise refused(ReasonKind.USAGE, verb=call.verb, problem="--as reg writes one file; it goes with neither --each nor --json")
    if call.installation and call.each:
        raise refused(
            ReasonKind.USAGE, verb=call.verb, problem="--installation names a Windows of one guest; it does not go with --each"
        )
