# reads output/coco/step2_supernet_retinanet_300m/model_final.pth, writes output/coco/step3_search_retinanet_300m/best_architecture.json
from ..common.search import search
from .step2_supernet_retinanet_300m import dataloader, model, train

train.init_checkpoint = "output/coco/step2_supernet_retinanet_300m/model_final.pth"
search.retrain = [
    "configs/imagenet/step4_classification_300m.py",
    "configs/coco/step4_detection_retinanet_300m.py",
]
