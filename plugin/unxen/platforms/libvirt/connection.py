# SPDX-License-Identifier: Apache-2.0
"""libvirt's daemon comes and goes, and a handle that lost it never finds it again: here one is opened whenever there is none.

The only module that imports the library. Opens connections and, for whoever wants events, one thread that runs libvirt's loop.
What libvirt says becomes Refused(PLATFORM_REFUSED), Refused(NO_PERMISSION) or, for the wrong host, Refused(POLICY_REFUSED).
"""

import atexit
import logging
import os
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import libvirt

from unxen.errors import Refused, refused
from unxen.host.signals import uninterrupted
from unxen.model.reason import ReasonKind

LOG = logging.getLogger(__name__)
KEEPALIVE = (5, 3)
TICK_MILLISECONDS = 200
LOOP_NAME = "libvirt-events"
END_SECONDS = 5.0
LIFECYCLE = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
FORBIDDEN = (
    libvirt.VIR_ERR_OPERATION_DENIED,
    libvirt.VIR_ERR_AUTH_FAILED,
    libvirt.VIR_ERR_ACCESS_DENIED,
    libvirt.VIR_ERR_AUTH_CANCELLED,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE,
)
LOST = "libvirt's daemon is gone"


class Connection:
    """One daemon, reached again after it was gone."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._events = False
        self._handle: libvirt.virConnect | None = None
        self.happened: queue.Queue[str] = queue.Queue()
        libvirt.registerErrorHandler(_say_nothing, None)

    def tell_events(self) -> None:
        """From now on `happened` gets the names of domains to which something happened."""
        if not self._events:
            # libvirt's loop must run before a connection that wants to hear is opened.
            self.close()
            self._events = True

    def handle(self) -> libvirt.virConnect:
        """A living connection; one without the right to change anything where that is all we get."""
        if self._handle is not None and self._handle.isAlive():
            return self._handle
        self._handle = None
        if self._events:
            _run_loop()
        self._handle = self._open()
        if self._events:
            self._listen(self._handle)
        return self._handle

    @property
    def lost(self) -> bool:
        """Whether there was never a connection, or it is gone."""
        return self._handle is None or not self._handle.isAlive()

    def require_this_host(self) -> None:
        """Disks are files of one host: a daemon somewhere else knows others by the same names."""
        remote = urlsplit(self._uri).hostname
        with told(self._uri):
            theirs = self.handle().getHostname()
        if remote or theirs.partition(".")[0] != socket.gethostname().partition(".")[0]:
            problem = f"its libvirt runs on {remote or theirs}, and disks are repaired where they are"
            raise refused(ReasonKind.POLICY_REFUSED, self._uri, problem=problem)

    def close(self) -> None:
        """Lets the daemon go."""
        if self._handle is not None:
            with suppress(libvirt.libvirtError):
                self._handle.close()
        self._handle = None

    def _open(self) -> libvirt.virConnect:
        try:
            return libvirt.open(self._uri)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in FORBIDDEN or os.geteuid() == 0:
                raise reason_of(self._uri, error) from error
        with told(self._uri):
            return libvirt.openReadOnly(self._uri)

    def _listen(self, handle: libvirt.virConnect) -> None:
        with told(self._uri):
            handle.domainEventRegisterAny(None, LIFECYCLE, self._on_event, None)
            handle.registerCloseCallback(self._on_close, None)
        with suppress(libvirt.libvirtError):
            handle.setKeepAlive(*KEEPALIVE)

    def _on_event(self, _handle: Any, domain: Any, *_rest: Any) -> None:
        """Called in the loop's thread: nothing but the name is taken, the work is done elsewhere."""
        self.happened.put(domain.name())

    def _on_close(self, _handle: Any, reason: int, _opaque: Any) -> None:
        LOG.warning("%s: %s (%s)", self._uri, LOST, reason)
        # Wakes whoever waits.
        self.happened.put("")


@contextmanager
def told(subject: str) -> Iterator[None]:
    """libvirt's errors as reasons."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise reason_of(subject, error) from error


def reason_of(subject: str, error: libvirt.libvirtError) -> Refused:
    """What libvirt said, as a reason."""
    denied = error.get_error_code() in FORBIDDEN
    kind = ReasonKind.NO_PERMISSION if denied else ReasonKind.PLATFORM_REFUSED
    return refused(kind, subject, cause=error.get_error_message() or str(error))


def said(error: libvirt.libvirtError) -> str:
    """libvirt's own words."""
    return str(error.get_error_message() or error)


def _say_nothing(_context: Any, _error: Any) -> None:
    """The library writes every error to standard error by itself; ours are told once, where they matter."""


_loop = threading.Lock()
_ending = threading.Event()
_running: list[threading.Thread] = []


def _run_loop() -> None:
    """libvirt's event loop, once per process, registered before the first connection that wants events."""
    with _loop:
        if _running:
            return
        libvirt.virEventRegisterDefaultImpl()
        # A timer, because a loop without one sleeps until something happens and never sees a new connection.
        libvirt.virEventAddTimeout(TICK_MILLISECONDS, _tick, None)
        thread = threading.Thread(target=_run_until_the_end, name=LOOP_NAME, daemon=True)
        # A request to end must not arrive in this thread: the main thread, which holds it back during a commit, would hear of it.
        with uninterrupted():
            thread.start()
        _running.append(thread)
        # A thread that is inside the library while the interpreter goes away crashes it.
        atexit.register(_end_loop)


def _tick(_timer: int, _opaque: Any) -> None:
    """Nothing; it only wakes the loop."""


def _run_until_the_end() -> None:
    while not _ending.is_set():
        with suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


def _end_loop() -> None:
    _ending.set()
    for thread in _running:
        thread.join(END_SECONDS)
