#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing, and makes .venv with the program in it. Needs root only when something is missing.
#
#   packaging/install-debian.sh run     what the program needs
#   packaging/install-debian.sh test    and what its tests need
#   packaging/install-debian.sh bench   and the tools that benchmarks/run.sh compares with
#
# It asks nothing, and touches nothing that is there already.
set -eu
cd "$(dirname "$0")/.."

for_running="qemu-utils qemu-system-common qemu-system-x86 python3-guestfs python3-hivex python3-libnbd python3-libfsntfs python3-tsk
  python3-libvirt python3-lxml python3-xxhash python3-zstandard python3-seccomp python3-jinja2
  bubblewrap python3-venv python3-pip python3-setuptools python3-wheel util-linux ca-certificates"
# tgt and Ceph bring services of their own, which have no targets and no cluster; the tests start theirs.
for_disks="ntfs-3g fdisk dosfstools mtools"
for_tests="shellcheck yamllint ansible-core python3-prometheus-client libwin-hivex-perl libregf-utils python3-libregf wine wine64 strace zstd libguestfs-tools procps e2fsprogs attr
  xva-img tgt ceph-mon ceph-osd ceph-common qemu-block-extra python3-proxmoxer python3-requests systemd chromium chromium-driver python3-selenium sqlite3"

for_bench="libguestfs-tools virt-v2v nbdkit zstd e2fsprogs"

# A daemon for the tests to start by themselves; libvirt-daemon-system, which would run one on this host, is not needed.
for_libvirt="libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients libxml2-utils iproute2 ovmf"

case "${1:-run}" in
  run) wanted="$for_running $for_disks" ;;
  test) wanted="$for_running $for_disks $for_tests $for_libvirt" ;;
  bench) wanted="$for_running $for_disks $for_bench $for_libvirt" ;;
  *) echo "usage: $0 run|test|bench" >&2; exit 2 ;;
esac

# The appliance starts a kernel of the host; a container or a bare root has none.
if ! ls /boot/vmlinuz-* >/dev/null 2>&1; then
  case "$(dpkg --print-architecture)" in
    amd64) wanted="$wanted linux-image-amd64" ;;
    arm64) wanted="$wanted linux-image-arm64" ;;
  esac
fi

missing=""
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "These Debian packages are missing; install them as root: apt-get install$missing" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  # shellcheck disable=SC2086  # a list of package names
  apt-get -qq -y --no-install-recommends install $missing >/dev/null
fi

newer() { [ -e "$1" ] && [ -n "$(find "$1" -newer "$2")" ]; }

# System site packages, because guestfs, hivex and the readers of file systems are on no package index.
[ -x .venv/bin/python ] || /usr/bin/python3 -m venv --system-site-packages .venv
if ! newer .venv/bin/unxen setup.cfg; then
  .venv/bin/pip -q --disable-pip-version-check install --no-build-isolation --no-deps -e .
fi
# The boxes' account cannot write what Python makes of our sources, and would make it anew at every start.
.venv/bin/python -m compileall -q plugin
if [ "${1:-run}" = test ] && ! newer .venv/.tests tests/requirements.txt; then
  .venv/bin/pip -q --disable-pip-version-check install -r tests/requirements.txt
  touch .venv/.tests
fi
