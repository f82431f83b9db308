# reads output/coco/step2_supernet_retinanet_1_3g/model_final.pth, writes output/coco/step3_search_retinanet_1_3g/best_architecture.json
from ..common.search import search
from .step2_supernet_retinanet_1_3g import dataloader, model, train

train.init_checkpoint = "output/coco/step2_supernet_retinanet_1_3g/model_final.pth"
train.output_dir = "output/coco/step3_search_retinanet_1_3g"
# the published network has 1,269M, the space 967M to 1,486M
search.flops_limit = 1_300_000_000
search.retrain = [
    "configs/imagenet/step4_classification_coco_retinanet_1_3g.py",
    "configs/coco/step4_detection_retinanet_1_3g.py",
]
