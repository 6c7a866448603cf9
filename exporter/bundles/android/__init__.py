"""The Android bundle: a Maven repository with one AAR, and the same files to copy."""
