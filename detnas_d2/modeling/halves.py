"""The block of the other channel shuffle (detnas_d2.space.halves says whose it is)."""

from __future__ import annotations

import torch

from .blocks import ShuffleBlock


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
