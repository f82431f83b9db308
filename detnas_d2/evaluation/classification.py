"""Classification accuracy as a Detectron2 evaluator."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm


class ClassificationEvaluator(DatasetEvaluator):
    """Top-k accuracy in percent.

    Args:
        dataset_name: of the data set evaluated; by Detectron2's convention the first argument.
        topk: the k of each figure. A k of the number of classes or more counts every image.
        distributed: gather from all processes; the others return an empty dict.
    """

    def __init__(
        self, dataset_name: str, topk: Sequence[int] = (1, 5), distributed: bool = True
    ) -> None:
        self._dataset_name = dataset_name
        self._topk = tuple(topk)
        self._distributed = distributed
        self.reset()

    def reset(self) -> None:
        self._ranks: list[int] = []

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """
        Args:
            inputs: dicts with the true class, ``category_id``.
            outputs: dicts with ``scores``, a tensor of shape (classes,).
        """
        for image, output in zip(inputs, outputs, strict=True):
            scores = output["scores"].detach().cpu()
            if not bool(torch.isfinite(scores).all()):
                raise FloatingPointError(
                    f"The scores of {image.get('file_name', 'an image')!r} are not finite."
                )
            # ties count against the network: one that gives equal scores knows nothing
            self._ranks.append(int((scores >= scores[image["category_id"]]).sum()) - 1)

    def evaluate(self) -> dict[str, dict[str, float]]:
        """
        Returns:
            ``{"classification": {"top1": ..., "top5": ...}}``, in percent.
        """
        ranks = self._ranks
        if self._distributed:
            ranks = list(itertools.chain.from_iterable(comm.gather(ranks)))
            if not comm.is_main_process():
                return {}
        if not ranks:
            raise ValueError(f"No image of {self._dataset_name!r} was evaluated.")
        top = {f"top{k}": 100.0 * sum(r < k for r in ranks) / len(ranks) for k in self._topk}
        return {"classification": top}
