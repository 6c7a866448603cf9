"""The pipeline: from a plan to a folder of verified artifacts, stage by stage."""
