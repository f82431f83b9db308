"""The FPN detector for a CPU: narrow FPN and heads, smaller anchors, few proposals."""

from .fpn import model

model.backbone.norm.name = "naiveSyncBN"  # SyncBN runs on GPUs only
model.backbone.out_channels = 64
model.proposal_generator.anchor_generator.sizes = [[16], [32], [64], [128], [256]]
model.proposal_generator.batch_size_per_image = 128
model.proposal_generator.pre_nms_topk = (400, 200)
model.proposal_generator.post_nms_topk = (200, 100)
model.roi_heads.batch_size_per_image = 64
model.roi_heads.box_head.conv_dims = [64, 64, 64, 64]
model.roi_heads.box_head.fc_dims = [256]
