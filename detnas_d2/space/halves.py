"""The other channel shuffle: halves of the shuffled tensor, as the released supernets have it.

The authors train their supernets with it (`channel_shuffle1`; CHANNEL_SHUFFLE_METHOD 1 in their
search configs) and the networks found with the even/odd form (`channel_shuffle2`), which is this
project's. No reordering of weights turns one into the other: in the 300m space's first two stages
the channels of one block reach later blocks in other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .choices import Choice, ShuffleChoice, XceptionChoice
from .errors import SpaceError
from .space import SearchSpace

HALVES = "-halves"
_BLOCK = "detnas_d2.modeling.halves.HalvesShuffleBlock"


@dataclass(frozen=True)
class HalvesShuffleChoice(ShuffleChoice):
    """`ShuffleChoice` in the halves form."""

    block = _BLOCK


@dataclass(frozen=True)
class HalvesXceptionChoice(XceptionChoice):
    """`XceptionChoice` in the halves form."""

    block = _BLOCK


def halves_space(space: SearchSpace) -> SearchSpace:
    """
    The same space with the other shuffle, named `<name>-halves`, for the released supernets.

    The project's own spaces have theirs by name: `space="300m-halves"`. Its fingerprint is another
    one, so weights of the two forms are never taken for each other.

    Raises:
        SpaceError: a space with other choices than ShuffleChoice and XceptionChoice.
    """
    choices = tuple(_halves(choice, space) for choice in space.choices)
    return replace(space, name=f"{space.name}{HALVES}", choices=choices)


def _halves(choice: Choice, space: SearchSpace) -> Choice:
    if type(choice) is ShuffleChoice:
        return HalvesShuffleChoice(choice.kernel_size)
    if type(choice) is XceptionChoice:
        return HalvesXceptionChoice()
    raise SpaceError(
        f"space {space.name!r}: choice {choice.name!r} ({type(choice).__name__}) has no halves "
        "form; expected ShuffleChoice or XceptionChoice"
    )
