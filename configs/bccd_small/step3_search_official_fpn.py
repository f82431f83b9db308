# reads output/bccd_small/step2_supernet_fpn/model_final.pth, writes output/bccd_small/step3_search_official_fpn/best_architecture.json
from ..common.search_algorithms import official as _official
from .step3_search_fpn import dataloader, model, search, train

search.algorithm = {
    **_official,
    "population": 12,
    "generations": 4,
    "parents": 4,
    "mutations": 5,
    "crossovers": 5,
}
