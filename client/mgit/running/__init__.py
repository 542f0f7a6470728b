"""Model tests are run here, at the client: each in a process of its own, its results recorded as they come."""

from __future__ import annotations

from mgit.running.runs import ModelTestPair, ModelTestRun, RunOptions
from mgit.running.sweep import ModelTestRunner, plan_tests, run_tests

__all__ = ["ModelTestPair", "ModelTestRun", "ModelTestRunner", "RunOptions", "plan_tests", "run_tests"]
