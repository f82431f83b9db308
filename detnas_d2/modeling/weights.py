"""Weights between networks: supernet to stand-alone, classifier to detector, always whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from ..space import Architecture, SearchSpace
from .backbone import StagedBackbone, find_backbone
from .classifier import HEAD_MODULES, Classifier
from .errors import WeightsError
from .network import StandAloneNetwork
from .state_dicts import (
    State,
    Stated,
    checked_state,
    compare,
    detnas_prefix,
    other_prefix,
    path_keys,
    same_keys,
    slice_supernet,
    split,
    stated_network,
)
from .supernet import Supernet


def describe(model: nn.Module) -> dict[str, Any]:
    """What the model's backbone is, in builtins, to be stored in a checkpoint as "detnas".

    Returns:
        {"space": name, "fingerprint": of the space, "architecture": numbers, None for a supernet};
        {} if the model has no DetNAS backbone.
    """
    found = find_backbone(model)
    if found is None:
        return {}
    space, choices = found[1].space, _choices(found[1])
    return {"space": space.name, "fingerprint": space.fingerprint, "architecture": choices}


def backbone_prefix(model: nn.Module) -> str:
    """Where the state dict has the backbone, ours or another (bare, or in an FPN's bottom_up).

    Raises:
        WeightsError: as `find_backbone`.
    """
    found = find_backbone(model)
    return found[0] if found else other_prefix(model.state_dict())


def concerns_classifier(model: nn.Module, checkpoint: Mapping[str, Any]) -> bool:
    """Whether the model, or the network of the checkpoint, is a `Classifier`."""
    heads = [k for k in map(str, checkpoint.get("model", ())) if not k.startswith("backbone.")]
    return isinstance(model, Classifier) or _is_classifier(heads)


def load_weights(
    model: nn.Module,
    checkpoint: Mapping[str, Any],
    *,
    backbone_only: bool = False,
    path_only: bool = False,
) -> str:
    """Initialise a model from a checkpoint, entirely or not at all.

    Everything is checked before the first tensor is copied. The backbone must be of the same
    space and the same architecture, or the checkpoint a supernet's and the model a stand-alone
    network, which is then sliced out. All keys and shapes must agree in both directions. Batch
    counters (`num_batches_tracked`) alone may be absent on one side, since FrozenBN has none.

    Heads (all that is not backbone) must agree likewise, except that a checkpoint of a classifier
    or of a bare backbone gives a detector its backbone only, and that a bare backbone takes from
    any checkpoint what it needs.

    Any other backbone (ResNet, DetNet) loads by the same rules, less the slicing, where it stands
    at `backbone` or in an FPN at `backbone.bottom_up`.

    Args:
        checkpoint: {"model": state dict, "detnas": `describe(...)` of its model, ...}, or a plain
            state dict. Without "detnas", keys and shapes alone decide.
        backbone_only: leave the heads as they are, whatever the checkpoint has (another data set's
            detector); `train.init_backbone_only` in a config.
        path_only: the model is a supernet, the checkpoint (with "detnas") a stand-alone network's:
            fill that path's blocks and what all paths share, and leave the other blocks as they
            are; `train.init_path_only` in a config.

    Returns:
        one line that says what was loaded.

    Raises:
        WeightsError: anything that does not fit, with what was found and what was expected.
    """
    state, target = checked_state(checkpoint), model.state_dict()
    prefix, backbone = find_backbone(model) or (other_prefix(target), None)
    body: State
    body, heads = split(state, detnas_prefix(state) if backbone else other_prefix(state))
    target_body, target_heads = split(target, prefix)
    if not target_body:
        raise WeightsError(
            f"the model ({type(model).__name__}) has no DetNAS backbone and none named "
            "'backbone' to load into; load it with Detectron2's DetectionCheckpointer"
        )

    stated, kind = stated_network(checkpoint), "network of the same shape"
    if path_only:
        body, kind = _fit_path(body, stated, backbone, target_body)
    elif backbone:
        body, sliced = _fit_backbone(body, stated, backbone, target_body)
        kind = "supernet" if sliced else kind
    else:
        compare(body, target_body, "the weights are of another backbone than the model's")
    whole = not backbone_only and _takes_heads(heads, target_heads)
    if whole:
        compare(
            heads,
            target_heads,
            "the heads do not fit; build the model with the same heads, or take the backbone alone "
            "(train.init_backbone_only=True)",
        )

    new = {prefix + key: value for key, value in body.items()} | (heads if whole else {})
    model.load_state_dict({**target, **{key: new[key] for key in target if key in new}})
    what = "the whole model" if whole or not target_heads else "the backbone, not the heads,"
    return f"loaded {what} from the weights of a {kind}"


def _fit_path(
    body: State, stated: Stated, backbone: StagedBackbone | None, target: State
) -> tuple[State, str]:
    """A network's weights under the keys of its path in the model, and whose they are."""
    if not isinstance(backbone, Supernet):
        raise WeightsError(
            "train.init_path_only (path_only) fills a path of a supernet, and the model has none; "
            "leave it out"
        )
    space = backbone.space
    theirs = _architecture(stated, space, None) if stated.fingerprint else None
    if theirs is None:
        raise WeightsError(
            "train.init_path_only (path_only) takes the weights of one network; the checkpoint "
            "states no architecture: leave it out for a supernet's weights, and convert a released "
            "file with projects/DetNAS/paper/convert_weights.py"
        )
    path = _name(space.name, theirs)
    keys = path_keys(target, Architecture(space, tuple(theirs)))
    wanted = {key: target[ours] for key, ours in keys.items()}
    compare(body, wanted, f"the backbone's weights are not those of {path}")
    fitted = {ours: body[key] for key, ours in keys.items() if key in body}
    return fitted, f"network of {path}, the other choices keep their initialisation"


def _fit_backbone(
    body: State, stated: Stated, backbone: StagedBackbone, target: State
) -> tuple[State, bool]:
    """The checkpoint's backbone under the model's keys, and whether it had to be sliced."""
    space, ours = backbone.space, _choices(backbone)
    if stated.fingerprint:
        theirs = _architecture(stated, space, ours)
        if theirs not in (None, ours):
            todo = (
                "a supernet takes a supernet's weights only, unless train.init_path_only=True "
                "fills the one path of it"
                if ours is None
                else "other networks; take the checkpoint of the same architecture, or of the "
                "supernet"
            )
            raise WeightsError(
                f"the weights are of {_name(space.name, theirs)}, the model is "
                f"{_name(space.name, ours)}: {todo}"
            )
    sliced = False
    is_whole = stated.is_supernet if stated.fingerprint else not same_keys(body, target)
    if ours is not None and is_whole:
        try:
            body, sliced = slice_supernet(body, Architecture(space, tuple(ours))), True
        except WeightsError:
            if stated.is_supernet:
                raise
            # not a supernet's keys either: the comparison says what is amiss
    compare(body, target, f"the backbone's weights are not those of {_name(space.name, ours)}")
    return body, sliced


def _architecture(
    stated: Stated, space: SearchSpace, ours: Sequence[int] | None
) -> list[int] | None:
    """The architecture that a checkpoint says it is of, None for a supernet; of our space only."""
    name, fingerprint, theirs = stated
    if fingerprint != space.fingerprint:
        why = (
            "their spaces differ in their description: stages, choices or settings of a choice"
            if name == space.name
            else "other spaces"
        )
        raise WeightsError(
            f"the weights are of {_name(name, theirs)}, the model is {_name(space.name, ours)}: "
            f"{why} (fingerprints {fingerprint[:12]} and {space.fingerprint[:12]}). Give both the "
            "same space; a released file: convert it anew (projects.DetNAS.paper.convert_weights)"
        )
    return theirs


def _takes_heads(source: State, target: State) -> bool:
    if not source or not target:
        return False
    if _is_classifier(source) and not _is_classifier(target):
        return False
    if _is_classifier(target) and not _is_classifier(source):
        raise WeightsError(
            "the weights are a detector's, the model is a classifier: detection follows "
            "classification; take a classification checkpoint"
        )
    return True


def _is_classifier(heads: Collection[str]) -> bool:
    return bool(heads) and all(key.split(".")[0] in HEAD_MODULES for key in heads)


def _choices(backbone: StagedBackbone) -> list[int] | None:
    """Of the architecture; None for a supernet."""
    return list(backbone.architecture) if isinstance(backbone, StandAloneNetwork) else None


def _name(space: str, architecture: Iterable[int] | None) -> str:
    if architecture is None:
        return f"the supernet of space {space!r}"
    return f"architecture {','.join(map(str, architecture))} of space {space!r}"
