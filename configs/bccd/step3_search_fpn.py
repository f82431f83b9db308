# reads output/bccd/step2_supernet_fpn/model_final.pth, writes output/bccd/step3_search_fpn/best_architecture.json
from ..common.search import search
from .step2_supernet_fpn import dataloader, model, train

train.init_checkpoint = "output/bccd/step2_supernet_fpn/model_final.pth"
dataloader.test.batch_size = 4
search.fitness.calibration_batches = 8
search.algorithm.population = 12
search.algorithm.generations = 4
search.algorithm.parents = 4
search.retrain = ["configs/bccd/step4_classification_fpn.py", "configs/bccd/step4_detection_fpn.py"]
