# reads nothing, writes output/own_space/step2_supernet_mobilenet/model_final.pth
# (MobileNetV2-like inverted residuals; from scratch, on the demo's digits)
from detectron2.config import LazyCall as L

from detnas_d2.space import SearchSpace, Stage
from projects.DetNAS.own_space.blocks import SkipChoice
from projects.DetNAS.own_space.mobilenet import InvertedResidualChoice

from ..demo.step2_supernet import dataloader, lr_multiplier, model, optimizer, path_sampler, train

_stages = ((8, 1, 1), (16, 2, 2), (24, 2, 2), (40, 3, 2), (56, 2, 1), (112, 2, 2))
path_sampler.space = model.backbone.bottom_up.space = L(SearchSpace)(
    name="mobilenet",
    stem_channels=8,
    stages=[L(Stage)(channels=c, blocks=n, stride=s) for c, n, s in _stages],
    choices=[
        *(L(InvertedResidualChoice)(kernel_size=k, expansion=e) for k in (3, 5, 7) for e in (3, 6)),
        L(SkipChoice)(),
    ],
)
# res2 has stride 2, and res5 and res6 share stride 16: the FPN takes the last stage of each stride
model.backbone.bottom_up.out_features = ["res3", "res4", "res6", "res7"]
train.init_checkpoint = ""
train.max_iter = 800
