# Copyright 2026 The shop example authors.
# SPDX-License-Identifier: Apache-2.0
"""The tools of the warehouse."""
