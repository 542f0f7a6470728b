"""Keeps torch from spinning while it waits, which on a busy machine takes ten times as long."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
