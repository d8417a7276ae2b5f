"""Batches of synthetic faces that several tests share."""

from __future__ import annotations

from collections.abc import Iterable

from snnface.batch import EventBatch, collate_events
from snnface.datasets.store import Store


def batch_of(store: Store, clips: Iterable[int]) -> EventBatch:
    """These clips of a data set as one batch."""
    chosen = list(clips)
    durations = [int(store.duration_us[i]) for i in chosen]
    return collate_events([store.events(i) for i in chosen], durations, store.width, store.height)
