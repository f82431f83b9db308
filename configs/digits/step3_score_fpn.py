# reads output/digits/step2_supernet_fpn/model_final.pth, writes output/digits/step3_score_fpn/best_architecture.json
# scores given architectures: search.algorithm.architectures=[a.json,b.json]
from detectron2.config import LazyCall as L

from detnas_d2.search import GivenArchitectures

from .step3_search_fpn import dataloader, model, search, train

search.algorithm = L(GivenArchitectures)(architectures=["0,0,0,0,0,0,0,0,0,0"])
search.retrain = []
search.flops_limit = 20_000_000  # all of the space
