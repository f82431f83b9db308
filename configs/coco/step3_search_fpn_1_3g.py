# reads output/coco/step2_supernet_fpn_1_3g/model_final.pth, writes output/coco/step3_search_fpn_1_3g/best_architecture.json
from ..common.search import search
from .step2_supernet_fpn_1_3g import dataloader, model, train

train.init_checkpoint = "output/coco/step2_supernet_fpn_1_3g/model_final.pth"
# the published network has 1,269M, the space 967M to 1,486M
search.flops_limit = 1_300_000_000
search.retrain = [
    "configs/imagenet/step4_classification_1_3g.py",
    "configs/coco/step4_detection_fpn_1_3g.py",
]
