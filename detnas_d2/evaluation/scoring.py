"""The score of a path in a trained supernet, in phases that processes can share."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import torch
from detectron2.evaluation import DatasetEvaluator
from torch import nn

from ..data.seeding import seeded
from ..modeling import folded, require_supernet
from ..phases import Phase, SplitFitness
from ..space import Architecture
from .batch_norm import BatchStatistics, collect_statistics, merge_statistics, with_statistics
from .images import SearchImages
from .inference import evaluate_outputs, inference, quiet
from .metric import as_score

MOST_BYTES = 16_384
"""An image's outputs that are larger do not travel: masks of the size of the image, say. Boxes,
scores and classes of 100 detections are 4 kB."""


class PathScore(SplitFitness):
    """A metric of a path on the images of a search, as `SupernetFitness` has it.

    Its phases: statistics of the calibration batches (units: the batches); these merged in their
    order; the network's outputs on the validation batches (units: the batches); the evaluator's
    figures of these in the data set's order. In each the path is set, and afterwards the model is
    left as it was.
    """

    def __init__(
        self,
        model: nn.Module,
        images: SearchImages,
        evaluator: DatasetEvaluator,
        metric: str,
        seed: int,
        amp: bool,
    ) -> None:
        super().__init__(
            [
                Phase(self._collect, len(images.calibration)),
                Phase(self._merge, needs=(0,)),
                Phase(self._detect, len(images.validation), needs=(1,)),
                Phase(self._evaluate, needs=(1, 2)),
            ]
        )
        self._model = model
        self._images = images
        self._evaluator = evaluator
        self._metric = metric
        self._seed = seed
        self._amp = amp
        self._ends: set[nn.Module] = set()
        self._stays = False

    def _collect(self, architecture: Architecture, units: range) -> list[BatchStatistics]:
        batches = ((i, self._images.calibration[i]) for i in units)
        with quiet(), set_path(self._model, architecture, self._amp):
            return collect_statistics(self._model, batches, self._seed, self._ends)

    def _merge(
        self, architecture: Architecture, _: range, batches: Sequence[BatchStatistics]
    ) -> list[np.ndarray]:
        return [merge_statistics(batches)]

    def _detect(
        self, architecture: Architecture, units: range, merged: Sequence[np.ndarray]
    ) -> list[bytes | None]:
        with quiet(), self._network(architecture, *merged) as outputs_of:
            return [self._packed(outputs_of, i) for i in units]

    def _evaluate(
        self,
        architecture: Architecture,
        _: range,
        merged: Sequence[np.ndarray],
        packed: Sequence[bytes | None],
    ) -> list[tuple[float, dict[str, float]]]:
        with quiet(), seeded(self._seed), self._network(architecture, *merged) as outputs_of:
            outputs = (outputs_of(i) if p is None else _unpack(p) for i, p in enumerate(packed))
            results = evaluate_outputs(outputs, self._images, self._evaluator, self._metric)
        return [as_score(results, self._metric)]

    @contextmanager
    def _network(
        self, architecture: Architecture, statistics: np.ndarray
    ) -> Iterator[Callable[[int], Sequence[Any]]]:
        """Gives the path's outputs on a validation batch, by its number."""

        def outputs_of(number: int) -> Sequence[Any]:
            with seeded(self._seed, number):
                return infer(self._images.validation[number])

        model = self._model
        with (
            set_path(model, architecture, self._amp),
            with_statistics(model, statistics),
            folded(model),
            inference(model) as infer,
        ):
            yield outputs_of

    def _packed(self, outputs_of: Callable[[int], Sequence[Any]], number: int) -> bytes | None:
        """The outputs on a batch, or None where they can't be pickled, or are so large that they
        are better computed anew where the evaluator is; then those on other batches will be too."""
        if self._stays:
            return None
        outputs = outputs_of(number)
        try:
            packed = _pack(outputs)
        except (pickle.PicklingError, TypeError, AttributeError):
            self._stays = True
            return None
        self._stays = len(packed) > MOST_BYTES * len(self._images.validation[number])
        return None if self._stays else packed


@contextmanager
def set_path(model: nn.Module, architecture: Architecture, amp: bool) -> Iterator[None]:
    """Within this context forwards run the path, with `amp` in mixed precision."""
    with (
        require_supernet(model, "A search").use_path(architecture),
        torch.autocast(next(model.parameters()).device.type, enabled=amp),
    ):
        yield


class _Pickler(pickle.Pickler):
    """Tensors as arrays of the CPU, which are a tenth as large and slow as pickles."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return NotImplemented
        has_array = value.dtype != torch.bfloat16
        return _tensor, ((value if has_array else value.float()).numpy(force=True), value.dtype)


def _tensor(array: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(array).to(dtype)


def _pack(value: Any) -> bytes:
    stream = BytesIO()
    _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue()


def _unpack(packed: bytes) -> Any:
    return pickle.loads(packed)  # noqa: S301  of this search's own processes
