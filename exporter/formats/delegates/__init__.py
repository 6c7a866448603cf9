"""What phones' and boards' delegates take of a file: measured where they run here, by their makers' lists elsewhere."""
