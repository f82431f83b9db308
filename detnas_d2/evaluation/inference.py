"""The network on the images of a search, and what its evaluator makes of the outputs."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any

import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.evaluation.testing import flatten_results_dict
from torch import nn

from ..modeling import find_backbone
from .images import SearchImages


@torch.no_grad()
def evaluate_images(
    model: nn.Module, images: SearchImages, evaluator: DatasetEvaluator, metric: str
) -> Mapping[str, Any]:
    """What Detectron2's ``inference_on_dataset`` gives, on the images of a search.

    Raises:
        FloatingPointError: what the network computes of an image is not finite.
    """
    with inference(model) as infer:
        return evaluate_outputs(map(infer, images.validation), images, evaluator, metric)


def evaluate_outputs(
    outputs: Iterable[Sequence[Any]],
    images: SearchImages,
    evaluator: DatasetEvaluator,
    metric: str,
) -> Mapping[str, Any]:
    """What the evaluator makes of the network's outputs on each batch of validation images.

    The evaluator gets the images one by one in the order of the data set, so that equal scores are
    ordered as they would be there. Detectron2's gives no figure, or NaN only, where nothing was
    detected in any image; the AP of that is 0, and so is `metric`.
    """
    evaluator.reset()
    waiting: dict[int, tuple[Any, Any]] = {}
    following = 0
    detected: list[int] = []
    for batch, positions, found in zip(images.validation, images.positions, outputs, strict=True):
        waiting.update(zip(positions, zip(batch, found, strict=True), strict=True))
        while following in waiting:
            image, output = waiting.pop(following)
            evaluator.process([image], [output])
            following += 1
            if isinstance(output, Mapping) and "instances" in output:
                detected.append(len(output["instances"]))
    results = evaluator.evaluate() or {}
    if detected and not any(detected):
        flat = flatten_results_dict(dict(results))
        if all(math.isnan(figure) for figure in flat.values()):
            return {**flat, metric: 0.0}
    return results


@contextmanager
def inference(model: nn.Module) -> Iterator[Callable[[Sequence[Any]], Sequence[Any]]]:
    """Gives the model's forward, in which what stands on the backbone has to be finite.

    Detectron2 drops boxes and scores that are not finite without a word, so that a network with NaN
    in its weights or statistics seems to detect nothing. What its layers compute tells them apart.
    A NaN in the backbone goes through all that stands on it: FPN, heads, a classifier's last layer.
    The sum of each of their outputs is looked at, all of them after the forward, so that a GPU is
    not waited for inside of it.

    The forward raises FloatingPointError, naming the first layer that gave NaN or infinity.
    """
    sums: list[tuple[str, torch.Tensor]] = []

    def note(name: str, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            sums.append((name, output.detach().sum(dtype=torch.float32)))

    @torch.no_grad()
    def infer(batch: Sequence[Any]) -> Sequence[Any]:
        sums.clear()
        outputs: Sequence[Any] = model(batch)
        finite = torch.stack([s for _, s in sums]).isfinite().tolist() if sums else []
        if not all(finite):
            raise FloatingPointError(
                f"The layer {sums[finite.index(False)][0]!r} gives NaN or infinity; expected "
                "finite numbers. Has the training diverged?"
            )
        return outputs

    found = find_backbone(model)
    inside = set(found[1].modules()) if found is not None else set()
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if module not in inside and next(module.parameters(recurse=False), None) is not None:
                hook = module.register_forward_hook(lambda m, x, y, name=name: note(name, y))
                hooks.callback(hook.remove)
        yield infer


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the report that evaluators print and log for every evaluation."""
    former = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(former)
