# SPDX-License-Identifier: Apache-2.0
"""`unxen report`: what became of all guests that were repaired or refused here, as text, JSON or one HTML page.

Reads the journal; writes the page to the file that was named, and nothing else. Refused(NO_PERMISSION) or Refused(NO_SPACE) when
that file cannot be written.
"""

import errno
import json
import sys
import time
from pathlib import Path

from unxen.cli.call import Call
from unxen.cli.terminal import style_for
from unxen.errors import refused
from unxen.host.config import load_settings
from unxen.model.history import PastOutcome, newest_of_each
from unxen.model.reason import ReasonKind
from unxen.report.exit_codes import DONE
from unxen.workflow.history import history

DAY = 86400.0


def run(call: Call) -> int:
    """Shows the guests named, or all."""
    now = time.time()
    outcomes = _chosen(history(load_settings(), now - call.days * DAY if call.days else 0.0), call.targets)
    if call.html:
        from unxen.report.html import page

        _write(call.html, page(outcomes, now))
    elif call.json:
        rows = [{"at": each.at, "outcome": each.document} for each in newest_of_each(outcomes)]
        sys.stdout.write(json.dumps({"schema": 1, "guests": rows}, indent=2) + "\n")
    else:
        from unxen.report.text_history import overview

        sys.stdout.write(overview(outcomes, style_for(sys.stdout)))
    return DONE


def _chosen(outcomes: tuple[PastOutcome, ...], targets: tuple[str, ...]) -> tuple[PastOutcome, ...]:
    return tuple(each for each in outcomes if not targets or set(targets) & set(each.guest))


def _write(name: str, text: str) -> None:
    if name == "-":
        sys.stdout.write(text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        kind = ReasonKind.NO_SPACE if error.errno == errno.ENOSPC else ReasonKind.NO_PERMISSION
        raise refused(kind, name, cause=error.strerror) from error
