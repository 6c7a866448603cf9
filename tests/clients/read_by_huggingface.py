"""Read a model card with huggingface_hub, which refuses metadata that the Hub would refuse.

Runs in an environment of its own, without mbexport, and asks no server. Argument: the card. Prints JSON: the metadata,
each result as [file's metric, value, data set], and whether the card is the same after it was written again.
"""

import json
import sys
from pathlib import Path

from huggingface_hub import ModelCard
from huggingface_hub.utils import validate_repo_id

content = Path(sys.argv[1]).read_text("utf-8")
card = ModelCard(content, ignore_metadata_errors=False)
data = card.data.to_dict()
for name in [*(data.get("datasets") or []), *([data["base_model"]] if "base_model" in data else [])]:
    validate_repo_id(name)
again = ModelCard(str(card), ignore_metadata_errors=False)
results = [[result.metric_name, result.metric_value, result.dataset_type] for result in card.data.eval_results or []]
json.dump({"data": data, "results": results, "same": again.data.to_dict() == data, "text": card.text}, sys.stdout)
