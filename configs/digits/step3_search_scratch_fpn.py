# reads output/digits/step2_supernet_scratch_fpn/model_final.pth, writes output/digits/step3_search_scratch_fpn/best_architecture.json
from ..common.search_small import search
from .step2_supernet_scratch_fpn import dataloader, model, train

train.init_checkpoint = "output/digits/step2_supernet_scratch_fpn/model_final.pth"
train.output_dir = "output/digits/step3_search_scratch_fpn"
