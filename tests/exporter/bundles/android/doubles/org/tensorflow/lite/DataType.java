package org.tensorflow.lite;

/** The types of elements that the wrapper knows. */
public enum DataType { FLOAT32, UINT8, INT8 }
