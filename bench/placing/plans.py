"""The pools: one that thresholds were chosen on, and one that was looked at when they were fixed.

The second has other architectures, other sizes, other data, other seeds and other recipes.
"""

from __future__ import annotations

from bench.placing.families import FamilyPlan
from bench.placing.networks import NetworkShape
from bench.placing.training import Recipe

__all__ = ["HELD_OUT", "TUNING"]

TUNING = (
    FamilyPlan(
        name="tuning-text",
        shape=NetworkShape(kind="transformer", width=64, layers=2, vocabulary=128, outputs=128),
        seed=1,
        base=Recipe(steps=400, rate=2e-3, seed=1),
        tuning=Recipe(steps=80, rate=5e-4),
    ),
    FamilyPlan(
        name="tuning-images",
        shape=NetworkShape(kind="perceptron", width=128, layers=3, vocabulary=16, outputs=10),
        seed=2,
        base=Recipe(steps=500, rate=1e-3, seed=2),
        tuning=Recipe(steps=120, rate=2e-4, optimizer="adam"),
    ),
    FamilyPlan(
        name="tuning-convolutional",
        shape=NetworkShape(kind="convolutional", width=24, layers=4, vocabulary=8, outputs=7),
        seed=1_313,
        base=Recipe(steps=200, rate=3e-3, seed=13, optimizer="adam"),
        tuning=Recipe(steps=50, rate=1e-3),
        rank=3,
        sparsity=0.4,
    ),
    FamilyPlan(
        name="tuning-deep",
        shape=NetworkShape(kind="perceptron", width=96, layers=5, vocabulary=20, outputs=16),
        seed=1_414,
        base=Recipe(steps=300, rate=0.05, seed=14, optimizer="sgd"),
        tuning=Recipe(steps=60, rate=0.02, optimizer="sgd"),
        rank=6,
        sparsity=0.6,
    ),
    FamilyPlan(
        name="tuning-late-text",
        shape=NetworkShape(kind="transformer", width=48, layers=3, vocabulary=96, outputs=96),
        seed=1_111,
        base=Recipe(steps=200, rate=2e-3, seed=11),
        tuning=Recipe(steps=40, rate=5e-4, optimizer="adam"),
        rank=8,
        sparsity=0.3,
    ),
)
HELD_OUT = (
    FamilyPlan(
        name="convolutional",
        shape=NetworkShape(kind="convolutional", width=32, layers=3, vocabulary=9, outputs=5),
        seed=7_313,
        base=Recipe(steps=200, rate=3e-3, seed=73, optimizer="adam"),
        tuning=Recipe(steps=45, rate=8e-4),
        rank=3,
        sparsity=0.4,
    ),
    FamilyPlan(
        name="deep",
        shape=NetworkShape(kind="perceptron", width=72, layers=4, vocabulary=17, outputs=11),
        seed=7_414,
        base=Recipe(steps=300, rate=0.04, seed=74, optimizer="sgd"),
        tuning=Recipe(steps=70, rate=0.015, optimizer="sgd"),
        rank=6,
        sparsity=0.6,
    ),
    FamilyPlan(
        name="text",
        shape=NetworkShape(kind="transformer", width=80, layers=2, vocabulary=112, outputs=112),
        seed=5_111,
        base=Recipe(steps=200, rate=2e-3, seed=51),
        tuning=Recipe(steps=45, rate=4e-4, optimizer="adam"),
        rank=5,
        sparsity=0.3,
    ),
)
