# reads output/bccd_small/step1_supernet/model_final.pth, writes output/bccd_small/step3_search_classification/best_architecture.json
# ClsNASNet: the fitness is the accuracy
from ..common.search_small import search
from .step1_supernet import dataloader, model, train

train.init_checkpoint = "output/bccd_small/step1_supernet/model_final.pth"
search.fitness.metric = "classification/top1"
search.fitness.batch_size = 64  # as many as the statistics take, in training mode
