# reads output/digits/step2_supernet_retinanet/model_final.pth, writes output/digits/step3_search_retinanet/best_architecture.json
from ..common.search_small import search
from .step2_supernet_retinanet import dataloader, model, train

train.init_checkpoint = "output/digits/step2_supernet_retinanet/model_final.pth"
search.retrain = [
    "configs/digits/step4_classification.py",
    "configs/digits/step4_detection_retinanet.py",
]
