# reads output/bccd_small/step2_supernet_fpn/model_final.pth, writes output/bccd_small/step3_search_pareto_fpn/best_architecture.json
from ..common.search_algorithms import pareto as _pareto
from .step3_search_fpn import dataloader, model, search, train

search.algorithm = {**_pareto, "population": 12, "generations": 4}
search.flops_limit = 20_000_000  # all of the space
