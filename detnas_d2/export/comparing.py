"""Whether an exported file computes what the network does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

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

    def add(self, name: str, value: float) -> None:
        self.largest[name] = max(self.largest.get(name, 0.0), value)


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
            threshold, most = score_floor(graph.network)
            _compare_detections(expected, got, threshold, most, comparison)
            continue
        for name, ours, theirs in zip(graph.outputs, expected, got, strict=True):
            if ours.shape != theirs.shape:
                raise ExportError(
                    f"{name} of an image {tuple(image.shape)} has the shape {tuple(theirs.shape)}, "
                    f"expected {tuple(ours.shape)}"
                )
            _check(name, ours, theirs, comparison)
    return comparison


def _check(name: str, ours: torch.Tensor, theirs: torch.Tensor, comparison: Comparison) -> None:
    ours, theirs = ours.cpu().double(), theirs.cpu().double()
    difference = (ours - theirs).abs()
    if not bool((difference <= comparison.tolerance * ours.abs().clamp(min=1)).all()):
        raise ExportError(
            f"The exported file computes something else: {name} differs by up to "
            f"{float(difference.max()):.2g}, allowed is "
            f"{comparison.tolerance:g} * max(1, |value|). " + _MORE
        )
    comparison.add(name, float(difference.max()) if difference.numel() else 0.0)


def _compare_detections(
    ours: Sequence[torch.Tensor],
    theirs: Sequence[torch.Tensor],
    threshold: float,
    most: int,
    comparison: Comparison,
) -> None:
    ours, theirs = [x.cpu() for x in ours], [x.cpu() for x in theirs]
    left = list(range(len(theirs[0])))
    pairs, lonely = [], []
    for i in range(len(ours[0])):
        close = [j for j in left if _alike(ours, i, theirs, j, comparison.tolerance)]
        if not close:
            lonely.append(float(ours[1][i]))
            continue
        best = min(close, key=lambda j: float((ours[0][i] - theirs[0][j]).abs().max()))
        pairs.append((i, best))
        left.remove(best)
    lonely += [float(theirs[1][j]) for j in left]
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
    comparison.detections += len(pairs)
    rows, others = ([p[k] for p in pairs] for k in (0, 1))
    for k, name in enumerate(("boxes", "scores")):
        _check(name, ours[k][rows], theirs[k][others], comparison)


def _alike(
    ours: Sequence[torch.Tensor], i: int, theirs: Sequence[torch.Tensor], j: int, tolerance: float
) -> bool:
    return int(ours[2][i]) == int(theirs[2][j]) and all(
        bool(((a - b).abs() <= tolerance * a.abs().clamp(min=1)).all())
        for a, b in ((ours[k][i], theirs[k][j]) for k in (0, 1))
    )
