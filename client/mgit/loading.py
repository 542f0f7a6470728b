"""Fetches parameters into memory: of one model, or of relatives that share what is equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar, overload

import numpy as np
from typing_extensions import override

from mgit.chunks import BufferSink, ChunkPlan, fetch_chunks
from mgit.content import ModelContent
from mgit.frameworks.source import bytes_of
from mgit.progress import ProgressCounter
from mgit.promises import promises_told
from mgit.shared_memory import SharedMemory
from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.manifest import Parameter
from mgit_core.tensor import AnyArray, dtype_named

__all__ = ["LoadedModels", "check_framework", "load_model", "load_together"]

Loaded = TypeVar("Loaded", bound=Mapping[str, object])
Other = TypeVar("Other", bound=Mapping[str, object])


def check_framework(framework: str) -> None:
    """Refuses a framework that models cannot be loaded for.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    if framework not in {"numpy", "torch"}:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"A framework is numpy or torch; found {framework!r}."
        )


class LoadedModels(Sequence[Loaded], Generic[Loaded]):
    """Several models in memory, in the order in which they were asked for.

    Attributes:
        loaded_bytes: Bytes that the models would take, each alone.
        memory_bytes: Bytes that they take: every tensor once, in whichever models it is.
    """

    def __init__(self, models: Sequence[Loaded], *, loaded_bytes: int, memory_bytes: int) -> None:
        self._models = tuple(models)
        self.loaded_bytes = loaded_bytes
        self.memory_bytes = memory_bytes

    @property
    def saved_bytes(self) -> int:
        """Memory that sharing saves, as long as nothing is written."""
        return self.loaded_bytes - self.memory_bytes

    @overload
    def __getitem__(self, index: int) -> Loaded: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Loaded, ...]: ...

    @override
    def __getitem__(self, index: int | slice) -> Loaded | tuple[Loaded, ...]:
        return self._models[index]

    @override
    def __len__(self) -> int:
        return len(self._models)

    @override
    def __iter__(self) -> Iterator[Loaded]:
        return iter(self._models)

    def converted(self, models: Sequence[Other]) -> LoadedModels[Other]:
        """The same memory in another form."""
        return LoadedModels(models, loaded_bytes=self.loaded_bytes, memory_bytes=self.memory_bytes)

    def __repr__(self) -> str:
        return (
            f"<{len(self)} models in {self.memory_bytes:,} bytes of memory, {self.saved_bytes:,} bytes saved by "
            "sharing>"
        )


def load_model(
    content: ModelContent, patterns: Sequence[str], progress: ProgressCounter
) -> dict[str, AnyArray]:
    """The parameters of a model as arrays of their own, by name, writable.

    Names that shared one memory at the source do so again. Each chunk is fetched once.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits no parameter.
        MGitError: As ``fetch_chunks``.
    """
    plan = ChunkPlan()
    tied = _ties_of(content)
    made: dict[tuple[str, Digest], AnyArray] = {}
    arrays: dict[str, AnyArray] = {}
    for parameter in content.select(patterns):
        key = (tied.get(parameter.name, parameter.name), parameter.digest)
        if key not in made:
            made[key] = np.empty(parameter.spec.shape, dtype_named(parameter.spec.dtype))
            _want(plan, parameter, bytes_of(made[key]))
        arrays[parameter.name] = made[key]
    progress.begin(plan.size_bytes)
    content.fetch(plan, progress)
    return arrays


def load_together(
    contents: Sequence[ModelContent],
    patterns: Sequence[str],
    progress: ProgressCounter,
    *,
    writable: bool,
) -> LoadedModels[dict[str, AnyArray]]:
    """The parameters of several models as arrays over one memory, in which every tensor lies once.

    Not writable, equal tensors are one array. Writable, each model has arrays of its own, except for names that
    shared one memory at the source; what is written is seen in that model only, and takes memory then.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits no parameter.
        MGitError: As ``fetch_chunks``.
    """
    chosen = [content.select(patterns) for content in contents]
    distinct = {parameter.digest: parameter for parameters in chosen for parameter in parameters}
    memory = SharedMemory({digest: each.spec.size_bytes for digest, each in distinct.items()})
    with memory.filling() as buffers:
        plan = ChunkPlan()
        for digest, parameter in distinct.items():
            _want(plan, parameter, buffers[digest])
        progress.begin(plan.size_bytes)
        if contents:
            with promises_told(contents[0].connection, (content.uid for content in contents)):
                fetch_chunks(contents[0].connection, plan, progress)
    views = _WritableViews(memory) if writable else _ReadOnlyViews(memory)
    models = [views.arrays(content, each) for content, each in zip(contents, chosen, strict=True)]
    return LoadedModels(
        models,
        loaded_bytes=sum(_own_bytes(content, each) for content, each in zip(contents, chosen, strict=True)),
        memory_bytes=sum(each.spec.size_bytes for each in distinct.values()),
    )


class _ReadOnlyViews:
    """Equal tensors of all models are one array."""

    def __init__(self, memory: SharedMemory) -> None:
        self._view = memory.read_only()
        self._made: dict[Digest, AnyArray] = {}

    def arrays(self, content: ModelContent, parameters: Sequence[Parameter]) -> dict[str, AnyArray]:
        del content
        for parameter in parameters:
            if parameter.digest not in self._made:
                self._made[parameter.digest] = _array(self._view[parameter.digest], parameter)
        return {parameter.name: self._made[parameter.digest] for parameter in parameters}


class _WritableViews:
    """Each model has a private view of the memory; its pages are copied when they are written.

    Tensors of one model that are equal, but were not tied, come from several views: a change of the one is none of
    the other.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory

    def arrays(self, content: ModelContent, parameters: Sequence[Parameter]) -> dict[str, AnyArray]:
        tied = _ties_of(content)
        views: list[Mapping[Digest, memoryview]] = []
        seen: Counter[Digest] = Counter()
        made: dict[tuple[str, Digest], AnyArray] = {}
        arrays: dict[str, AnyArray] = {}
        for parameter in parameters:
            key = (tied.get(parameter.name, parameter.name), parameter.digest)
            if key not in made:
                place = seen[parameter.digest]
                seen[parameter.digest] += 1
                if place == len(views):
                    views.append(self._memory.private())
                made[key] = _array(views[place][parameter.digest], parameter)
            arrays[parameter.name] = made[key]
        return arrays


def _array(view: memoryview, parameter: Parameter) -> AnyArray:
    array: AnyArray = np.frombuffer(view, dtype_named(parameter.spec.dtype))
    return array.reshape(parameter.spec.shape)


def _want(plan: ChunkPlan, parameter: Parameter, buffer: memoryview) -> None:
    start = 0
    sink = BufferSink(buffer)
    for digest, size_bytes in parameter.chunk_sizes():
        plan.add(digest, size_bytes, sink, start)
        start += size_bytes


def _ties_of(content: ModelContent) -> dict[str, str]:
    """For each tied name the first name of its tie."""
    return {name: tie[0] for tie in content.listing.files.ties for name in tie}


def _own_bytes(content: ModelContent, parameters: Sequence[Parameter]) -> int:
    """What ``load_model`` would take for these parameters."""
    tied = _ties_of(content)
    sizes = {(tied.get(each.name, each.name), each.digest): each.spec.size_bytes for each in parameters}
    return sum(sizes.values())
