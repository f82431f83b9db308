"""The search space as data: stages, and the choices that every block of them has."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ._values import as_json, as_tuple
from .choices import Choice, Conv, check_branches, checked_integer
from .errors import SpaceError


@dataclass(frozen=True)
class Stage:
    """`blocks` blocks of `channels` output channels; the first of them has the stage's stride."""

    channels: int
    blocks: int
    stride: int = 2

    def __post_init__(self) -> None:
        for name in ("channels", "blocks", "stride"):
            checked_integer(getattr(self, name), f"Stage's {name}")


@dataclass(frozen=True)
class BlockSpec:
    """Place and shape of one block: stage and index_in_stage count from 0."""

    stage: int
    index_in_stage: int
    in_channels: int
    out_channels: int
    stride: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels in and out, and the stride, as a choice's methods take them."""
        return self.in_channels, self.out_channels, self.stride

    def __str__(self) -> str:
        return f"block {self.index_in_stage + 1} of {_stage_name(self.stage)}"


@dataclass(frozen=True)
class SearchSpace:
    """
    A stem (3x3 convolution of stride 2 on an image of 3 channels, norm, ReLU), then stages whose
    every block is one of `choices` (as the authors' detnasnet.py).

    Equality and hash are by value. Lists are accepted for stages and choices.

    Args:
        name: what messages and files call it; the `fingerprint` tells spaces apart.
        stem_channels: output channels of the stem.

    Raises:
        SpaceError: for a description that no network can be built from; it names the place.
    """

    name: str
    stem_channels: int
    stages: tuple[Stage, ...]
    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise SpaceError(f"the space's name is {self.name!r}; expected a text")
        what = f"space {self.name!r}: "
        checked_integer(self.stem_channels, what + "stem_channels")
        for field, kind in (("stages", Stage), ("choices", Choice)):
            items = as_tuple(getattr(self, field))
            if not items:
                raise SpaceError(
                    f"{what}{field} is {getattr(self, field)!r}; expected a list of at least one "
                    f"{kind.__name__}"
                )
            for i, item in enumerate(items):
                if not isinstance(item, kind):
                    raise SpaceError(
                        f"{what}{field}[{i}] is {item!r}; expected a {kind.__name__}"
                        + (f" instance: {item.__name__}(...)" if isinstance(item, type) else "")
                    )
            object.__setattr__(self, field, items)  # frozen: the one place that sets
        self._check_choices()

    def _check_choices(self) -> None:
        names: set[str] = set()
        for i, choice in enumerate(self.choices):
            what = f"space {self.name!r}: choices[{i}] ({type(choice).__name__})"
            for attribute in ("name", "block"):
                value = getattr(choice, attribute, None)
                if not isinstance(value, str) or not value:
                    raise SpaceError(f"{what} has {attribute} {value!r}; expected a text")
            if "." in choice.name or choice.name in names:
                # module names, and so state dict keys, are made of it
                expected = "expected a name without dots that no other choice has"
                raise SpaceError(f"{what} is named {choice.name!r}; {expected}")
            names.add(choice.name)
            try:
                as_json(choice)
                hash(choice)
            except TypeError as error:
                raise SpaceError(
                    f"{what}: a field has no plain value ({error}); give numbers and texts, and "
                    "a class by its dotted path; if it is a list, make it a tuple in __post_init__"
                ) from None
            for block in self.blocks:
                try:
                    if choice.fits(*block.shape):
                        check_branches(choice, *block.shape)
                except ValueError as error:
                    raise SpaceError(
                        f"space {self.name!r}: choice {choice.name!r} can't be {block}: {error}"
                    ) from None
        for block, options in zip(self.blocks, self.options, strict=True):
            if not options:
                shape = "{} to {} channels, stride {}".format(*block.shape)
                raise SpaceError(
                    f"space {self.name!r}: no choice fits {block} ({shape}); add one that does"
                )

    @property
    def num_blocks(self) -> int:
        return len(self.blocks)

    @property
    def num_choices(self) -> int:
        return len(self.choices)

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(map(len, self.options))

    @property
    def stem(self) -> Conv:
        return Conv(3, self.stem_channels, kernel_size=3, stride=2)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Detectron2's names of the stages: "res2", "res3" and so on."""
        return tuple(map(_stage_name, range(len(self.stages))))

    @cached_property
    def blocks(self) -> tuple[BlockSpec, ...]:
        """All blocks from the stem on, in the order of an architecture's choices."""
        blocks = []
        channels = self.stem_channels
        for i, stage in enumerate(self.stages):
            for j in range(stage.blocks):
                stride = stage.stride if j == 0 else 1
                blocks.append(BlockSpec(i, j, channels, stage.channels, stride))
                channels = stage.channels
        return tuple(blocks)

    @cached_property
    def options(self) -> tuple[tuple[int, ...], ...]:
        """The choices that fit each block, ascending: all of them, but for choices that are
        particular about shapes (`Choice.fits`)."""
        return tuple(
            tuple(i for i, choice in enumerate(self.choices) if choice.fits(*block.shape))
            for block in self.blocks
        )

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """(L, C), L blocks and C choices: whether the choice fits the block; read-only."""
        numbers = range(self.num_choices)
        allowed = np.array([[c in options for c in numbers] for options in self.options])
        allowed.setflags(write=False)
        return allowed

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """(count, L) choices of architectures, each equally likely."""
        shape = (count, self.num_blocks)
        if self.allowed.all():
            return rng.integers(self.num_choices, size=shape, dtype=np.int64)
        drawn = rng.integers([len(options) for options in self.options], size=shape)
        fitting_first = np.argsort(~self.allowed, axis=1, kind="stable")
        choices: NDArray[np.int64] = fitting_first[np.arange(self.num_blocks), drawn]
        return choices

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the SHA-256 of all that defines the space: the same in every
        process."""
        shapes = [block.shape for block in self.blocks]
        choices = [
            {
                "name": choice.name,
                "block": choice.block,
                "fields": choice,
                "branches": [choice.branches(*s) if choice.fits(*s) else None for s in shapes],
            }
            for choice in self.choices
        ]
        stem_and_stages = {"stem": self.stem, "stages": self.stages}
        text = as_json({"name": self.name, **stem_and_stages, "choices": choices})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stage_name(stage: int) -> str:
    return f"res{stage + 2}"
