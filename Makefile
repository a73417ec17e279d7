# SPDX-License-Identifier: Apache-2.0
.PHONY: help test demo disk deb wheel check-deb check-trixie clean

help:
	@echo "make test          install what is missing and run all tests"
	@echo "make demo          show the main job on a disk made for it"
	@echo "make disk          a disk to try unxen on: DISK=windows.qcow2 GENERATION=10 FAMILY=xcpng"
	@echo "make deb           dist/unxen_VERSION_all.deb, checked by lintian"
	@echo "make wheel         dist/unxen-VERSION-py3-none-any.whl, tried in a virtual environment"
	@echo "make check-trixie  the same, and all tests, in a root of Debian 13"
	@echo "make check-deb     install it, run the demo from it, remove and purge it (changes this machine's packages)"

test:
	tests/run.sh

demo:
	examples/demo.sh

DISK = windows.qcow2
GENERATION = 10
FAMILY = xcpng
disk:
	packaging/install-debian.sh run
	examples/make-disk $(DISK) --generation $(GENERATION) --family $(FAMILY)

deb:
	packaging/make-deb

wheel:
	packaging/make-wheel
	packaging/check-wheel

check-deb: deb
	packaging/check-deb

check-trixie: deb
	packaging/check-debian-root trixie

clean:
	rm -rf dist build
