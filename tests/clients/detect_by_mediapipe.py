"""Detect objects in images with MediaPipe's ObjectDetector, as an app does.

Runs in an environment of its own, without mbexport. Arguments: the model, the least score, then images. Prints JSON:
for each image its detections as [class name, score, left, top, right, bottom] in pixels, the most certain first.
MediaPipe makes one detection of several classes of those of one box; here each class has its own again.
"""

import json
import sys

from mediapipe import Image
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision import ObjectDetector, ObjectDetectorOptions

model, least, *images = sys.argv[1:]
options = ObjectDetectorOptions(base_options=BaseOptions(model_asset_path=model), score_threshold=float(least))
with ObjectDetector.create_from_options(options) as detector:
    answers = []
    for image in images:
        rows = []
        for found in detector.detect(Image.create_from_file(image)).detections:
            box = found.bounding_box
            place = [box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height]
            rows += [[category.category_name, category.score, *place] for category in found.categories]
        answers.append(sorted(rows, key=lambda row: -row[1]))
json.dump(answers, sys.stdout)
