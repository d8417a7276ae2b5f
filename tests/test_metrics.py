"""Measures on answers whose figures can be told by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnface.facs import AU_INDEX, AUS
from snnface.heads import at_times, clip_logits
from snnface.metrics import LandmarkError, au_metrics, expression_metrics, normalised_errors


def shapes(frames: int, ocular: float = 20.0) -> torch.Tensor:
    """Landmarks whose outer eye corners are ``ocular`` pixels apart."""
    points = torch.rand(frames, 68, 2, generator=torch.Generator().manual_seed(0)) * 30
    points[:, 36], points[:, 45] = torch.tensor([5.0, 9.0]), torch.tensor([5.0 + ocular, 9.0])
    return points


@given(st.floats(5, 60), st.floats(-3, 3), st.floats(-3, 3))
def test_landmark_error_is_distance_over_the_eyes_distance(ocular: float, dx: float, dy: float) -> None:
    truth = shapes(2, ocular)
    error = normalised_errors(truth + torch.tensor([dx, dy]), truth)
    assert error.shape == (2, 68)
    assert error.numpy() == pytest.approx((dx**2 + dy**2) ** 0.5 / ocular, abs=1e-5)


def test_failures_and_the_area_under_the_error_curve() -> None:
    truth = shapes(4)
    errors = torch.tensor([0.0, 0.05, 0.09, 0.30])
    predicted = truth + (errors * 20)[:, None, None] * torch.tensor([1.0, 0.0])
    measure = LandmarkError()
    measure.update(predicted[:1], truth[:1])
    measure.update(predicted[1:], truth[1:])
    found = measure.compute()
    assert found["nme"] == pytest.approx(0.11)
    assert found["fr10"] == 0.25
    # Each frame's part of the area is what is left to the limit of 0.10: 1, 0.5, 0.1 and 0.
    assert found["auc10"] == pytest.approx(1.6 / 4, abs=1e-5)


def test_action_units_count_where_the_label_stands() -> None:
    logits = torch.zeros(5, len(AUS))
    labels = torch.tensor([AU_INDEX[1], AU_INDEX[1], AU_INDEX[12], AU_INDEX[56], -1])
    logits[0, AU_INDEX[1]] = 9  # first
    logits[1, [AU_INDEX[2], AU_INDEX[1]]] = torch.tensor([9.0, 8.0])  # second
    order = [i for i in range(len(AUS)) if i != AU_INDEX[12]]
    logits[2, order[:3]] = 9  # fourth
    logits[2, AU_INDEX[12]] = 8
    logits[3] = torch.arange(len(AUS), 0, -1)  # last
    logits[4, 0] = 9  # unlabelled, counts nowhere
    found = au_metrics(logits, labels)
    assert (found["au_top1"], found["au_top3"], found["au_top5"]) == (0.25, 0.5, 0.75)
    assert found["per_au"] == {"1": 0.5, "12": 0.0, "56": 0.0}
    confusion = torch.tensor(found["au_confusion"])
    assert confusion.sum() == 4
    assert confusion[AU_INDEX[1], AU_INDEX[2]] == 1


def test_expressions_count_where_the_label_stands() -> None:
    logits = torch.eye(7)[[0, 1, 2, 2]]
    found = expression_metrics(logits, torch.tensor([0, 1, 3, -1]))
    assert found["expression_acc"] == pytest.approx(2 / 3)
    assert found["expression_confusion"][3][2] == 1
    assert sum(map(sum, found["expression_confusion"])) == 3


def test_without_labels_there_is_no_figure() -> None:
    unlabelled = torch.full((3,), -1)
    assert au_metrics(torch.zeros(3, 24), unlabelled) == {}
    assert expression_metrics(torch.zeros(3, 7), unlabelled) == {}


def test_a_clips_logits_are_the_mean_over_its_own_steps() -> None:
    logits = torch.arange(12.0).view(4, 1, 3).repeat(1, 2, 1)
    found = clip_logits(logits, torch.tensor([2, 4]))
    assert torch.equal(found, torch.tensor([[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]))


def test_a_frame_reads_the_last_step_that_has_ended() -> None:
    values = torch.arange(4.0).view(4, 1, 1)
    t_us = torch.tensor([0, 9, 10, 19, 20, 29, 40, 99])
    found = at_times(values, torch.zeros(8, dtype=torch.int64), t_us, 10)
    assert found.flatten().tolist() == [0, 0, 0, 0, 1, 1, 3, 3]
