# reads output/coco/step2_supernet_fpn_300m/model_final.pth, writes output/coco/step3_search_random_fpn_300m/best_architecture.json
# The baseline: as many random architectures under the same limit.
from ..common.search_algorithms import random as _random
from .step3_search_fpn_300m import dataloader, model, search, train

search.algorithm = _random
