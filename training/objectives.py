"""The terms of the loss: L = L_AU + λ·L_α + …, each term a scalar."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from snnface.heads import at_times, clip_logits
from snnface.training.clips import Targets
from snnface.training.recipe import Losses

#: In units of the labels' own spread, so that 1 is the error of answering the mean.
Spread = dict[str, Tensor]
#: Below this error, in the same units, a landmark's loss is quadratic.
QUADRATIC = 0.2


def loss_terms(
    answers: dict[str, Tensor],
    rates: Sequence[Tensor],
    targets: Targets,
    steps: Tensor,
    step_us: int,
    weights: Losses,
    spread: Spread,
) -> dict[str, Tensor]:
    """The weighted terms by name.

    ``answers``: name → ``[T, B, size]``; ``rates``: of the spikes of each layer ``[B, C]`` (empty for a CNN);
    ``steps``: int64 ``[B]``; ``spread``: name → standard deviation ``[size]`` of the head's labels over the training
    frames.
    The coefficient term is FACEMORPHIC's L_α, per-frame squared error to coefficients read from RGB.
    """
    terms: dict[str, Tensor] = {}
    au = clip_logits(answers["au"], steps)
    expression = clip_logits(answers["expression"], steps)
    if weights.au and (targets.au >= 0).any():
        terms["au"] = weights.au * F.cross_entropy(au, targets.au, ignore_index=-1)
    if weights.expression and (targets.expression >= 0).any():
        terms["expression"] = weights.expression * F.cross_entropy(expression, targets.expression, ignore_index=-1)

    def errors(name: str, truth: Tensor) -> tuple[Tensor, Tensor]:
        answer = at_times(answers[name], targets.frame_clip, targets.frame_t_us, step_us)
        return answer / spread[name], truth.flatten(1) / spread[name]

    if weights.landmarks:
        terms["landmarks"] = weights.landmarks * _distance(*errors("landmarks", targets.landmarks))
    if weights.teacher_landmarks and targets.teacher_landmarks is not None:
        terms["teacher_landmarks"] = weights.teacher_landmarks * _distance(
            *errors("landmarks", targets.teacher_landmarks)
        )
    if weights.coefficients and targets.coefficients is not None:
        terms["coefficients"] = weights.coefficients * F.mse_loss(*errors("coefficients", targets.coefficients))
    if weights.soft_labels and targets.soft_au is not None and targets.soft_expression is not None:
        soft = _divergence(au, targets.soft_au, targets.au, weights.temperature)
        soft = soft + _divergence(expression, targets.soft_expression, targets.expression, weights.temperature)
        terms["soft_labels"] = weights.soft_labels * soft
    if weights.rate and rates:
        # Layers within the target stay out of the graph: a gradient of zeros costs as much as any other.
        busy = [r for r in rates if r.detach().mean() > weights.rate_target]
        excess = sum((r.mean() - weights.rate_target for r in busy), rates[0].new_zeros(()))
        terms["rate"] = weights.rate * excess / weights.rate_target
    return terms


def _distance(answer: Tensor, truth: Tensor) -> Tensor:
    """Huber's loss over :data:`QUADRATIC`: absolute but for small errors. Frames before anything has moved, where
    nobody can know the place of the face, would else decide the gradient."""
    return F.smooth_l1_loss(answer, truth, beta=QUADRATIC)


def _divergence(student: Tensor, teacher: Tensor, label: Tensor, temperature: float) -> Tensor:
    """KL(teacher ‖ student) at a temperature, times its square (Hinton et al. 2015), over the clips of this task."""
    seen = label >= 0
    if not seen.any():
        return student.sum() * 0
    return temperature**2 * F.kl_div(
        F.log_softmax(student[seen] / temperature, dim=1),
        F.log_softmax(teacher[seen] / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
