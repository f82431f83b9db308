"""RetinaNet for a CPU: narrow FPN and head, smaller anchors."""

from .retinanet import model

model.backbone.bottom_up.norm.name = "naiveSyncBN"  # SyncBN runs on GPUs only
model.backbone.out_channels = 64
model.head.conv_dims = [64, 64]
model.anchor_generator.sizes = [
    [x, x * 2 ** (1 / 3), x * 2 ** (2 / 3)] for x in (16, 32, 64, 128, 256)
]
model.test_topk_candidates = 200
model.max_detections_per_image = 100
