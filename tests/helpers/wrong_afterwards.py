"""Wrong inputs of the commands around the steps: export, predict, report and estimate."""

from __future__ import annotations

from wrong_inputs import Wrong, at, write

EXPORT = "detnas_d2.export output/step4 --format state_dict --output"
PREDICT = "detnas_d2.predict output/step4 datasets/digits/JPEGImages --output found"
export, predict = at(EXPORT), at(PREDICT)

CASES = [
    export(
        "output/step4/model_final.pth",
        "output/step4/model_final.pth is the checkpoint … choose another name",
    ),
    export(
        "net.pt",
        "net.pt is there already … choose another name, or remove",
        write("net.pt", "of another program"),
    ),
    export("net.pt --device gpu", "'gpu'; expected cpu, cuda"),
    predict("--device gpu", "'gpu'; expected cpu, cuda"),
    predict("--threshold nan", "--threshold is nan … expected a number from 0 to 1"),
    Wrong(
        PREDICT.replace("found", "output"),
        "'output' holds detections.json … choose another folder",
        write("output/detections.json", "{}"),
    ),
    Wrong(
        "detnas_d2.report output/none",
        "no folder 'output/none' … give the output folder of a search",
    ),
    Wrong("detnas_d2.driver.estimate configs/none.py", "configs/none.py"),
    Wrong(
        "detnas_d2.driver.estimate configs/tiny/step2.py train.max_itr=3",
        "train.max_itr … train.max_iter",
    ),
]
