"""What the CNN baselines see: frames of event counts."""

from __future__ import annotations

import numpy as np
import torch

from snnface.batch import collate_events
from snnface.events import EVENT_DTYPE
from snnface.training.baselines import event_frames


def test_frames_hold_the_square_roots_of_counts_by_polarity() -> None:
    one = np.array([(5, 3, 1, 1), (10, 3, 1, 1), (10, 0, 0, 0), (11, 3, 1, 1)], EVENT_DTYPE)
    frames = event_frames(collate_events([one, one[:0]], [25, 10], 4, 2), frame_us=10)
    expected = torch.zeros(3, 2, 2, 2, 4)
    expected[0, 0, 1, 1, 3] = 2**0.5
    expected[0, 0, 0, 0, 0] = 1
    expected[1, 0, 1, 1, 3] = 1
    torch.testing.assert_close(frames, expected)
