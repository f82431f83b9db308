"""What a config from elsewhere may make (see trust.py): dotted names, taken letter by letter."""

from __future__ import annotations

from itertools import accumulate


def spellings(*lines: str) -> frozenset[str]:
    """The dotted names of "module Class Class ...": of the module, any leading part may stand, as
    Detectron2 shortens names in a dump."""
    found = set()
    for line in lines:
        module, *names = line.split()
        starts = accumulate(module.split("."), "{}.{}".format)
        found |= {f"{start}.{name}" for start in starts for name in names}
    return frozenset(found)


SPACES = spellings(
    "detnas_d2.space.space SearchSpace Stage",
    "detnas_d2.space.choices ShuffleChoice XceptionChoice",
    "detnas_d2.space.spaces feature_channels",
    "projects.DetNAS.paper.halves HalvesShuffleChoice HalvesXceptionChoice halves_space",
)
"""What a search space is made of."""

MODELS = SPACES | spellings(
    # what runs before their change of name have in their config.yaml
    "detnas_d2.modeling ShuffleNetV2 ShuffleNetV2Supernet",
    "detnas_d2.modeling.classifier Classifier",
    "detnas_d2.modeling.network StandAloneNetwork",
    "detnas_d2.modeling.norm LevelNorm Norm",
    "detnas_d2.modeling.supernet Supernet",
    "detectron2.layers.shape_spec ShapeSpec",
    "detectron2.modeling.anchor_generator DefaultAnchorGenerator RotatedAnchorGenerator",
    "detectron2.modeling.backbone.fpn FPN LastLevelMaxPool LastLevelP6P7",
    "detectron2.modeling.backbone.resnet BasicStem ResNet ResNet.make_default_stages",
    "detectron2.modeling.box_regression Box2BoxTransform Box2BoxTransformLinear",
    "detectron2.modeling.box_regression Box2BoxTransformRotated",
    "detectron2.modeling.matcher Matcher",
    "detectron2.modeling.meta_arch.fcos FCOS FCOSHead",
    "detectron2.modeling.meta_arch.panoptic_fpn PanopticFPN",
    "detectron2.modeling.meta_arch.rcnn GeneralizedRCNN ProposalNetwork",
    "detectron2.modeling.meta_arch.retinanet RetinaNet RetinaNetHead",
    "detectron2.modeling.meta_arch.semantic_seg SemanticSegmentor SemSegFPNHead",
    "detectron2.modeling.poolers ROIPooler",
    "detectron2.modeling.proposal_generator.rpn RPN StandardRPNHead",
    "detectron2.modeling.roi_heads.box_head FastRCNNConvFCHead",
    "detectron2.modeling.roi_heads.cascade_rcnn CascadeROIHeads",
    "detectron2.modeling.roi_heads.fast_rcnn FastRCNNOutputLayers",
    "detectron2.modeling.roi_heads.keypoint_head KRCNNConvDeconvUpsampleHead",
    "detectron2.modeling.roi_heads.mask_head MaskRCNNConvUpsampleHead",
    "detectron2.modeling.roi_heads.roi_heads Res5ROIHeads StandardROIHeads",
    "projects.DetNAS.paper.detnet DetNet DetNetFPN PyramidROIPooler",
)
"""What a network is made of."""

MAPPERS = spellings(
    "detnas_d2.data.classification CenterCrop ClassificationMapper RandomResizedCrop",
    "detnas_d2.data.classification imagenet_test_augmentations imagenet_train_augmentations",
    "detectron2.data.dataset_mapper DatasetMapper",
    "detectron2.data.transforms.augmentation_impl FixedSizeCrop RandomApply RandomBrightness",
    "detectron2.data.transforms.augmentation_impl RandomContrast RandomCrop RandomExtent",
    "detectron2.data.transforms.augmentation_impl RandomFlip RandomLighting RandomResize",
    "detectron2.data.transforms.augmentation_impl RandomRotation RandomSaturation Resize",
    "detectron2.data.transforms.augmentation_impl ResizeScale ResizeShortestEdge",
)
"""What makes a network's input of an image."""

ALL = frozenset.union(
    MODELS,
    MAPPERS,
    spellings(
        "detnas_d2.driver.default_executor DefaultExecutor",
        "detnas_d2.evaluation.fitness SupernetFitness",
        "detnas_d2.evaluation.short_training ShortTraining",
        "detnas_d2.search.evolution EvolutionarySearch",
        "detnas_d2.search.given GivenArchitectures",
        "detnas_d2.search.pareto ParetoSearch",
        "detnas_d2.search.predictor PredictorSearch",
        "detnas_d2.search.random_search RandomSearch",
        "detnas_d2.space.sampler FlopsRangePathSampler StrictlyFairPathSampler",
        "detnas_d2.space.sampler UniformPathSampler",
        "detnas_d2.data.coco register_coco",
        "detnas_d2.data.loader build_test_loader build_train_loader",
        "detnas_d2.data.voc register_voc_folder",
        "detnas_d2.evaluation.classification ClassificationEvaluator",
        "detnas_d2.evaluation.fast_coco FastCOCOEvaluator",
        "detectron2.data.build get_detection_dataset_dicts",
        "detectron2.evaluation.coco_evaluation COCOEvaluator",
        "detectron2.evaluation.pascal_voc_evaluation PascalVOCDetectionEvaluator",
        "detectron2.solver.build get_default_optimizer_params",
        "detectron2.solver.lr_scheduler WarmupParamScheduler",
        "fvcore.common.param_scheduler CompositeParamScheduler ConstantParamScheduler",
        "fvcore.common.param_scheduler CosineParamScheduler ExponentialParamScheduler",
        "fvcore.common.param_scheduler LinearParamScheduler MultiStepParamScheduler",
        "fvcore.common.param_scheduler PolynomialDecayParamScheduler StepParamScheduler",
        "torch.optim.adam Adam",
        "torch.optim.adamw AdamW",
        "torch.optim.sgd SGD",
    ),
)
"""All that a config from elsewhere may make; of what a command makes, it may say less."""
