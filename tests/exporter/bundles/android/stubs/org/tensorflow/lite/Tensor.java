package org.tensorflow.lite;

/** A stub: what the wrapper needs in order to compile. An interface, as in LiteRT 1: calls depend on it. */
public interface Tensor {
    String name();

    DataType dataType();

    int[] shape();

    int numBytes();
}
