package org.tensorflow.lite;

/** A stub: what the wrapper needs in order to compile. */
public enum DataType { FLOAT32, UINT8, INT8 }
