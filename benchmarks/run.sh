#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes disks, runs unxen and the tools it is compared with on the same disk in turn, and prints the tables of docs/benchmarks.md.
#
#   benchmarks/run.sh                   everything, five rounds
#   benchmarks/run.sh --quick           two rounds and a smaller part of the growth
#   benchmarks/run.sh --only compare    one part of: compare, growth, many, idle, starts
#
# Installs what it needs; wants root, and 5 GB where TMPDIR is. UNXEN_CORPUS names the real hives; without them a small generated one
# is used, and the tables say so. Where KVM is there and fails, LIBGUESTFS_BACKEND_SETTINGS=force_tcg tells everybody at once.
set -eu
cd "$(dirname "$0")/.."
packaging/install-debian.sh bench
unset PYTHONDONTWRITEBYTECODE
export LIBGUESTFS_BACKEND="${LIBGUESTFS_BACKEND:-direct}"
exec .venv/bin/python benchmarks/main.py "$@"
