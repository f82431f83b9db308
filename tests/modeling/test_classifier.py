"""The classifier in the form of a Detectron2 model."""

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from torch.nn import functional as F

from detnas_d2.modeling import Classifier, StandAloneNetwork, add_detnas_config

A = "0,1,2,3,0,1,2,3"


def make(space, **kwargs):
    backbone = StandAloneNetwork(space, A, out_features=["res5"])
    return Classifier(backbone, 5, last_channels=24, **kwargs)


def inputs(labels=(0, 4, 2)):
    return [
        {"image": torch.randint(0, 256, (3, 40, 48), dtype=torch.uint8), "category_id": label}
        for label in labels
    ]


def test_inference(space, randomize):
    model = randomize(make(space, pixel_mean=(1, 2, 3), pixel_std=(4, 5, 6))).eval()
    batch = inputs()
    with torch.no_grad():
        got = model(batch)
        x = torch.stack([b["image"].float() for b in batch])
        x = (x - torch.tensor([1.0, 2, 3]).view(3, 1, 1)) / torch.tensor([4.0, 5, 6]).view(3, 1, 1)
        x = model.last_conv(model.backbone(x)["res5"])
        want = (F.adaptive_avg_pool2d(x, 1).flatten(1) @ model.fc.weight.T + model.fc.bias).exp()
    want = want / want.sum(1, keepdim=True)
    torch.testing.assert_close(torch.stack([g["scores"] for g in got]), want)
    assert [set(g) for g in got] == [{"scores"}] * 3


def test_loss_is_smoothed_cross_entropy(space):
    model = make(space, dropout=0.0, label_smoothing=0.2).train()
    logits = []
    model.fc.register_forward_hook(lambda module, args, out: logits.append(out.detach()))
    loss = model(inputs((0, 4, 2)))
    assert set(loss) == {"loss_cls"}
    log_p = logits[0].log_softmax(1)
    want = -sum(0.8 * log_p[i, c] + 0.2 * log_p[i].mean() for i, c in enumerate((0, 4, 2))) / 3
    torch.testing.assert_close(loss["loss_cls"].detach(), want)


def test_dropout_in_training_only(space):
    model, zeros = make(space, dropout=0.99), []
    model.fc.register_forward_pre_hook(lambda _, args: zeros.append((args[0] == 0).float().mean()))
    model.train()(inputs())
    model.eval()(inputs())
    assert zeros[0] > 0.9 > zeros[1]


@pytest.mark.parametrize("name", ["build_detnas_backbone", "build_detnas_supernet_backbone"])
def test_from_a_yacs_config(name):
    cfg = get_cfg()
    add_detnas_config(cfg)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.META_ARCHITECTURE = "Classifier"
    cfg.MODEL.BACKBONE.NAME = name
    cfg.merge_from_list(
        ["MODEL.DETNAS.SPACE", "demo", "MODEL.DETNAS.ARCHITECTURE", "0,1,2,3,0,1,2,3,0,1"]
        + ["MODEL.DETNAS.NUM_CLASSES", "7", "MODEL.DETNAS.LAST_CHANNELS", "20"]
        + ["MODEL.DETNAS.NORM", "BN", "MODEL.DETNAS.DROPOUT", "0.5"]
        + ["MODEL.DETNAS.NORM_MOMENTUM", "0.05", "MODEL.DETNAS.LABEL_SMOOTHING", "0.0"]
    )
    model = build_model(cfg)
    assert isinstance(model, Classifier)
    assert model.last_conv.norm.momentum == model.backbone.stem.norm.momentum == 0.05
    assert (model.dropout.p, model.label_smoothing, model.fc.in_features) == (0.5, 0.0, 20)
    assert model.pixel_mean.flatten().tolist() == pytest.approx(cfg.MODEL.PIXEL_MEAN)
    if "supernet" in name:
        model.backbone.set_path("3,2,1,0,3,2,1,0,3,2")
    assert model.eval()(inputs())[2]["scores"].shape == (7,)


def test_wrong_inputs_and_arguments(space):
    batch = inputs()
    batch[1]["image"] = batch[1]["image"][:, :32]
    for wrong, message in (
        (batch, r"\(3, 32, 48\), \(3, 40, 48\).*one size"),
        ([], "at least one image"),
        (inputs((0, 5)), r"category_id \[5\].*0 to 4"),
    ):
        with pytest.raises(ValueError, match=message):
            make(space).train()(wrong)
    backbone = StandAloneNetwork(space, A, out_features=["res4"])
    with pytest.raises(ValueError, match="in_feature is 'res5'.*res4"):
        Classifier(backbone, 5)
    with pytest.raises(ValueError, match="num_classes"):
        Classifier(backbone, 0, in_feature="res4")
