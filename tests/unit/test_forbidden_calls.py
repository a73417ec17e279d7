# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls is a program for the kernel: every name in it means something, and it decides what it says."""

import errno
import os
import struct

import pytest
import seccomp
from unxen.host.forbidden_calls import ALLOW, FAIL, FORBIDDEN, LOAD, OPAQUE, RETURN, THREAD, filter_program


def decided(program: bytes, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would decide; the four kinds of steps that the program has."""
    asked = {0: number, 4: seccomp.system_arch() if architecture is None else architecture}
    asked |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(arguments)}
    steps = list(struct.iter_unpack("=HBBI", program))
    at = held = 0
    while steps[at][0] != RETURN:
        code, yes, no, value = steps[at]
        if code == LOAD:
            held = asked[value]
            at += 1
            continue
        holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
        at += 1 + (yes if holds else no)
    return steps[at][3]


def number(name: str) -> int:
    return seccomp.resolve_syscall(seccomp.Arch(), name)


NAMES = [*(each for group in FORBIDDEN.values() for each in group), *OPAQUE]


def test_every_name_is_that_of_a_call() -> None:
    assert [name for name in NAMES if number(name) == -1] == []
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("writes", [False, True])
def test_what_is_forbidden_fails_and_the_rest_does_not(writes: bool) -> None:
    program = filter_program(writes=writes)
    for name in NAMES:
        if number(name) >= 0:
            assert decided(program, number(name)) == FAIL | (errno.ENOSYS if name in OPAQUE else errno.EPERM), name
    for name in ("read", "pread64", "execve", "mmap", "recvmsg", "accept4", "ppoll", "setresuid", "exit_group"):
        assert decided(program, number(name)) == ALLOW


def test_threads_are_made_and_processes_are_not() -> None:
    program = filter_program(writes=True)
    assert decided(program, number("clone"), THREAD | 0x100) == ALLOW
    for flags in (0, 17, 0x10000000, 0x4000):
        assert decided(program, number("clone"), flags) == FAIL | errno.EPERM


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_RDWR | os.O_CLOEXEC])
def test_files_are_opened_for_writing_only_where_that_is_the_work(flags: int) -> None:
    assert decided(filter_program(writes=False), number("openat"), 0, 0, flags) == FAIL | errno.EROFS
    assert decided(filter_program(writes=False), number("openat"), 0, 0, os.O_RDONLY | os.O_CLOEXEC) == ALLOW
    assert decided(filter_program(writes=True), number("openat"), 0, 0, flags) == ALLOW


def test_calls_by_other_numbers_are_missing() -> None:
    program = filter_program(writes=True)
    assert decided(program, number("read"), architecture=0x40000003) == FAIL | errno.ENOSYS
    assert decided(program, 0x40000000 | number("read")) == FAIL | errno.ENOSYS
