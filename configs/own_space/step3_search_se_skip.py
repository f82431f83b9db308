# reads output/own_space/step2_supernet_se_skip/model_final.pth, writes output/own_space/step3_search_se_skip/best_architecture.json
from ..common.search_small import search
from .step2_supernet_se_skip import dataloader, model, train

train.init_checkpoint = "output/own_space/step2_supernet_se_skip/model_final.pth"
search.flops_limit = 13_500_000
search.retrain = ["configs/own_space/step4_detection_se_skip.py"]
