"""What every lineage graph must do. A subclass supplies the fixture ``lineage``: bound, empty, at epoch 1."""

from __future__ import annotations

from mgit_storage.testing.lineage.batches import BatchLaws
from mgit_storage.testing.lineage.bug_reach import BugReachLaws
from mgit_storage.testing.lineage.bugs import BugLaws
from mgit_storage.testing.lineage.cascade_plans import CascadePlanLaws
from mgit_storage.testing.lineage.cascades import CascadeLaws
from mgit_storage.testing.lineage.commits import CommitLaws
from mgit_storage.testing.lineage.content import BindingLaws, ContentLaws
from mgit_storage.testing.lineage.creations import CreationLaws
from mgit_storage.testing.lineage.edges import EdgeLaws
from mgit_storage.testing.lineage.exchange import ImportLaws, PromiseLaws
from mgit_storage.testing.lineage.exchange_records import RecordLaws, UnionLaws
from mgit_storage.testing.lineage.facts import FactLaws
from mgit_storage.testing.lineage.leases import CondemnLaws, LeaseLaws
from mgit_storage.testing.lineage.model_test_results import ResultLaws
from mgit_storage.testing.lineage.model_tests import ModelTestLaws
from mgit_storage.testing.lineage.models import ModelLaws
from mgit_storage.testing.lineage.publications import PublicationLaws
from mgit_storage.testing.lineage.removals import RemovalLaws
from mgit_storage.testing.lineage.requests import RequestLaws
from mgit_storage.testing.lineage.sketches import SketchLaws
from mgit_storage.testing.lineage.staging import StagingLaws
from mgit_storage.testing.lineage.tags import TagLaws
from mgit_storage.testing.lineage.traversal import TraversalLaws
from mgit_storage.testing.lineage.walks import WalkLaws

__all__ = ["LineageConformance"]


class LineageConformance(
    CommitLaws,
    BatchLaws,
    ModelLaws,
    RemovalLaws,
    RequestLaws,
    TagLaws,
    EdgeLaws,
    TraversalLaws,
    WalkLaws,
    ContentLaws,
    BindingLaws,
    LeaseLaws,
    CondemnLaws,
    SketchLaws,
    BugLaws,
    BugReachLaws,
    FactLaws,
    ImportLaws,
    PromiseLaws,
    RecordLaws,
    UnionLaws,
    ModelTestLaws,
    ResultLaws,
    CreationLaws,
    StagingLaws,
    CascadePlanLaws,
    CascadeLaws,
    PublicationLaws,
):
    """The laws of models, tags, edges, traversals, walks, content queries, the binding, leases, sketches, facts and tests."""
