package org.tensorflow.lite;

/** A tensor of the model. */
public interface Tensor {
    DataType dataType();

    int[] shape();

    int numBytes();
}
