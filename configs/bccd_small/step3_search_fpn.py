# reads output/bccd_small/step2_supernet_fpn/model_final.pth, writes output/bccd_small/step3_search_fpn/best_architecture.json
from ..common.search_small import search
from .step2_supernet_fpn import dataloader, model, train

train.init_checkpoint = "output/bccd_small/step2_supernet_fpn/model_final.pth"
search.retrain = [
    "configs/bccd_small/step4_classification.py",
    "configs/bccd_small/step4_detection_fpn.py",
]
