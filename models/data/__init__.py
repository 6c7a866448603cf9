"""Open data sets and read their images one at a time."""
