# reads output/bccd_small/step1_supernet/model_final.pth, writes output/bccd_small/step2_supernet_fpn/model_final.pth
from ..common.data.bccd import dataloader
from ..demo.step2_supernet import lr_multiplier, model, optimizer, path_sampler, train

for _mapper in (dataloader.train.mapper, dataloader.test.mapper):
    _mapper.augmentations[0].short_edge_length = 180
    _mapper.augmentations[0].max_size = 240
dataloader.test.batch_size = 4
model.roi_heads.num_classes = 3
train.init_checkpoint = "output/bccd_small/step1_supernet/model_final.pth"
train.max_iter = 400
