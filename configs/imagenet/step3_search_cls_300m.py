# reads output/imagenet/step1_supernet_300m/model_final.pth, writes output/imagenet/step3_search_cls_300m/best_architecture.json
# ClsNASNet: the fitness is the accuracy on a part of ImageNet's training set that step 1 leaves out.
from ..common.search import search
from .step1_supernet_300m import dataloader, model, train

dataloader.test.dataset.names = "imagenet_detnas_search"
train.init_checkpoint = "output/imagenet/step1_supernet_300m/model_final.pth"
search.fitness.metric = "classification/top1"
search.fitness.calibration_batches = 100  # 6,400 images
search.fitness.batch_size = 64  # as many as the statistics take, in training mode
search.fitness.cache_memory = 9  # 58,400 images of 224x224 pixels at most: 8.2 GiB
search.retrain = [
    "configs/imagenet/step4_classification_300m.py",
    "configs/coco/step4_detection_fpn_300m.py",
    "configs/coco/step4_detection_retinanet_300m.py",
    "configs/voc/step4_detection_fpn_300m.py",
    "configs/voc/step4_detection_retinanet_300m.py",
]
