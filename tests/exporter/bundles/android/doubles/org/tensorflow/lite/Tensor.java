package org.tensorflow.lite;

/** A tensor of the model. */
public interface Tensor {
    String name();

    DataType dataType();

    int[] shape();

    int numBytes();
}
