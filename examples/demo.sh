#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shows the main job on a real NTFS disk: a Windows that Xen drivers have changed goes in, one that KVM can boot comes out.
# Installs what is missing (as root, on Debian 12). Leaves nothing behind but that and .venv. UNXEN names an unxen that is installed
# already and is shown instead.
set -eu
cd "$(dirname "$0")/.."
[ -n "${UNXEN:-}" ] || packaging/install-debian.sh run
unxen=${UNXEN:-.venv/bin/unxen}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export UNXEN_STATE_DIR="$work/state"
disk="$work/windows.qcow2"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\n$ unxen %s\n' "$*"; "$unxen" "$@"; }
expect() {
  want=$1; shift
  set +e; show "$@"; got=$?; set -e
  [ "$got" -eq "$want" ] || { echo "unxen $* ended with $got, not $want" >&2; exit 1; }
}

say "A disk: MBR, NTFS, boot files, a Windows 10 tree whose SYSTEM hive XCP-ng's drivers have changed."
examples/make-disk "$disk" --generation 10 --family xcpng

say "What is wrong with it? (3: it would stop with 0x7B, and can be repaired)"
expect 3 inspect "$disk"

say "What would be done?"
expect 3 plan "$disk"

say "Repair it."
expect 0 repair "$disk"

say "And now?"
expect 0 inspect "$disk"

say "A second repair finds nothing to do."
expect 0 repair "$disk"

say "The way back, and forth again is up to you."
expect 0 undo "$disk"
