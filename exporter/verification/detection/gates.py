"""The gates of a detector's verdict: a table of the same rows as the classifiers', some of which are the same ones.

Why these limits:

- `ap_drop` 0.01: our int8 aims at half a point of AP, and a point leaves room for as much by chance of the images: some
  70 photos give an interval of about a point, so that half a point is at worst undecided there. TensorFlow's detection
  model zoo lists its quantized SSD-MobileNet v1 with three points less than the float one (18 and 21), v2 with none.
- `paired` 0.9: plain post-training quantization keeps AP and yet changes what an app draws: of two float
  networks' detections it kept 82 and 92 % (decision 0051). AP forgives a box that moves by a tenth, and scores that
  fall together; a user sees both.
- `fp32_paired` 0.99: float files differ by the order of sums, which moves no box by a tenth; what is left are
  detections whose score lies at a threshold.
- `twin_paired` 0.98: twins have the same integers, and differ where a kernel rounds otherwise, which suppression then
  amplifies.
- `tail_alike` 0.85: of 32 images that are all alike the interval begins at 0.893; a wrong tail is wrong on most.
- `anchors_uncovered` 0.1: objects without an anchor are learned all the same, only less surely, and how many are missed
  shows in AP. So that the gate never fails by itself: it passes, or is undecided as advice to choose other anchors.
- `size_ratio`: a quarter, the scales, and 256 KiB of what has one size in both files: graph, metadata, and the float
  anchors of 8,000 places.
"""

from functools import partial
from types import MappingProxyType
from typing import Final

from mbexport.verification.detection import values
from mbexport.verification.gates import GATES, Gate, Gates, size_limit
from mbexport.verification.measured_values import artifacts, int8, of_each, output_words

_SAME_IN_BOTH: Final = 256 << 10


DETECTION_GATES: Final[Gates] = MappingProxyType(
    {
        "samples": GATES["samples"],
        "distinct_outputs": Gate(
            direction="at least",
            limit=5,
            meaning="different answers of any one artifact: a network that does not look gives one",
            advice="is the network trained, and are its activations' ranges those of real images?",
            values=of_each(artifacts, lambda entry: entry["distinct_outputs"]),
        ),
        "above_chance": Gate(
            direction="at least",
            limit=1,
            meaning="lower bound of the reference's AP at 0.5 (of each file's beside labels) over that on other images",
            advice="are the classes in the order of the scores (--classes), and are boxes ymin, xmin, ymax, xmax?",
            values=values.times_chance,
        ),
        "as_labelled": Gate(
            direction="at least",
            limit=1,
            meaning="upper bound of that AP at 0.5 over that with labelled x and y swapped, or classes one off",
            advice="are boxes and classes in the files of --data as the format has them, and --classes in their order?",
            values=values.as_labelled,
        ),
        "ap": Gate(
            direction="at least",
            limit=None,
            meaning="COCO's AP of each file: the mean over overlaps of 0.50 to 0.95",
            advice="train it longer or on more images, or take a larger network",
            values=values.precisions,
        ),
        "ap50": Gate(
            direction="at least",
            limit=None,
            meaning="AP of each file at an overlap of 0.5",
            advice="train it longer or on more images, or take a larger network",
            values=values.precisions_at_half,
        ),
        "ap_drop": Gate(
            direction="at most",
            limit=0.01,
            meaning="AP that an artifact of less than fp32 lost against the reference",
            advice="calibrate on more images like the app's, or train: --qat-epochs 2; see the worst layers",
            values=values.precision_drops,
            compares=True,
        ),
        "fp32_paired": Gate(
            direction="at least",
            limit=0.99,
            meaning="certain detections that an fp32 artifact and the float reference share, of either's",
            advice="is it the same network as the reference, fed with the same numbers, with the same thresholds?",
            values=values.paired_fp32,
            compares=True,
        ),
        "paired": Gate(
            direction="at least",
            limit=0.9,
            meaning="certain detections that an artifact of less than fp32 and the reference share, of either's",
            advice="see the worst images: is the input normalized as it expects, and in this order of channels?",
            values=values.paired,
            compares=True,
        ),
        "twin_paired": Gate(
            direction="at least",
            limit=0.98,
            meaning="certain detections that twins, one network in two formats, share, of either's",
            advice="were both made by one run, with the same thresholds? Make them again together",
            values=values.twin_paired,
        ),
        "twin_tails": Gate(
            direction="at least",
            limit=1,
            meaning="1 if twins end in the same anchors and thresholds, where one is known, else 0",
            advice="one of them was changed, or they come from two runs: make them again together",
            values=values.twin_tails,
        ),
        "reference_tail": Gate(
            direction="at least",
            limit=1,
            meaning="1 if a file ends in the reference's anchors and thresholds, where both are known, else 0",
            advice="convert it with the reference's; where it has others on purpose, say --gate reference_tail=0",
            values=values.reference_tails,
            compares=True,
        ),
        "tail_alike": Gate(
            direction="at least",
            limit=0.85,
            meaning="images of which a file's own tail makes the boxes that its heads stand for",
            advice="another version of the runtime sorts, suppresses or clips otherwise: which one do apps have?",
            values=values.tails_alike,
            narrows_with_images=False,  # the file decides how many images are looked at
        ),
        "path_paired": Gate(
            direction="at least",
            limit=0.85,
            meaning="certain detections that two kernel paths of a file's runtime share, of either's",
            advice="phones may take another path: see the report's kernel paths",
            values=values.path_paired,
            narrows_with_images=False,  # the file decides how many images are sent through every kernel path
        ),
        "boxes_inside": Gate(
            direction="at least",
            limit=1,
            meaning="share of a file's boxes that lie within the image and have their sides the right way round",
            advice="clip the boxes inside the file: what apps make of a corner beyond the image differs",
            values=values.boxes_inside,
        ),
        "scores_in_order": Gate(
            direction="at least",
            limit=1,
            meaning="share of images whose boxes a file gives with the most certain first",
            advice="sort them inside the file: apps take the first rows for the best",
            values=values.scores_in_order,
        ),
        "anchors_uncovered": Gate(
            direction="at most",
            limit=0.1,
            meaning="objects that no anchor overlaps by half, of which none to all are missed for that",
            advice="smaller anchors or --feature-stride 8 cover small objects; judge by AP",
            values=values.objects_uncovered,
            narrows_with_images=False,
        ),
        "labels": GATES["labels"],
        "named_precision": GATES["named_precision"],
        "byte_input": GATES["byte_input"],
        "input_words": GATES["input_words"],
        "output_words": Gate(
            direction="at least",
            limit=1,
            meaning="1 if what a file says of its outputs in words and what it gives can both be right, else 0",
            advice="convert it again: apps that read the words draw other boxes",
            values=output_words,
        ),
        "int8_io": Gate(
            direction="at least",
            limit=1,
            network_limit=lambda network: 0.0 if network.has_float_io else None,
            meaning="1 if an int8 artifact takes 8-bit codes, 0 if its input are floats",
            advice="export with --io uint8; where floats are wanted, say --gate int8_io=0",
            values=of_each(int8, values.takes_codes),
        ),
        "int8_convs": GATES["int8_convs"],
        "int8_speedup": GATES["int8_speedup"],
        "size_ratio": Gate(
            direction="at most",
            limit=0.3,
            network_limit=partial(size_limit, same_bytes=_SAME_IN_BOTH),
            meaning=GATES["size_ratio"].meaning,
            advice=GATES["size_ratio"].advice,
            values=GATES["size_ratio"].values,
        ),
    }
)
