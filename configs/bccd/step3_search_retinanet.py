# reads output/bccd/step2_supernet_retinanet/model_final.pth, writes output/bccd/step3_search_retinanet/best_architecture.json
from ..common.search import search
from .step2_supernet_retinanet import dataloader, model, train

train.init_checkpoint = "output/bccd/step2_supernet_retinanet/model_final.pth"
dataloader.test.batch_size = 4
search.fitness.calibration_batches = 8
search.algorithm.population = 12
search.algorithm.generations = 4
search.algorithm.parents = 4
search.retrain = [
    "configs/bccd/step4_classification_retinanet.py",
    "configs/bccd/step4_detection_retinanet.py",
]
