"""Checks the choice blocks of a space: python -m detnas_d2.modeling.check_blocks SPACE.

SPACE is a name (300m, ...) or a config file. Every choice is built for every shape of block that
the space has, and run forward and backward on small images; what it costs is counted and compared
with what the choice says. The end is a table of costs, or a list of all that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from detectron2.utils.registry import locate
from tabulate import tabulate

from ..commands import command, new_parser
from ..space import BlockSpec, Choice, CostTable, SearchSpace
from ..space.cost import block_resolutions, checked_size
from ..space_file import add_space, space_and_size
from .errors import ModelError
from .measuring import built, measure_block, run_block

PROGRAM = "python -m detnas_d2.modeling.check_blocks"
_SMALL = (2, 9, 7)  # images, height and width of the input that blocks really run on
_ODD = (131, 97)  # pixels: where rounding up the positions shows


def check_space(space: SearchSpace, input_size: Sequence[int] = (224, 224)) -> None:
    """Try every choice in every shape of block that it fits.

    Seen is that the module can be built, gives the right shape, leaves its input as it is, has
    finite gradients for all parameters, and costs what the choice says at two input sizes (the
    given one, and an odd one); and that other processes find its class.

    Args:
        input_size: (height, width) in pixels.

    Raises:
        ModelError: with all that is wrong, each with its choice and block.
    """
    problems = list(_problems(space, checked_size(input_size)))
    if problems:
        lines = "".join(f"\n  {i}. {problem}" for i, problem in enumerate(problems, 1))
        raise ModelError(f"space {space.name!r} has choices that can't be used:{lines}")


def _problems(space: SearchSpace, size: tuple[int, int]) -> Iterator[str]:
    for choice in space.choices:
        cls = type(choice)
        name = f"{cls.__module__}.{cls.__qualname__}"
        try:
            found = locate(name) is cls
        except Exception:  # importing a module runs it
            found = False
        if not found:
            yield (
                f"{choice.name}: other processes can't import its class by its name {name!r}; put "
                "it at the top of a module that Python finds from the working directory"
            )
    sizes = (block_resolutions(space, size), block_resolutions(space, _ODD))
    seen = set()
    faults: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for block, options, *resolutions in zip(space.blocks, space.options, *sizes, strict=True):
        for choice in (space.choices[i] for i in options):
            key = (choice.name, block.shape, *resolutions)
            if key in seen:
                continue
            seen.add(key)
            try:
                _try(choice, block)
                for resolution in resolutions:
                    _compare(choice, block, resolution)
            except ValueError as error:
                kind = re.sub(r"\d+", "", str(error))  # a fault's figures differ by the shape
                fault = faults.setdefault((choice.name, kind), (str(error), []))
                fault[1].append(str(block))
    for (name, _), (message, places) in faults.items():
        also = f" (Also in {', '.join(places[1:])}.)" if places[1:] else ""
        yield f"{name} in {places[0]}: {message}{also}"


def _try(choice: Choice, block: BlockSpec) -> None:
    """Raise ModelError unless the module runs as it should."""
    module = built(choice, block.shape)
    images, *size = _SMALL
    x = torch.randn(images, block.in_channels, *size)
    before = x.clone()
    output = run_block(choice, module, x, block.shape)
    if not torch.equal(x, before):
        raise ModelError(
            "it changes its input, which the FPN reads too where a stage ends; don't begin with an "
            "operation in place (inplace=True, +=)"
        )
    if output.requires_grad:
        output.square().mean().backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            raise ModelError(f"its parameter {name!r} gets no gradient; remove it, or use it")
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise ModelError(f"the gradient of its parameter {name!r} is not finite")


def _compare(choice: Choice, block: BlockSpec, resolution: tuple[int, int]) -> None:
    """Raise ModelError unless the costs that the choice says are those that are counted."""
    said = choice.cost(*block.shape, *resolution)
    counted = measure_block(choice, *block.shape, *resolution)
    if said != counted:
        figures = ("{:,} multiply-adds and {:,} parameters".format(*c) for c in (said, counted))
        raise ModelError(
            "on {}x{} positions it says {}, counted are {}. Mend its branches or cost, or derive "
            "it from ModuleChoice, which counts".format(*resolution, *figures)
        )


def format_costs(space: SearchSpace, input_size: Sequence[int]) -> str:
    """A table with the multiply-adds of each choice in each shape of block, in millions."""
    cost = CostTable(space, input_size)
    resolutions = block_resolutions(space, cost.input_size)
    rows: dict[tuple[Any, ...], list[Any]] = {}
    for block, fits, flops, size in zip(
        space.blocks, space.allowed, cost.flops.table, resolutions, strict=True
    ):
        figures = (f"{f / 1e6:.2f}" if fit else "-" for fit, f in zip(fits, flops, strict=True))
        channels = f"{block.in_channels} -> {block.out_channels}"
        key = (space.stage_names[block.stage], channels, block.stride, "{}x{}".format(*size))
        rows.setdefault(key, [0, *figures])[0] += 1
    head = ["stage", "channels", "stride", "input", "blocks", *(c.name for c in space.choices)]
    table = tabulate([[*k, *v] for k, v in rows.items()], head, disable_numparse=True)
    return (
        f"space {space.name}: {space.size:.2e} architectures of {space.num_blocks} blocks\n"
        f"multiply-adds in millions at {cost.input_size[0]}x{cost.input_size[1]} "
        f"(- where a choice does not fit):\n\n{table}\n\n"
        f"networks have {cost.flops.minimum / 1e6:,.1f} to {cost.flops.maximum / 1e6:,.1f} million "
        f"multiply-adds, {cost.params.minimum / 1e6:,.2f} to {cost.params.maximum / 1e6:,.2f} "
        f"million parameters"
    )


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = add_space(new_parser(__doc__, PROGRAM))
    space, size = space_and_size(parser.parse_args(argv))
    check_space(space, size)
    print(format_costs(space, size))
    print("all choices run and cost what they say")


if __name__ == "__main__":
    main()
