# SPDX-License-Identifier: Apache-2.0
"""The command line as people type it becomes a Call; argparse, because it starts in a fraction of click's time.

Prints only what --help and --version ask for. Everything that is wrong raises Refused(USAGE).
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from unxen import __version__
from unxen.cli.call import Call
from unxen.cli.option_values import near
from unxen.cli.options import (
    choice_options,
    codes_options,
    config_options,
    convert_options,
    demote_options,
    doctor_options,
    fix_option,
    hook_arguments,
    hooks_options,
    host_options,
    import_options,
    network_options,
    output_options,
    plan_options,
    platform_argument,
    promote_options,
    recover_options,
    repair_options,
    report_options,
    state_options,
    switch_options,
    target_options,
    undo_options,
    wait_option,
    watch_options,
)
from unxen.errors import refused
from unxen.model.reason import ReasonKind

EPILOG = """\
A TARGET is the path of a disk image or block device, or a guest: libvirt:NAME or proxmox:VMID. Several paths are the disks of
one guest; --each makes every TARGET a guest of its own. inspect and plan write nothing. Exit codes: unxen exit-codes.
"""


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


_Option = Callable[[argparse.ArgumentParser], None]
VERBS: dict[str, tuple[str, tuple[_Option, ...]]] = {
    "inspect": (
        "tell whether Windows would reach its system disk, and if not why",
        (
            target_options,
            choice_options,
            fix_option,
            state_options,
            output_options,
            host_options,
        ),
    ),
    "plan": (
        "show every registry change that repair would make",
        (
            target_options,
            choice_options,
            fix_option,
            state_options,
            plan_options,
            output_options,
            host_options,
        ),
    ),
    "repair": (
        "make Windows bootable: edit, verify, commit",
        (
            target_options,
            choice_options,
            fix_option,
            state_options,
            repair_options,
            wait_option,
            output_options,
        ),
    ),
    "network": (
        "tell what was set on the network cards, or print a script that sets it again on the new machine",
        (network_options, output_options),
    ),
    "promote": (
        "move the disk of a guest to virtio, once its Windows is shown to have the driver",
        (target_options, promote_options, wait_option, output_options),
    ),
    "demote": (
        "move the disk of a guest back from virtio to a bus that its Windows is shown to start from",
        (target_options, demote_options, wait_option, output_options),
    ),
    "undo": (
        "give back a repaired disk as it was before",
        (target_options, undo_options, wait_option, output_options, host_options),
    ),
    "recover": ("finish or throw away what an interruption left, on all disks", (recover_options, output_options)),
    "convert": (
        "turn a machine of Xen into one of KVM, and tell what does not come along",
        (convert_options, output_options),
    ),
    "import": (
        "copy a disk or an .xva export into Proxmox VE, make it bootable and attach it, in one go",
        (import_options, output_options),
    ),
    "switch": (
        "move the boot disk of a VM on a Proxmox VE cluster elsewhere to another bus, without a look at it",
        (switch_options, output_options),
    ),
    "config": ("show the configuration that holds here, or a file to start with", (config_options,)),
    "doctor": ("check that this host has what a repair needs", (doctor_options, host_options)),
    "watch": (
        "look at every guest of a platform as it arrives, and repair it where needed",
        (platform_argument, watch_options),
    ),
    "hook": ("answer a platform that is about to start a guest", (platform_argument, hook_arguments)),
    "hooks": ("put guard and services of a platform in place, tell how they are, or take them away", (hooks_options,)),
    "report": ("show what became of all guests", (report_options, host_options)),
    "exit-codes": ("list the exit codes", (codes_options,)),
}


def _refuse_unknown_verb(arguments: Sequence[str]) -> None:
    """argparse would say `argument VERB: invalid choice`, which nobody reads."""
    first = next((each for each in arguments if not each.startswith("-")), "")
    if first and arguments[0] == first and first not in VERBS:
        raise refused(
            ReasonKind.USAGE, problem=f"there is no verb {first!r}; known are {', '.join(VERBS)}{near(first, list(VERBS))}"
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
