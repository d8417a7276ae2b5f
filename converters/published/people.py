"""Who goes into which split, and what the sets call the seven expressions."""

from __future__ import annotations

from collections.abc import Sequence

from snnface.facs import EXPRESSIONS

#: Share of the people who train, as FACEMORPHIC's authors split their set.
TRAIN_SHARE = 0.8
TRAIN, VALIDATION, TEST = range(3)

#: Words of published sets for our seven expressions; whatever else a set has (neutral, none) is −1.
EXPRESSION_WORDS: dict[str, str] = {
    "angry": "anger",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}


def expression_index(word: str) -> int:
    """Index of ``EXPRESSIONS`` that a set's word means, in any case; −1 for every other word."""
    word = word.strip().lower()
    word = EXPRESSION_WORDS.get(word, word)
    return EXPRESSIONS.index(word) if word in EXPRESSIONS else -1


def by_person(people: Sequence[str], validation: float) -> dict[str, int]:
    """Split of each person: of the names in reverse order the first 80 % train, the rest test.

    This is how FACEMORPHIC's authors split their users. ``validation``: share of the training people who are held
    back, see :func:`held_back`.
    """
    backwards = sorted(set(people), reverse=True)
    train = int(TRAIN_SHARE * len(backwards))
    splits = dict.fromkeys(backwards, TEST) | dict.fromkeys(backwards[:train], TRAIN)
    return splits | held_back(backwards[:train], validation)


def held_back(people: Sequence[str], share: float) -> dict[str, int]:
    """The last of some training people, by order, as validation people: a share of them, one at least of two."""
    count = max(1, round(share * len(people))) if share > 0 and len(people) > 1 else 0
    return dict.fromkeys(people[len(people) - count :], VALIDATION)
