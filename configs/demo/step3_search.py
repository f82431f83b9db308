# reads output/demo/step2_supernet/model_final.pth, writes output/demo/step3_search/best_architecture.json
from ..common.search import search
from .step2_supernet import dataloader, model, train

train.init_checkpoint = "output/demo/step2_supernet/model_final.pth"
search.input_size = (128, 128)
search.flops_limit = 13_500_000
search.fitness.calibration_batches = 8
search.algorithm.population = 10
search.algorithm.generations = 3
search.algorithm.parents = 4
search.retrain = ["configs/demo/step4_classification.py", "configs/demo/step4_detection.py"]
