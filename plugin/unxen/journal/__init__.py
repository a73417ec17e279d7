# SPDX-License-Identifier: Apache-2.0
"""What is being done and what was done, so that a crash can be told from a success and a repair can be taken back."""
