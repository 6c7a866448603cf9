"""List and read images that lie many to a file: tar shards of WebDataset, and TFRecord files."""
