# SPDX-License-Identifier: Apache-2.0
"""unxen makes a Windows that ran on Xen start on KVM, offline and with a way back."""

__version__ = "0.1.0"
