"""The search spaces that come with the project, by name."""

from __future__ import annotations

from ..rules import did_you_mean
from ._values import from_config
from .choices import Choice, ShuffleChoice, XceptionChoice
from .errors import SpaceError
from .space import SearchSpace, Stage

# The order of the authors' shuffle_blocks.py: 0 is 3x3, 1 is 5x5, 2 is 7x7, 3 is Xception.
_CHOICES: tuple[Choice, ...] = (
    ShuffleChoice(3),
    ShuffleChoice(5),
    ShuffleChoice(7),
    XceptionChoice(),
)


def _space(name: str, stem: int, channels: tuple[int, ...], blocks: tuple[int, ...]) -> SearchSpace:
    stages = tuple(Stage(c, b) for c, b in zip(channels, blocks, strict=True))
    return SearchSpace(name, stem, stages, _CHOICES)


# The first three are those of the authors' detnasnet.py; "demo" is a small one for digits on CPUs.
SPACES: dict[str, SearchSpace] = {
    space.name: space
    for space in (
        _space("300m", 16, (64, 160, 320, 640), (4, 4, 8, 4)),
        _space("1.3g", 48, (96, 240, 480, 960), (8, 8, 16, 8)),
        _space("3.8g", 72, (172, 432, 864, 1728), (8, 8, 16, 8)),
        _space("demo", 16, (32, 64, 128, 256), (2, 2, 4, 2)),
    )
}


def get_space(name: str) -> SearchSpace:
    """
    The space of this name.

    Raises:
        SpaceError: if there is none; it names the closest.
    """
    if name in SPACES:
        return SPACES[name]
    hint = did_you_mean(str(name), SPACES)
    raise SpaceError(f"there is no space {name!r}, only {', '.join(SPACES)}.{hint}")


def resolve_space(space: SearchSpace | str) -> SearchSpace:
    """
    A space itself, or the one of this name.

    Raises:
        SpaceError: for an unknown name, or what is neither.
    """
    space = from_config(space)
    if isinstance(space, SearchSpace):
        return space
    if isinstance(space, str):
        return get_space(space)
    raise SpaceError(
        f"the space is {space!r}; expected a SearchSpace or one of {', '.join(SPACES)}"
    )


def feature_channels(feature: str, space: SearchSpace | str, fpn_channels: int) -> int:
    """
    Channels of a feature map, for what stands on it in a config.

    Args:
        feature: a stage of the space (res5), or a level of an FPN of `fpn_channels` (p5).

    Raises:
        SpaceError: as `resolve_space`, or no such stage.
    """
    space = resolve_space(space)
    if feature.startswith("p"):
        return fpn_channels
    if feature not in space.stage_names:
        raise SpaceError(
            f"there is no feature map {feature!r} of the space {space.name!r}; expected one of "
            f"{', '.join(space.stage_names)}, or p5 of an FPN"
        )
    return space.stages[space.stage_names.index(feature)].channels
