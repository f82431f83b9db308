"""The heads of the authors' COCO detectors: their classes, anchors and units of boxes in ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from detnas_d2.modeling import WeightsError

from .released_names import ANCHORS, BOX, RPN

_ANCHOR_TOLERANCE = 0.1  # rounding gives up to 6.1%; the next anchor is 26% away
_BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of their box head and RetinaNet; their RPN has ones


def convert_heads(state: dict[str, torch.Tensor], released: Any, model: Any) -> None:
    """Order and scale the heads' rows as the model has them, in place.

    Background is class 0 there and the last one in Detectron2, without boxes of its own.
    RetinaNet's anchors are ordered by ratio, then size there, by size, then ratio here. Boxes are
    regressed with the weights (10, 10, 5, 5) there and the model's own here.

    Args:
        state: the weights by our names.
        released: the `Released` that they are of, a detector's.

    Raises:
        WeightsError: the weights' heads or anchors are not the model's.
    """
    retinanet = released.kind == "retinanet"
    rpn = model if retinanet else model.proposal_generator
    scores, boxes, theirs = f"{RPN}objectness_logits", f"{RPN}anchor_deltas", (1.0,) * 4
    if retinanet:
        scores, boxes, theirs = "head.cls_score", "head.bbox_pred", _BOX_WEIGHTS
    order = _anchor_order(released.state, rpn.anchor_generator)
    try:
        for leaf in ("weight", "bias"):
            for name in (scores, boxes):
                rows = state[f"{name}.{leaf}"].unflatten(0, (len(order), -1))
                state[f"{name}.{leaf}"] = rows[order].flatten(0, 1)
            _rescale(state, f"{boxes}.{leaf}", theirs, rpn.box2box_transform.weights)
            if not retinanet:
                classes = f"{BOX}predictor.cls_score.{leaf}"
                state[classes] = state[classes].roll(-1, 0)
                key = f"{BOX}predictor.bbox_pred.{leaf}"
                state[key] = state[key][4:]
                ours = model.roi_heads.box_predictor.box2box_transform.weights
                _rescale(state, key, _BOX_WEIGHTS, ours)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"the heads are not the model's: {error}") from error


def _rescale(
    state: dict[str, torch.Tensor], key: str, theirs: Sequence[float], ours: Sequence[float]
) -> None:
    """Rows of 4 for a box; decoding divides the output by the box weights."""
    rows = state[key]
    factors = (rows.new_tensor(ours) / rows.new_tensor(theirs)).repeat(len(rows) // 4)
    state[key] = rows * factors.view(-1, *[1] * (rows.dim() - 1))


def _anchor_order(state: Mapping[str, torch.Tensor], generator: Any) -> list[int]:
    """For each of our anchors at a position the number of theirs.

    Raises:
        WeightsError: the weights' anchors have other sides than the model's.
    """
    orders = []
    given = sum(name.startswith(ANCHORS) for name in state)
    for level, anchors in enumerate(generator.cell_anchors):
        theirs = state.get(f"{ANCHORS}{level}")
        mine = (anchors[:, 2:] - anchors[:, :2]).detach().cpu().double().log()
        off = torch.full((len(mine), 1), torch.inf)
        if theirs is not None and theirs.shape == anchors.shape:
            sides = (theirs[:, 2:] - theirs[:, :2] + 1).cpu().double().log()
            off = (mine[:, None] - sides[None]).abs().amax(2)
        nearest = off.argmin(1).tolist()
        if bool((off.amin(1) > _ANCHOR_TOLERANCE).any()) or len(set(nearest)) != len(mine):
            raise WeightsError(
                f"level {level} of the weights' anchors is missing or of other sides than the "
                f"model's (w, h) {mine.exp().int().tolist()}; set anchor_generator.sizes and "
                "ratios to the weights'"
            )
        orders.append(nearest)
    if given != len(orders) or any(order != orders[0] for order in orders):
        raise WeightsError("the anchors have other levels than the model's, or differ in order")
    return orders[0]
