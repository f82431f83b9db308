"""Peak activation memory of architectures, counted without running them."""

from __future__ import annotations

from collections.abc import Sequence

from ._values import as_int
from .block_cost import BlockCost
from .choices import Choice, conv_activations
from .cost import block_resolutions, checked_size, cost_rows
from .errors import SpaceError
from .space import SearchSpace

MEMORY_CONVENTION = (
    "activations alive at the worst moment of the body's forward in eval mode, one image in "
    "float32; the image and the stages' outputs that a detector reads stay alive, ReLU is in "
    "place, norms are not folded; no weights, and no working space inside of an operator"
)
_BYTES = 4


def memory_cost(
    space: SearchSpace, input_size: Sequence[int] = (224, 224), features: Sequence[str] = ()
) -> BlockCost[int]:
    """
    The peak of each block, with what stays alive meanwhile (MEMORY_CONVENTION); an architecture's
    is the maximum.

    Args:
        input_size: (height, width) in pixels.
        features: names of the stages whose outputs stay to the end; all of them by default.

    Raises:
        SpaceError: for an input size that isn't two positive integers.
    """
    size = checked_size(input_size)
    image = space.stem.in_channels * size[0] * size[1]
    names = space.stage_names
    read = [name in (features or names) for name in names]
    held = image
    rows = []
    peaks = cost_rows(space, size, _peak, 0)
    resolutions = block_resolutions(space, size)
    for block, (height, width), row in zip(space.blocks, resolutions, peaks, strict=True):
        rows.append([_BYTES * (held + peak) for peak in row])
        if block.index_in_stage == 0 and block.stage and read[block.stage - 1]:
            held += block.in_channels * height * width  # beside the inputs of the blocks to come
    stem = _BYTES * (image + conv_activations(space.stem, *size))
    return BlockCost(space, "bytes of activations at the peak", rows, stem, "max")


def _peak(choice: Choice, shape: tuple[int, ...]) -> int:
    value = choice.peak_activations(*shape)
    peak = as_int(value)
    if peak is None or peak < 0:
        raise SpaceError(f"its peak_activations is {value!r}; expected an integer of at least 0")
    return peak
