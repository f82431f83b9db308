"""The other channel shuffle: halves of the shuffled tensor, as the released supernets have it.

The authors train their supernets with it (`channel_shuffle1`; CHANNEL_SHUFFLE_METHOD 1 in their
search configs) and the networks found with the even/odd form (`channel_shuffle2`), which is this
project's. No reordering of weights turns one into the other: in the 300m space's first two stages
the channels of one block reach later blocks in other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from detnas_d2.modeling import ShuffleBlock
from detnas_d2.space import SearchSpace, ShuffleChoice, SpaceError, XceptionChoice, resolve_space


class HalvesShuffleBlock(ShuffleBlock):
    """`ShuffleBlock` whose stride-1 form interleaves the input's two halves, then cuts it in two.

    Channels a0 a1 a2 a3 b0 b1 b2 b3 give the projection a0 b0 a1 b1 and the main branch a2 b2 a3
    b3. The weights have the names and shapes of `ShuffleBlock`.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.projection is not None:
            return super().forward(x)
        interleaved = x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
        projected, x = interleaved.chunk(2, dim=1)
        return torch.cat((projected, self.main(x)), dim=1)


_BLOCK = f"{HalvesShuffleBlock.__module__}.{HalvesShuffleBlock.__qualname__}"


@dataclass(frozen=True)
class HalvesShuffleChoice(ShuffleChoice):
    """`ShuffleChoice` in the halves form."""

    block = _BLOCK


@dataclass(frozen=True)
class HalvesXceptionChoice(XceptionChoice):
    """`XceptionChoice` in the halves form."""

    block = _BLOCK


def halves_space(space: SearchSpace | str) -> SearchSpace:
    """
    The same space with the other shuffle, `<name>-halves`; in configs `L(halves_space)(space=...)`.

    Its fingerprint is another one, so weights of the two forms are never taken for each other.

    Raises:
        SpaceError: a space with other choices than ShuffleChoice and XceptionChoice.
    """
    space = resolve_space(space)
    forms = {ShuffleChoice: HalvesShuffleChoice, XceptionChoice: HalvesXceptionChoice}
    choices = []
    for choice in space.choices:
        if type(choice) not in forms:
            raise SpaceError(
                f"space {space.name!r}: choice {choice.name!r} ({type(choice).__name__}) has no "
                "halves form; expected ShuffleChoice or XceptionChoice"
            )
        choices.append(forms[type(choice)](**vars(choice)))
    return replace(space, name=f"{space.name}-halves", choices=tuple(choices))
