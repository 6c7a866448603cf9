"""The parts of the CI server's page that differ by task."""
