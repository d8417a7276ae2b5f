"""The terms of the loss against their formulas, on answers that are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnface.facs import AUS, EXPRESSIONS
from snnface.training.clips import Targets
from snnface.training.objectives import QUADRATIC, loss_terms
from snnface.training.recipe import Losses

STEPS, CLIPS, STEP_US = 4, 2, 1000
FRAMES_US = torch.tensor([2000, 4000])
#: Spread of every landmark coordinate, pixels.
SPREAD = 5.0
SILENT = {"au": 0.0, "expression": 0.0, "landmarks": 0.0}


def targets(**changes: Tensor | None) -> Targets:
    """Two clips with one frame each; landmarks are 10 pixels everywhere."""
    values: dict[str, Tensor | None] = {
        "au": torch.tensor([3, -1]),
        "expression": torch.tensor([-1, 2]),
        "landmarks": torch.full((2, 68, 2), 10.0),
        "frame_clip": torch.tensor([0, 1]),
        "frame_t_us": FRAMES_US,
        "coefficients": torch.zeros(2, 3),
        "teacher_landmarks": torch.full((2, 68, 2), 10.0),
        "soft_au": None,
        "soft_expression": None,
    }
    return Targets(**values | changes)  # type: ignore[arg-type]


def answers(error: float) -> dict[str, Tensor]:
    """Landmarks and coefficients are off by ``error`` pixels or units; all classes alike."""
    return {
        "au": torch.zeros(STEPS, CLIPS, len(AUS)),
        "expression": torch.zeros(STEPS, CLIPS, len(EXPRESSIONS)),
        "landmarks": torch.full((STEPS, CLIPS, 136), 10.0 + error, requires_grad=True),
        "coefficients": torch.full((STEPS, CLIPS, 3), error),
    }


def terms(given: dict[str, Tensor], rates: list[Tensor] | None = None, **weights: float) -> dict[str, Tensor]:
    spread = {"landmarks": torch.full((136,), SPREAD), "coefficients": torch.full((3,), SPREAD)}
    steps = torch.full((CLIPS,), STEPS)
    return loss_terms(given, rates or [], targets(), steps, STEP_US, Losses(**SILENT | weights), spread)


@pytest.mark.parametrize("name", ["landmarks", "teacher_landmarks"])
@pytest.mark.parametrize("pixels", [0.0, 0.4, -0.9, 1.1, -3.0, 40.0])
def test_landmarks_cost_their_error_and_small_ones_its_square(name: str, pixels: float) -> None:
    error = abs(pixels) / SPREAD
    expected = error**2 / (2 * QUADRATIC) if error < QUADRATIC else error - QUADRATIC / 2
    assert float(terms(answers(pixels), **{name: 3.0})[name].detach()) == pytest.approx(3 * expected, rel=1e-4)


def test_a_frame_that_is_far_off_pulls_no_harder_than_one_that_is_near() -> None:
    pull = {}
    for pixels in (2.0, 200.0):
        given = answers(pixels)
        terms(given, landmarks=1.0)["landmarks"].backward()
        pull[pixels] = given["landmarks"].grad
    assert pull[2.0].abs().max() > 0
    torch.testing.assert_close(pull[200.0], pull[2.0])


def test_coefficients_cost_the_square_of_their_error() -> None:
    assert float(terms(answers(2.0), coefficients=3.0)["coefficients"]) == pytest.approx(3 * (2 / SPREAD) ** 2)


def test_classes_cost_the_cross_entropy_of_the_clips_that_have_one() -> None:
    found = terms(answers(0.0), au=2.0, expression=3.0)
    assert float(found["au"]) == pytest.approx(2 * torch.log(torch.tensor(float(len(AUS)))).item())
    assert float(found["expression"]) == pytest.approx(3 * torch.log(torch.tensor(float(len(EXPRESSIONS)))).item())


def test_only_layers_above_the_target_pay_for_their_rate() -> None:
    rates = [torch.full((CLIPS, 4), 0.1), torch.full((CLIPS, 4), 0.02)]
    assert float(terms(answers(0.0), rates, rate=2.0, rate_target=0.05)["rate"]) == pytest.approx(2.0)


def test_a_weight_of_zero_leaves_a_term_out() -> None:
    assert terms(answers(1.0)) == {}
