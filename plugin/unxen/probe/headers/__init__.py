# SPDX-License-Identifier: Apache-2.0
"""Readers of the fixed fields of image formats, one module a format."""
