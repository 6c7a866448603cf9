"""Time .tflite files on an Android device: adb, its device, and what `benchmark_model` prints there."""
