# reads output/own_space/step2_supernet_mobilenet/model_final.pth, writes output/own_space/step3_search_mobilenet/best_architecture.json
from ..common.search_small import search
from .step2_supernet_mobilenet import dataloader, model, train

train.init_checkpoint = "output/own_space/step2_supernet_mobilenet/model_final.pth"
search.flops_limit = 25_000_000
search.retrain = ["configs/own_space/step4_detection_mobilenet.py"]
