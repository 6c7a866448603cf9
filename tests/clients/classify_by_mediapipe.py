"""Classify images with MediaPipe's ImageClassifier, as an app does.

Runs in an environment of its own, without mbexport. Arguments: the model, then images. Prints JSON: for each image
its best three as [index, label name, score].
"""

import json
import sys

from mediapipe import Image
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions

model, *images = sys.argv[1:]
options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model), max_results=3)
with ImageClassifier.create_from_options(options) as classifier:
    answers = []
    for image in images:
        heads = classifier.classify(Image.create_from_file(image)).classifications
        answers.append([[found.index, found.category_name, found.score] for found in heads[0].categories])
json.dump(answers, sys.stdout)
