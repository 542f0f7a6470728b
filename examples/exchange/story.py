"""Ours pushes an encoder and later a fine-tune; theirs makes a model of it, which ours pulls."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from examples.exchange.teams import Team
from examples.robustness.learning import read_base
from safetensors.numpy import save_file

__all__ = ["Findings", "tell_story"]

Say = Callable[[str], None]

_STEP = 1e-4  # About what a short fine-tune moves a weight by.


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came out.

    Attributes:
        size_bytes: Bytes of a model's file.
        base_sent: Bytes that the push of the encoder sent.
        tuned_sent: Bytes that the push of its fine-tune sent.
        tuned_stored: Bytes that the fine-tune takes in the store.
        pulled: References of what was pulled.
        same_digest: Whether the model that made the round trip is the same on both sides.
    """

    size_bytes: int
    base_sent: int
    tuned_sent: int
    tuned_stored: int
    pulled: tuple[str, ...]
    same_digest: bool


def tell_story(ours: Team, theirs: Team, say: Say) -> Findings:
    """Types the commands in two homes whose stacks are up.

    Raises:
        RuntimeError: If one of them did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="mgit-example-") as name:
        base, tuned, child = _write_models(Path(name))
        address = theirs.run("status")["address"]
        say("\n== Our team has an encoder, and pushes it")
        _type(ours, say, "add", str(base), "--name", "encoder")
        _type(ours, say, "remote", "add", "origin", address)
        first = _type(ours, say, "push", "origin", "encoder")
        say(f"   sent {first['bytes_sent']:,} bytes; the file has {base.stat().st_size:,}")
        say("\n== It fine-tunes every weight a little; the push costs what the fine-tune differs by")
        _type(ours, say, "add", str(tuned), "--name", "reviews", "--parent", "encoder:finetuned")
        second = _type(ours, say, "push", "origin", "reviews")
        stored = ours.run("stats", "reviews")["unique_bytes"]
        size = base.stat().st_size
        sent = second["bytes_sent"]
        say(f"   sent {sent:,} bytes; the file has {size:,}, our store keeps {stored:,} for it")
        say("\n== The other team makes something of it; we pull that")
        _type(theirs, say, "add", str(child), "--name", "reviews-short", "--parent", "reviews:finetuned")
        pulled = _type(ours, say, "pull", "origin")
        refs = tuple(model["ref"] for model in pulled["models"])
        say(f"   received {pulled['bytes_received']:,} bytes: {', '.join(refs)}; the other models were here")
        shown = [team.run("show", "reviews-short") for team in (ours, theirs)]
        is_same = shown[0]["digest"] == shown[1]["digest"] and shown[0]["uid"] == shown[1]["uid"]
        judged = "the same model" if is_same else "ANOTHER MODEL"
        say(f"   {shown[0]['ref']} is {judged} here and there: {shown[0]['uid']}")
    return Findings(
        size_bytes=size,
        base_sent=first["bytes_sent"],
        tuned_sent=sent,
        tuned_stored=stored,
        pulled=refs,
        same_digest=is_same,
    )


def _type(team: Team, say: Say, *words: str) -> dict[str, Any]:
    shown = " ".join(Path(word).name if word.startswith("/") else word for word in words)
    say(f"   {team.home.name}$ mgit {shown}")
    return team.run(*words)


def _write_models(folder: Path) -> tuple[Path, Path, Path]:
    """The encoder, and two models that were each moved a little from the one before."""
    random = np.random.default_rng(0)
    weights = {name: tensor.numpy() for name, tensor in read_base().items()}
    paths = []
    for name in ("encoder", "reviews", "reviews-short"):
        paths.append(folder / f"{name}.safetensors")
        save_file(weights, paths[-1])
        weights = {key: _moved(array, random) for key, array in weights.items()}
    return paths[0], paths[1], paths[2]


def _moved(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if array.dtype != np.float32:
        return array
    step: np.ndarray = random.standard_normal(array.shape, np.float32) * np.float32(_STEP)
    return array + step
