# reads output/coco/step2_supernet_fpn_300m/model_final.pth, writes output/coco/step3_search_pareto_fpn_300m/best_architecture.json
# AP against multiply-adds; writes pareto_front.json too. Other costs: search.algorithm.costs=[params]
from ..common.search_algorithms import pareto as _pareto
from .step3_search_fpn_300m import dataloader, model, search, train

search.algorithm = _pareto
