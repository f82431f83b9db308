"""Whether an exported file computes what the network does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from .errors import ExportError
from .formats import Run
from .graphs import Graph, score_floor

TOLERANCE = 1e-4
_MORE = (
    "If no more than rounding can be meant (a deep network, large images), allow more: --tolerance"
)


@dataclass
class Comparison:
    """What was compared.

    Attributes:
        tolerance: what was allowed.
        largest: output -> the largest absolute difference.
        images: how many.
        detections: how many, of a detector.
    """

    tolerance: float
    largest: dict[str, float] = field(default_factory=dict)
    images: int = 0
    detections: int = 0

    def add(self, name: str, differences: torch.Tensor) -> None:
        largest = float(differences.max()) if differences.numel() else 0.0
        self.largest[name] = max(self.largest.get(name, 0.0), largest)


def compare(
    graph: Graph, run: Run, images: Sequence[torch.Tensor], tolerance: float = TOLERANCE
) -> Comparison:
    """Run both on the images; of a value v they may differ by tolerance * max(1, |v|).

    Detections are compared whatever their order among like scores is; one whose score is within the
    tolerance of the least that counts may be missing in either.

    Raises:
        ExportError: outputs that differ by more than the tolerance.
    """
    comparison = Comparison(tolerance)
    for image in images:
        expected, got = graph.expected(image), run(image)
        comparison.images += 1
        if graph.is_detector:
            compare_detections(expected, got, *score_floor(graph.network), comparison)
            continue
        for name, ours, theirs in zip(graph.outputs, expected, got, strict=True):
            if ours.shape != theirs.shape:
                raise ExportError(
                    f"{name} of an image {tuple(image.shape)} has the shape {tuple(theirs.shape)}, "
                    f"expected {tuple(ours.shape)}"
                )
            difference = (ours - theirs).abs().double().cpu()
            if not bool((_relative(ours, theirs) <= tolerance).all()):
                raise ExportError(
                    f"The exported file computes something else: {name} differs by up to "
                    f"{float(difference.max()):.2g}, allowed is {tolerance:g} * max(1, |value|). "
                    + _MORE
                )
            comparison.add(name, difference)
    return comparison


def compare_detections(
    expected: Sequence[torch.Tensor],
    got: Sequence[torch.Tensor],
    threshold: float,
    most: int,
    comparison: Comparison,
) -> None:
    """Compare boxes, scores and classes, each with its counterpart, for which order plays no part.

    Args:
        threshold, most: as `score_floor` gives them.

    Raises:
        ExportError: a detection without a counterpart.
    """
    ours, theirs = ([x.cpu() for x in found] for found in (expected, got))
    apart = torch.maximum(
        _relative(ours[0][:, None], theirs[0]).amax(-1), _relative(ours[1][:, None], theirs[1])
    )
    apart[ours[2][:, None] != theirs[2]] = torch.inf
    rows, columns = linear_sum_assignment(~(apart <= comparison.tolerance))
    alike = (apart[rows, columns] <= comparison.tolerance).numpy()
    rows, columns = rows[alike], columns[alike]
    lonely = [*np.delete(ours[1].numpy(), rows), *np.delete(theirs[1].numpy(), columns)]
    full = len(ours[1]) >= most >= 0
    floor = max(threshold, float(ours[1].min())) if full else threshold
    wrong = [score for score in lonely if score > floor + comparison.tolerance]
    if wrong:
        raise ExportError(
            f"The exported file detects something else: of {len(ours[0])} detections of the "
            f"network and {len(theirs[0])} of the file, {len(wrong)} have no counterpart within "
            f"{comparison.tolerance:g} * max(1, |value|); the highest of their scores is "
            f"{max(wrong):.4f}. " + _MORE
        )
    comparison.detections += len(rows)
    for k, name in enumerate(("boxes", "scores")):
        comparison.add(name, (ours[k][rows] - theirs[k][columns]).abs())


def _relative(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """By how much they differ, as a part of what is compared with the tolerance."""
    ours, theirs = ours.cpu().double(), theirs.cpu().double()
    return (ours - theirs).abs() / ours.abs().clamp(min=1)
