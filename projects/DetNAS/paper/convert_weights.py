"""Convert weights that DetNAS's authors released into a checkpoint of this project.

    python -m projects.DetNAS.paper.convert_weights COCO_FPN_300M.pkl output/released/net.pth \\
        --config-file configs/imagenet/step4_classification_300m.py \\
        model.backbone.architecture=2,1,2,0,…
    python -m projects.DetNAS.paper.convert_weights model_final.pth output/released/fpn.pth \\
        --config-file configs/coco/step4_detection_fpn_300m.py \\
        model.backbone.bottom_up.architecture=2,1,2,0,…
    python -m projects.DetNAS.paper.convert_weights model_final.pth output/released/supernet.pth \\
        --config-file configs/coco/step2_supernet_fpn_300m.py

The config says which model to fill; overrides may follow it (model.last_channels=1728). Its
architecture is taken where it states one, else the one that the weights' names give. Load the
result by train.init_checkpoint=OUT, and with what is printed where the network is built otherwise
than the config's. What cannot be carried over (anchors, ROIAlign) is listed in released.py, beside
this file. Files are read without unpickling objects: the authors' .pkl files are torch.save's too.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from omegaconf import DictConfig

from detnas_d2.commands import command, new_parser
from detnas_d2.engine import backbone_key, backbone_node, load_config
from detnas_d2.files import write_atomically
from detnas_d2.modeling import StandAloneNetwork, WeightsError
from detnas_d2.space import resolve_space
from detnas_d2.trust import add_trust

from .halves import halves_space
from .released import Released, convert_released, read_released


@command("python -m projects.DetNAS.paper.convert_weights")
def main(argv: Sequence[str]) -> None:
    parser = add_trust(new_parser(__doc__))
    parser.add_argument("source", help="the authors' file, .pth, .pth.tar or .pkl")
    parser.add_argument("out", help="the checkpoint to write, .pth")
    parser.add_argument("--config-file", required=True, help="a config with the model to fill")
    parser.add_argument("opts", nargs="*", help="overrides of the config, key=value")
    args = parser.parse_intermixed_args(argv)
    if not args.out.endswith(".pth"):
        raise WeightsError(f"OUT is {args.out!r}; expected a name that ends with .pth")
    cfg = load_config(args.config_file, args.opts, trust=args.trust)
    released = read_released(load(args.source))
    print(f"{args.source}: {released}, {len(released.state)} tensors")
    notes = adapt(cfg, released)
    model = instantiate(cfg.model)
    checkpoint = convert_released(released, model)
    try:
        write_atomically(args.out, lambda f: torch.save(checkpoint, f))
    except (OSError, RuntimeError) as e:  # torch.save reports a failed write as RuntimeError
        raise WeightsError(f"{args.out!r} could not be written: {e}") from e
    space, architecture = (checkpoint["detnas"][key] for key in ("space", "architecture"))
    what = "supernet" if architecture is None else ",".join(map(str, architecture))
    params = sum(p.numel() for p in model.parameters())
    print(f"{args.out}: {type(model).__name__}, space {space}, {what}, {params:,} parameters")
    for note in notes:
        print(f"a config that loads it needs: {note}")


def load(path: str) -> Any:
    """What torch.save wrote to a file: tensors and containers, no other objects.

    Raises:
        WeightsError: a missing file, or one that holds other objects or is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as e:
        raise WeightsError(
            f"{path!r} could not be read: {str(e).splitlines()[0]}\nExpected a file of torch.save "
            "with nothing but tensors in containers. Files with other objects run code when they "
            "are loaded and are refused; if you trust it, write its state dict anew: "
            "torch.save(torch.load(IN, weights_only=False)['state_dict'], OUT)."
        ) from e


def adapt(cfg: DictConfig, released: Released) -> list[str]:
    """Make the config's model the one the weights are of, as far as it leaves that open.

    Returns:
        what another config has to set to load the result.
    """
    if "model" not in cfg or "space" not in backbone_node(cfg):
        raise WeightsError("the config has no model with a DetNAS backbone")
    key, node, notes = backbone_key(cfg), backbone_node(cfg), []
    stated = node.get("architecture")
    space = resolve_space(instantiate(node.space))
    if released.supernet and stated is not None:
        raise WeightsError(
            f"the weights are {released}, and the config's {key} is a single network of "
            f"architecture {stated}; take the config of the supernet (step2_..., for ImageNet "
            "step1_...)"
        )
    if released.supernet and not space.name.endswith("-halves"):
        node.space = L(halves_space)(space=node.space)
        value = f"L(halves_space)(space={space.name!r}), of projects.DetNAS.paper.halves"
        notes.append(f"{key}.space = {value}; to train, path_sampler.space too")
    elif not released.supernet and (stated is None or str(stated).endswith(".json")):
        node._target_ = StandAloneNetwork
        node.architecture = list(released.architecture(space))
        if stated is None:
            path = ",".join(map(str, node.architecture))
            notes.append(
                f"a single network, {key} = L(StandAloneNetwork)(architecture='{path}', ...); or "
                "train.init_path_only=True, for one path of a supernet"
            )
    last = released.state.get("last_conv.conv.weight")
    if last is not None and cfg.model.get("last_channels", len(last)) != len(last):
        # 1728 in the public code of the 3.8G classifier, but 1024 by its published parameters
        cfg.model.last_channels = len(last)
        notes.append(f"model.last_channels={len(last)}")
    top = cfg.model.backbone.get("top_block", {})
    if released.kind == "retinanet" and "in_channels" in top and top.get("in_feature") != "p5":
        top.in_feature = "p5"
        notes.append("model.backbone.top_block.in_feature=p5")
    return notes


if __name__ == "__main__":
    main()
