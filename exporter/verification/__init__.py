"""Compare artifacts with a reference on images, and judge what was measured.

What any task needs stands here: streaming of images, kernel paths, statistics, gates and the verdict. What an answer is
belongs to a task of its own, such as `classification`.
"""
