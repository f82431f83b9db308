"""RetinaNet on a DetNAS backbone: Detectron2's own model; norm in the
backbone only."""

from detectron2 import model_zoo
from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec

from detnas_d2.modeling import Norm, Supernet
from detnas_d2.space import feature_channels

model = model_zoo.get_config("common/models/retinanet.py").model
model.backbone.bottom_up = L(Supernet)(
    space="300m",
    norm=L(Norm)(name="SyncBN", momentum=0.1),
    out_features=["res3", "res4", "res5"],
)
model.backbone.top_block.in_feature = "res5"  # what P6 is computed from; p5 in the authors' code
model.backbone.top_block.in_channels = L(feature_channels)(
    feature="${..in_feature}", space="${...bottom_up.space}", fpn_channels="${...out_channels}"
)
model.head.input_shape = [L(ShapeSpec)(channels="${....backbone.out_channels}") for _ in range(5)]
# pixels as they are: BGR, 0 to 255, no mean
model.pixel_mean = [0.0, 0.0, 0.0]
model.pixel_std = [1.0, 1.0, 1.0]
