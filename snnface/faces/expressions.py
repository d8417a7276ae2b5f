"""Expressions as combinations of action units, after EMFACS (Friesen & Ekman 1983)."""

from __future__ import annotations

#: Action unit → share of the expression's intensity. AUs in OPTIONAL take part by chance.
COMBINATIONS: dict[str, dict[int, float]] = {
    "anger": {4: 1.0, 5: 0.7, 7: 0.8, 23: 1.0},
    "contempt": {12: 0.7, 14: 1.0},
    "disgust": {9: 1.0, 15: 0.7, 16: 0.6},
    "fear": {1: 1.0, 2: 0.7, 4: 0.6, 5: 1.0, 7: 0.3, 20: 1.0, 26: 0.6},
    "happiness": {6: 0.9, 12: 1.0},
    "sadness": {1: 1.0, 4: 0.6, 15: 1.0},
    "surprise": {1: 1.0, 2: 1.0, 5: 0.8, 26: 1.0},
}
OPTIONAL: dict[str, dict[int, float]] = {
    "anger": {24: 0.6},
    "disgust": {10: 0.8, 17: 0.5},
    "happiness": {25: 0.9},
    "sadness": {17: 0.7},
    "surprise": {27: 0.5},
    "fear": {25: 0.6},
}
#: Expressions that one side of the face shows.
ONE_SIDED = frozenset({"contempt"})
