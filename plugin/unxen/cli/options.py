# SPDX-License-Identifier: Apache-2.0
"""The options of the verbs, in groups, so that what several verbs take is written and worded once.

Touches nothing but the parser that it is given.
"""

import argparse

from unxen.cli import option_values as to
from unxen.host.config_keys import BUS_NAMES
from unxen.model.fix import Fix
from unxen.model.ids import ImageFormat
from unxen.model.settings import Delivery
from unxen.platforms.files import FORMAT_NAMES
from unxen.platforms.schemes import SCHEMES

UP, DOWN = ("virtio", "virtio-blk", "scsi", "virtio-scsi"), ("sata", "ide")
"""Names of the buses to which `promote` and `demote` move a disk."""
DEFAULT_HIVE_ROOT = r"HKEY_LOCAL_MACHINE\SYSTEM"


def _disk_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="disk image, block device, libvirt:NAME or proxmox:VMID")
    known = f"{', '.join(FORMAT_NAMES)}; not needed where the name tells"
    _format_option(parser, f"image format of the disks in their order, repeatable: {known}")


def _format_option(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--format", dest="formats", action="append", default=[], metavar="F", help=text)


def _bridge_option(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--bridge", dest="bridges", type=to.bridge, action="append", default=[], metavar="OLD=NEW", help=text)


def _installation_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--installation", type=to.installation, metavar="ID", help=r"one Windows of several, e.g. '1:2:\Windows'")


def _stale_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-stale-hive",
        action="store_true",
        help="go on with a dirty registry hive although its logs are missing or useless; what stood in them is lost",
    )


def target_options(parser: argparse.ArgumentParser) -> None:
    _disk_arguments(parser)
    parser.add_argument("--each", action="store_true", help="every TARGET is a guest of its own")
    parser.add_argument("--jobs", type=to.jobs, default=1, metavar="N", help="with --each: work on N guests at a time")


def choice_options(parser: argparse.ArgumentParser) -> None:
    _installation_option(parser)
    parser.add_argument("--bus", type=to.bus, metavar="BUS", help=f"bus to judge and repair for: {', '.join(BUS_NAMES)}")
    _stale_option(parser)


def fix_option(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(each.value for each in Fix)
    text = f"also mend what does not keep Windows from starting, a list with commas: {names}"
    parser.add_argument("--fix", type=to.fixes, action="extend", default=[], metavar="LIST", help=text)


def key_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key",
        default="",
        metavar="FILE",
        help="file with the recovery key or password of BitLocker volumes; an appliance opens them",
    )


def state_options(parser: argparse.ArgumentParser) -> None:
    key_option(parser)
    parser.add_argument(
        "--accept-unclean-volume",
        action="store_true",
        help="go on when NTFS is dirty or its journal unclean, if the hive surely lies where it seems to; written in place only",
    )


def output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document per guest, on failure too")
    parser.add_argument("--quiet", action="store_true", help="the verdict only")
    parser.add_argument("--verbose", action="store_true", help="tell the steps even when nobody looks at a terminal")
    parser.add_argument("--timings", action="store_true", help="tell on standard error where the time went")
    parser.add_argument("--debug", action="store_true", help="tell every program that is started, and where an error came from")
    parser.add_argument("--log-json", action="store_true", help="tell the steps as JSON, a line each, on standard error")


def network_options(parser: argparse.ArgumentParser) -> None:
    _disk_arguments(parser)
    _installation_option(parser)
    parser.add_argument(
        "--script",
        choices=("powershell", "netsh"),
        default="",
        help="a script that sets it again, by MAC address: powershell from Windows 8 and Server 2012 on, netsh for all",
    )
    _stale_option(parser)
    key_option(parser)


def plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="form", choices=("text", "json", "reg"), default="text", help="reg is what regedit imports")
    parser.add_argument(
        "--hive-root",
        type=to.hive_root,
        default=DEFAULT_HIVE_ROOT,
        metavar="KEY",
        help=rf"where the SYSTEM hive is loaded when the .reg file is imported (default {DEFAULT_HIVE_ROOT}; "
        r"in the recovery environment for instance HKEY_LOCAL_MACHINE\Temp)",
    )


def repair_options(parser: argparse.ArgumentParser) -> None:
    ways = [each.value for each in Delivery]
    parser.add_argument(
        "--delivery", type=to.delivery, metavar="WAY", help=f"how the hive gets into the file system: {', '.join(ways)}"
    )
    parser.add_argument("--dry-run", action="store_true", help="do everything but the last step; the disk stays as it is")


