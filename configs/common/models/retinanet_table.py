"""RetinaNet for small and large objects on 128 pixels, on a space small enough to train each of its
256 networks alone."""

from detectron2.config import LazyCall as L

from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice

from .retinanet_small import model

model.backbone.bottom_up.space = L(SearchSpace)(
    name="table",
    stem_channels=16,
    stages=[L(Stage)(channels=channels, blocks=1) for channels in (32, 64, 128, 256)],
    choices=[*(L(ShuffleChoice)(kernel_size=size) for size in (3, 5, 7)), L(XceptionChoice)()],
)
model.backbone.out_channels = 32
model.head.conv_dims = [32, 32]
model.head.num_anchors = 6
model.anchor_generator.sizes = [[size, size * 2**0.5] for size in (14, 24, 40, 64, 96)]
model.num_classes = 10
