# SPDX-License-Identifier: Apache-2.0
"""hivex is reached through here alone: it wants a file name, raises odd errors ("Success") and prints when it fails to open.

Touches a file in memory that dies with the call (a temporary file where the kernel has none). What hivex cannot open is
Refused(HIVE_DAMAGED); every other error of it passes through `guarded` and becomes what the caller says.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import hivex

from unxen.errors import refused
from unxen.model.reason import ReasonKind

T = TypeVar("T")
# Everything that the binding was seen to raise: RuntimeError with errno's text ("Success" too), OSError, UnicodeError for names.
LIBRARY_ERRORS = (RuntimeError, OSError, UnicodeError, ValueError, OverflowError, MemoryError)


class Library(hivex.Hivex):  # type: ignore[misc]
    """hivex.Hivex without the traceback that it prints when its constructor fails."""

    def __del__(self) -> None:
        if hasattr(self, "_o"):
            super().__del__()


@contextmanager
def file_of(data: bytes) -> Iterator[tuple[int, str]]:
    """A descriptor and a name for a file that holds the bytes, for as long as the context lasts."""
    handle = _memory_file()
    try:
        with os.fdopen(os.dup(handle), "wb") as file:
            file.write(data)
        yield handle, f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _memory_file() -> int:
    try:
        return os.memfd_create("hive", os.MFD_CLOEXEC)
    except (OSError, AttributeError):
        import tempfile  # lazily: every box would load it

        handle, name = tempfile.mkstemp()
        os.unlink(name)  # noqa: PTH108
        return handle


def open_read_only(data: bytes) -> Library:
    """The library's handle on the bytes; it keeps its own mapping, so nothing has to be closed.

    Bytes that came in sealed memory have the `descriptor` of it, and are mapped once more instead of copied.
    """
    shared = getattr(data, "descriptor", None)
    if shared is not None:
        return _open(f"/proc/self/fd/{shared}", write=False)
    with file_of(data) as (_, name):
        return _open(name, write=False)


def _open(name: str, *, write: bool) -> Library:
    try:
        return Library(name, write=write)
    except LIBRARY_ERRORS as error:
        raise refused(ReasonKind.HIVE_DAMAGED, cause=f"hivex: {error}") from error


@contextmanager
def open_for_writing(data: bytes) -> Iterator[tuple[Library, Callable[[], bytes]]]:
    """A handle that may be changed, and a function that commits and gives the new bytes, with the tail of the file kept."""
    with file_of(data) as (descriptor, name):
        library = _open(name, write=True)

        def commit() -> bytes:
            library.commit(name)
            os.lseek(descriptor, 0, os.SEEK_SET)
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return file.read()

        yield library, commit


def guarded(call: Callable[..., T], *arguments: Any, error: Callable[[Exception], Exception]) -> T:
    """The call's result; what the library raises becomes what `error` makes of it."""
    try:
        return call(*arguments)
    except LIBRARY_ERRORS as cause:
        raise error(cause) from cause
