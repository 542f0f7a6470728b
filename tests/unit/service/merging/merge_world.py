"""Two people's models over one base, in a store and a graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from tests.unit.service.stored_models import ALGORITHM, opened, store_tensors

from mgit_core.creation import CreationRecord
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.layers.document import pack_layer_graph
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.lineage import Model, Relation, RequestKey
from mgit_core.manifest import Manifest
from mgit_core.merge.values import ConflictChoice, MergeOptions
from mgit_core.safetensors import build_header
from mgit_core.tensor import AnyArray, dtype_named
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.merging.merging import merge_models
from mgit_service.use_cases.merging.request import MergeEnd, MergeFindings, MergeOrder, MergeStep
from mgit_service.use_cases.references import ParentRequest
from mgit_service.use_cases.transfer.commit import CommitRequest, commit_draft
from mgit_service.use_cases.transfer.drafting import Draft

BODY, HEADS = ("body.weight", "body.bias"), ("head_a.weight", "head_b.weight")
NAMES = (*BODY, *HEADS)
EDGES = (("body", "head_a"), ("body", "head_b"))
Tensors = Mapping[str, AnyArray]


def tensors(seed: int = 0, kind: str = "float32", shape: tuple[int, ...] = (64, 64)) -> dict[str, AnyArray]:
    """A model with a body and two heads."""
    random = np.random.default_rng(seed)
    return {name: random.normal(0, 0.02, shape).astype(dtype_named(kind)) for name in NAMES}


def changed(model: Tensors, *names: str, seed: int = 1) -> dict[str, AnyArray]:
    """The same with some tensors trained further."""
    random = np.random.default_rng(seed)
    return {
        name: (array + random.normal(0, 0.002, array.shape).astype(array.dtype)).astype(array.dtype)
        if name in names
        else array
        for name, array in model.items()
    }


def graph_of(names: Sequence[str]) -> LayerGraph:
    """The traced layers of a model: every head takes what the body gives."""
    owned: dict[str, list[str]] = {}
    for name in sorted(names):
        owned.setdefault(name.rpartition(".")[0], []).append(name)
    layers = tuple(Layer(path=path, kind="Linear", parameters=tuple(own)) for path, own in owned.items())
    edges = tuple((0, at) for at in range(1, len(layers)))
    return LayerGraph(layers=layers, edges=edges, source=LayerGraphSource.EXPORT)


@dataclass
class Ended:
    """What a merge told."""

    findings: MergeFindings
    end: MergeEnd
    steps: list[MergeStep]

    @property
    def model(self) -> Model:
        assert self.end.model is not None
        return self.end.model


@dataclass
class World:
    """A backend, and models in it."""

    backend: Backend
    contents: dict[str, dict[str, AnyArray]] = field(default_factory=dict)

    async def add(
        self,
        name: str,
        content: Tensors,
        *,
        parents: Sequence[Model] = (),
        is_traced: bool = True,
        type: str | None = None,  # noqa: A002 - as in the SDK
        ties: tuple[tuple[str, ...], ...] = (),
        notes: Mapping[str, str] | None = None,
        has_weights_file: bool = False,
        merged_from: Sequence[Model] = (),
        creation: CreationRecord | None = None,
    ) -> Model:
        """A committed model; with a weights file or notes it came as a folder."""
        epoch = await EpochWatch(self.backend).read()
        manifest = store_tensors(self.backend, content)
        files = (
            self._files(manifest, notes or {}, has_weights_file=has_weights_file)
            if notes or has_weights_file
            else ()
        )
        header = DraftHeader(
            name=name,
            parents=tuple(
                ParentRequest(reference=f"@{parent.uid}", relation=relation)
                for relation, made_from in (
                    (Relation.FINETUNED, parents),
                    (Relation.MERGED, merged_from),
                )
                for parent in made_from
            ),
            creation=creation,
            type=type,
            ties=ties,
            layer_graph=pack_layer_graph(graph_of(list(content))) if is_traced else b"",
        )
        file_list = None
        if files or ties:
            file_list = FileList(algorithm=ALGORITHM, source_format="folder", files=files, ties=ties)
        draft = Draft(header=header, manifest=manifest, files=file_list)
        request = CommitRequest(epoch=epoch, request_id=None, arguments=b"")
        return (await commit_draft(self.backend, draft, request)).model

    def _files(
        self, manifest: Manifest, notes: Mapping[str, str], *, has_weights_file: bool
    ) -> tuple[FileEntry, ...]:
        entries: list[FileEntry] = []
        with self.backend.chunks.open_writer() as writer:
            for path, text in notes.items():
                raw = text.encode()
                digest = writer.write(raw, width=1)
                entries.append(_entry(path, FileKind.OPAQUE, len(raw), len(raw), digest))
            if has_weights_file:
                specs = [(each.name, each.spec) for each in manifest.parameters]
                header = build_header(specs, {"format": "pt", "of": manifest.digest.hex()})
                size_bytes = len(header) + manifest.size_bytes
                digest = writer.write(header, width=1)
                entries.append(
                    _entry("model.safetensors", FileKind.SAFETENSORS, size_bytes, len(header), digest)
                )
        return tuple(sorted(entries, key=lambda entry: entry.path))

    async def merge(
        self,
        ours: Model | str,
        theirs: Model | str,
        choice: ConflictChoice | None = None,
        *,
        base: str = "",
        name: str = "merged",
        options: MergeOptions | None = None,
        accept: bool = False,
        request: RequestKey | None = None,
    ) -> Ended:
        """A merge to its end."""
        order = MergeOrder(
            ours=ours if isinstance(ours, str) else f"@{ours.uid}",
            theirs=theirs if isinstance(theirs, str) else f"@{theirs.uid}",
            base=base,
            name=name,
            options=options or MergeOptions(on_conflict=choice),
            is_accepted=accept,
        )
        steps = [step async for step in merge_models(self.backend, order, request)]
        assert isinstance(steps[0], MergeFindings)
        assert isinstance(steps[-1], MergeEnd)
        return Ended(steps[0], steps[-1], steps)

    def read(self, model: Model) -> dict[str, AnyArray]:
        """The tensors of a model, through the store."""
        assert model.parameters is not None
        manifest = self.backend.parameters.read_manifest(model.parameters.manifest_key)
        return {
            each.name: np.frombuffer(
                b"".join(map(self.backend.chunks.read, each.chunks)), dtype_named(each.spec.dtype)
            ).reshape(each.spec.shape)
            for each in manifest.parameters
        }

    @property
    def pack_bytes(self) -> int:
        """Bytes of all packs."""
        return self.backend.parameters.usage().pack_bytes


def _entry(path: str, kind: FileKind, size_bytes: int, stored_bytes: int, digest: bytes) -> FileEntry:
    return FileEntry(path=path, kind=kind, size_bytes=size_bytes, stored_bytes=stored_bytes, chunks=(digest,))


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """An empty world whose graph is bound."""
    with opened() as backend:
        await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
        yield World(backend)
