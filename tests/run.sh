#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing and runs all checks: style, types, tests. `--setup-only` stops after installing; other arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
packaging/install-debian.sh test
[ "${1:-}" != --setup-only ] || exit 0

.venv/bin/ruff check plugin tests examples benchmarks packaging/make-man-pages packaging/make-completion
.venv/bin/ruff format --check plugin tests examples benchmarks packaging/make-man-pages packaging/make-completion
.venv/bin/mypy
grep -rlE '^#!/bin/(ba)?sh' .ci benchmarks examples hooks packaging tests 2>/dev/null | xargs shellcheck
yamllint -s examples
# An appliance must start where KVM opens and then fails, too; the program itself falls back in the same way.
export LIBGUESTFS_BACKEND=direct
# One worker a core, a file at a time: some files make one disk or one appliance for all their tests. What is skipped is told, and why.
exec .venv/bin/python -m pytest --numprocesses=auto --dist=loadfile -rs "$@"
