"""What a network is for: the value of `--task`, from which its data, its stages and its verdict follow."""

from enum import StrEnum


class Task(StrEnum):
    """Name the class of an image, or find the objects in it."""

    CLASSIFY = "classify"
    DETECT = "detect"
