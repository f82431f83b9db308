# reads output/coco/step2_supernet_fpn_3_8g/model_final.pth, writes output/coco/step3_search_fpn_3_8g/best_architecture.json
from ..common.search import search
from .step2_supernet_fpn_3_8g import dataloader, model, train

train.init_checkpoint = "output/coco/step2_supernet_fpn_3_8g/model_final.pth"
# the published network has 3,938M, the space 3,043M to 4,614M
search.flops_limit = 4_000_000_000
search.retrain = [
    "configs/imagenet/step4_classification_3_8g.py",
    "configs/coco/step4_detection_fpn_3_8g.py",
]
