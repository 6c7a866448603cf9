package org.tensorflow.lite;

import java.nio.ByteBuffer;
import java.util.Map;

/** A stub: what the wrapper needs in order to compile, with the types that LiteRT 1.4 returns. */
public final class Interpreter implements AutoCloseable {
    /** A stub. */
    public static class Options {
        public Options setNumThreads(int count) {
            throw new UnsupportedOperationException("stub");
        }

        public Options setUseXNNPACK(boolean isUsed) {
            throw new UnsupportedOperationException("stub");
        }
    }

    public Interpreter(ByteBuffer model, Options options) {
        throw new UnsupportedOperationException("stub");
    }

    public Tensor getInputTensor(int index) {
        throw new UnsupportedOperationException("stub");
    }

    public Tensor getOutputTensor(int index) {
        throw new UnsupportedOperationException("stub");
    }

    public int getOutputTensorCount() {
        throw new UnsupportedOperationException("stub");
    }

    public void run(Object input, Object output) {
        throw new UnsupportedOperationException("stub");
    }

    public void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs) {
        throw new UnsupportedOperationException("stub");
    }

    @Override
    public void close() {
        throw new UnsupportedOperationException("stub");
    }
}
