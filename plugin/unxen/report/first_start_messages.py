# SPDX-License-Identifier: Apache-2.0
"""What to expect at the first start, and what to do about it: one sentence for every note that belongs there.

Touches nothing. Its rows and those of `note_messages` are one table for whoever tells notes; what stands here is shown under its
own heading.
"""

from unxen.model.judgement import NoteKind

FIRST_START_TEXTS: dict[NoteKind, str] = {
    NoteKind.ACTIVATION: "Windows may want to be activated again, because controller and network card change: give the new machine"
    " the same UUID and MAC addresses (unxen keeps those of a definition)",
}
