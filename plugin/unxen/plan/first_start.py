# SPDX-License-Identifier: Apache-2.0
"""What meets people once Windows starts on its new machine, told before the switch, while the old one can still be asked.

Touches nothing. Told only of a Windows in which Xen is active and that has not run on KVM: for every other one it is too late or
does not matter. Each function is one kind of note; the order in which they stand is the order in which they are told. Sources:
docs/first-start.md.
"""

from collections.abc import Callable, Iterator

from unxen.model.judgement import Note, NoteKind
from unxen.plan.examined import Examined


def first_start(examined: Examined) -> tuple[Note, ...]:
    """Notes about the first start; none where it has been."""
    if not examined.evidence or examined.kvm_trace:
        return ()
    return tuple(note for make in KINDS for note in make(examined))


def _activation(_examined: Examined) -> Iterator[Note]:
    """Windows weighs controller, network card and machine id together; the first two change with every switch."""
    yield Note(NoteKind.ACTIVATION)


KINDS: tuple[Callable[[Examined], Iterator[Note]], ...] = (_activation,)
