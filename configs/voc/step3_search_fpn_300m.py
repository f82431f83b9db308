# reads output/voc/step2_supernet_fpn_300m/model_final.pth, writes output/voc/step3_search_fpn_300m/best_architecture.json
from ..common.search import search
from .step2_supernet_fpn_300m import dataloader, model, train

train.init_checkpoint = "output/voc/step2_supernet_fpn_300m/model_final.pth"
search.fitness.metric = "bbox/AP50"  # VOC's mAP
search.retrain = [
    "configs/imagenet/step4_classification_300m.py",
    "configs/voc/step4_detection_fpn_300m.py",
]
