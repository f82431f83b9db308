# reads output/bccd_small/step2_supernet_fpn/model_final.pth, writes output/bccd_small/step3_search_random_fpn/best_architecture.json
from ..common.search_algorithms import random as _random
from .step3_search_fpn import dataloader, model, search, train

search.algorithm = {**_random, "count": 48}
