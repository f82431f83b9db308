# reads output/released/supernet_fpn_300m.pth, writes output/released/search_fpn_300m/best_architecture.json
# A search in the authors' COCO supernet, converted by projects/DetNAS/paper/convert_weights.py.
from detectron2.config import LazyCall as L

from projects.DetNAS.paper.halves import halves_space

from ....configs.coco.step3_search_fpn_300m import dataloader, model, search, train

model.backbone.bottom_up.space = L(halves_space)(space="300m")
search.retrain = []  # the authors retrain in the even/odd form: architecture=2,1,... of their configs
train.init_checkpoint = "output/released/supernet_fpn_300m.pth"
train.output_dir = "output/released/search_fpn_300m"
