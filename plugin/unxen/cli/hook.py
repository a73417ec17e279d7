# SPDX-License-Identifier: Apache-2.0
"""`unxen hook PLATFORM …`: what a platform's hook calls; the answer is the exit code, 0 or 1, and one line on standard error.

Never anything but 0 or 1, and 1 only for a start that is refused: a platform takes any other failure for a refusal, and a crash of
ours must not keep a guest from starting. Reads the call's definition on standard input; asks the platform nothing.
"""

import sys
from contextlib import suppress

from unxen.cli.call import Call
from unxen.host import log
from unxen.host.config import knowledge_rows, load_settings
from unxen.host.signals import end_by_interruption
from unxen.model.start import Answer, StartJudgement
from unxen.platforms.schemes import hook_call, make
from unxen.report.escape import visible
from unxen.report.start_messages import tell_start

ALLOWED, REFUSED = 0, 1
MARK = "unxen: "
"""Begins the one line by which a hook tells our refusal from anything else that ends with 1."""
AFTER_REFUSAL = "after-refusal"
BIGGEST_DEFINITION = 16 << 20


def answer(platform: str, arguments: tuple[str, ...]) -> int:
    """One call of a hook as a program of its own, interrupted as the others are."""
    end_by_interruption()
    return run(Call("hook", platform=platform, arguments=arguments))


def run(call: Call) -> int:
    """One call of a hook, to 0 or 1."""
    if call.arguments[1:] == (AFTER_REFUSAL,):
        return _after_refusal(call)
    try:
        judgement = _judgement(call)
    except (Exception, KeyboardInterrupt) as error:
        log.debug(__name__, "hook failed", exc_info=True)
        _say(f"this start was not judged: {type(error).__name__}: {error}"[:500])
        return ALLOWED
    if judgement.answer is Answer.ALLOW:
        return ALLOWED
    _say(tell_start(judgement))
    return REFUSED if judgement.answer is Answer.REFUSE else ALLOWED


def _after_refusal(call: Call) -> int:
    """The job of its own that a hook hands a refused guest to, when it must not change the guest itself."""
    from unxen.knowledge.loader import load_knowledge
    from unxen.services.after_refusal import work
    from unxen.services.keeping import Keeper

    settings = load_settings()
    knowledge = load_knowledge(knowledge_rows(settings))
    work(make(call.platform, settings), call.platform, call.arguments[0], settings, knowledge, Keeper(call.platform, settings))
    return ALLOWED


def _judgement(call: Call) -> StartJudgement:
    from unxen.services.guard import judge_start
    from unxen.workflow.tables import tables_of

    settings = load_settings()
    parsed = hook_call(call.platform, settings, call.arguments, _definition())
    return judge_start(parsed, f"{call.platform}:{parsed.name}", settings, tables_of(settings))


def _definition() -> bytes:
    """What the platform wrote; nothing where it is no pipe, for a terminal would be waited for."""
    return b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read(BIGGEST_DEFINITION)


def _say(line: str) -> None:
    """To whoever called, as UTF-8 whatever the locale, and to the system's log, because libvirt drops what a good hook says."""
    line = visible(line)
    with suppress(OSError, ValueError):
        sys.stderr.buffer.write(f"{MARK}{line}\n".encode())
        sys.stderr.flush()
    with suppress(Exception):
        import syslog

        syslog.openlog("unxen", syslog.LOG_PID, syslog.LOG_DAEMON)
        syslog.syslog(syslog.LOG_WARNING, line)
