"""What microcontrollers make of a .tflite file: memory, and the estimates of their NPUs' compiler."""