def move_options(parser: argparse.ArgumentParser) -> None:
    _installation_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="tell whether it could be done, and what would change")
    key_option(parser)


def promote_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", dest="bus", type=to.one_of(UP), required=True, metavar="BUS", help=f"where to: {', '.join(UP)}")
    move_options(parser)


def demote_options(parser: argparse.ArgumentParser) -> None:
    text = f"where to: {', '.join(DOWN)} (default: the first of them from which this Windows starts)"
    parser.add_argument("--to", dest="bus", type=to.one_of(DOWN), metavar="BUS", help=text)
    move_options(parser)


def undo_options(parser: argparse.ArgumentParser) -> None:
    text = "put back the registry values that still stand as the repair left them, though Windows has run since"
    parser.add_argument("--registry", action="store_true", help=text)


def wait_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", type=to.seconds, metavar="S", help="wait up to S seconds for another unxen on the same disk")


def codes_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="as docs/exit-codes.md")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("show", "example"), help="show: every setting and its source; example: a file to start with"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="start an appliance too, which takes seconds to half a minute")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def platform_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("platform", choices=tuple(SCHEMES), metavar="PLATFORM", help=" or ".join(SCHEMES))


def convert_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs=1, metavar="DEFINITION", help="domain XML from Xen, xl or xm configuration, or .xva export"
    )
    parser.add_argument("--to", dest="platform", choices=("libvirt", "proxmox"), default="libvirt", help="what the machine is for")
    parser.add_argument("--bus", type=to.bus, metavar="BUS", help="bus of its disks, instead of what they need")
    _bridge_option(parser, "another bridge, repeatable")
    parser.add_argument("--disks", dest="disks_dir", default="", metavar="DIR", help="write the disks of an .xva there as files")
    parser.add_argument("--disk-format", type=to.disk_format, default=ImageFormat.RAW, metavar="F", help="of those: raw, qcow2")
    parser.add_argument("--repair", action="store_true", help="repair its disks first, and go on only if that succeeds")
    parser.add_argument("--define", action="store_true", help="define it in libvirt")
    parser.add_argument("--create", type=to.vmid, default="", metavar="VMID", help="make it on this Proxmox node")
    parser.add_argument("--storage", type=to.storage, default="", metavar="S", help="storage of this Proxmox node for its disks")


def import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vmid", type=to.vmid, metavar="VMID", help="guest that gets the disk; for an .xva the number of a new one")
    parser.add_argument("targets", nargs=1, metavar="SOURCE", help="disk image, block device, or .xva export")
    parser.add_argument("storage", type=to.storage, metavar="STORAGE", help="storage of this node that takes the disks")
    text = f"format of SOURCE where its name does not tell: {', '.join(FORMAT_NAMES)}"
    _format_option(parser, text)
    parser.add_argument("--bus", type=to.bus, metavar="BUS", help="bus of the system disk, instead of what it needs")
    _bridge_option(parser, "for an .xva: another bridge")


def switch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="a VM, such as proxmox:100")
    parser.add_argument("--bus", type=to.bus, required=True, metavar="BUS", help=f"where to: {', '.join(BUS_NAMES)}")
    parser.add_argument("--dry-run", action="store_true", help="tell what would change")
    host_options(parser, required=True)


def host_options(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    group = parser.add_argument_group("a Proxmox VE cluster elsewhere", "by its configurations alone: disks need their node")
    group.add_argument("--host", required=required, default="", metavar="HOST", help="a node of it, with :PORT if it is not 8006")
    group.add_argument("--token-file", required=required, default="", metavar="FILE", help="file that holds USER@REALM!NAME=SECRET")
    trust = group.add_mutually_exclusive_group()
    trust.add_argument("--ca", default="", metavar="FILE", help="authority that signed the node's certificate")
    trust.add_argument("--insecure", action="store_true", help="do not check the certificate")


def watch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="look at every guest once and end")
    parser.add_argument("--debug", action="store_true", help="tell every program that is started, and where an error came from")


def hook_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="what the platform called its hook with")


def report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="only these guests, as they were named then")
    parser.add_argument("--html", default="", metavar="FILE", help="write one self-contained page; - is standard output")
    parser.add_argument("--days", type=to.days, default=0, metavar="N", help="only the last N days")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def recover_options(parser: argparse.ArgumentParser) -> None:
    text = "close an interrupted entry as it is: the disk was restored by other means"
    parser.add_argument("--forget", type=int, metavar="ENTRY", help=text)


def hooks_options(parser: argparse.ArgumentParser) -> None:
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
