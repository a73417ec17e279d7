# SPDX-License-Identifier: Apache-2.0
"""Fixtures are made here from readable text, so that every test says what its disk or hive is like."""
