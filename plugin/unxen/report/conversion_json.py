# SPDX-License-Identifier: Apache-2.0
"""A converted machine for programs: one document that says everything the text says, and the definition itself.

Touches nothing, never fails. Names are escaped as in the text, the definition in `product` is exact.
"""

import json
from typing import Any

from unxen.model.conversion import Conversion, Placed
from unxen.model.machine import Loss
from unxen.report.escape import visible
from unxen.report.json import document as outcome_document
from unxen.report.json import escaped
from unxen.report.messages import tell_reason

SCHEMA = "unxen-conversion-1"


def dumps(conversion: Conversion, product: str) -> str:
    """The document, ending with a line break; `product` is what standard output would have had."""
    return json.dumps(document(conversion, product), indent=2, ensure_ascii=True) + "\n"


def document(conversion: Conversion, product: str) -> dict[str, Any]:
    """Its shape stands in conversion.schema.json."""
    unlooked = conversion.unlooked
    return {
        "schema": SCHEMA,
        "source": visible(conversion.source),
        "name": visible(conversion.machine.name),
        "bus": conversion.bus.value,
        "board": conversion.board.value,
        "firmware": conversion.machine.firmware.value,
        "windows": list(conversion.windows) if conversion.windows else None,
        "drives": [_drive(each) for each in conversion.placed],
        "losses": [_loss(each) for each in conversion.losses],
        "look": escaped(outcome_document(conversion.look)) if conversion.look else None,
        "not_looked_because": {"kind": unlooked.kind.value, "what": tell_reason(unlooked).what} if unlooked else None,
        "product": product,
    }


def _drive(placed: Placed) -> dict[str, Any]:
    drive = placed.drive
    return {
        "slot": visible(drive.slot),
        "media": drive.media.value,
        "path": visible(drive.path),
        "format": drive.format.value,
        "bus": placed.bus.value,
        "index": placed.index,
    }


def _loss(loss: Loss) -> dict[str, Any]:
    return {"item": visible(loss.item), "why": visible(loss.why), "remedy": visible(loss.remedy), "harmless": loss.harmless}
