# reads output/coco/step2_supernet_fpn_300m/model_final.pth, writes output/coco/step3_search_official_fpn_300m/best_architecture.json
# The authors' search: other parents and children, and 500 batches of 8 images, with flips, for the norms.
from ..common.search_algorithms import official as _official
from .step3_search_fpn_300m import dataloader, model, search, train

dataloader.calibration.mapper.augmentations = "${...train.mapper.augmentations}"
dataloader.calibration.total_batch_size = 8
search.algorithm = _official
search.fitness.calibration_batches = 500
