# reads nothing, writes output/own_space/step2_supernet_se_skip/model_final.pth
# (a space with squeeze-and-excitation and skippable blocks; from scratch, on the demo's digits)
from detectron2.config import LazyCall as L

from detnas_d2.space import SearchSpace, ShuffleChoice, Stage
from projects.DetNAS.own_space.blocks import SkipChoice, SqueezeExciteShuffleChoice

from ..demo.step2_supernet import dataloader, lr_multiplier, model, optimizer, path_sampler, train

path_sampler.space = model.backbone.bottom_up.space = L(SearchSpace)(
    name="se_skip",
    stem_channels=16,
    stages=[L(Stage)(channels=c, blocks=n) for c, n in ((32, 2), (64, 3), (128, 4), (256, 2))],
    choices=[
        L(ShuffleChoice)(kernel_size=3),
        L(ShuffleChoice)(kernel_size=7),
        L(SqueezeExciteShuffleChoice)(kernel_size=3),
        L(SqueezeExciteShuffleChoice)(kernel_size=7),
        L(SkipChoice)(),
    ],
)
train.init_checkpoint = ""
train.max_iter = 800
