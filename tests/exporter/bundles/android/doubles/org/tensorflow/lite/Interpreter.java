package org.tensorflow.lite;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.Map;

/** LiteRT, asked over a pipe: the test at its other end runs the model in Python. */
public final class Interpreter implements AutoCloseable {
    private static final DataInputStream ANSWERS = new DataInputStream(System.in);
    private static final DataOutputStream QUESTIONS = new DataOutputStream(System.out);
    private final Sized input;
    private final Sized[] outputs;
    private boolean isRunning;
    private boolean isClosed;

    /** Kept for the test that looks. */
    public static class Options {
        private int threads;
        private boolean isXnnpack;

        public Options setNumThreads(int count) {
            threads = count;
            return this;
        }

        public Options setUseXNNPACK(boolean isUsed) {
            isXnnpack = isUsed;
            return this;
        }
    }

    public Interpreter(ByteBuffer model, Options options) {
        if (!model.isDirect() || model.order() != ByteOrder.nativeOrder() && !(model.isReadOnly())) {
            throw new IllegalArgumentException("Model ByteBuffer should be either a MappedByteBuffer or a direct one");
        }
        try {
            QUESTIONS.writeUTF("model " + options.threads + " " + options.isXnnpack);
            byte[] content = new byte[model.remaining()];
            model.get(content);
            QUESTIONS.writeInt(content.length);
            QUESTIONS.write(content);
            QUESTIONS.flush();
            input = new Sized(ANSWERS);
            outputs = new Sized[ANSWERS.readInt()];
            for (int i = 0; i < outputs.length; i++) {
                outputs[i] = new Sized(ANSWERS);
            }
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    public Tensor getInputTensor(int index) {
        return input;
    }

    public int getOutputTensorCount() {
        return outputs.length;
    }

    public Tensor getOutputTensor(int index) {
        return outputs[index];
    }

    public void run(Object given, Object wanted) {
        runForMultipleInputsOutputs(new Object[] {given}, Collections.singletonMap(0, wanted));
    }

    public void runForMultipleInputsOutputs(Object[] given, Map<Integer, Object> wanted) {
        ByteBuffer from = (ByteBuffer) given[0];
        boolean isWrong = given.length != 1 || isClosed || isRunning || from.remaining() != input.numBytes();
        for (Map.Entry<Integer, Object> each : wanted.entrySet()) {
            isWrong |= ((ByteBuffer) each.getValue()).remaining() != outputs[each.getKey()].numBytes();
        }
        if (isWrong) {
            throw new IllegalArgumentException("closed, used by two threads, or a buffer of the wrong size or position");
        }
        isRunning = true;
        try {
            byte[] sent = new byte[from.remaining()];
            from.get(sent);
            QUESTIONS.writeUTF("run");
            QUESTIONS.writeInt(sent.length);
            QUESTIONS.write(sent);
            QUESTIONS.flush();
            for (int i = 0; i < outputs.length; i++) {
                byte[] got = new byte[outputs[i].numBytes()];
                ANSWERS.readFully(got);
                if (wanted.containsKey(i)) {
                    ((ByteBuffer) wanted.get(i)).put(got);
                }
            }
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
        isRunning = false;
    }

    @Override
    public void close() {
        isClosed = true;
    }

    /** A tensor as the model has it. */
    private static final class Sized implements Tensor {
        private final String name;
        private final DataType type;
        private final int[] shape;
        private final int bytes;

        Sized(DataInputStream told) throws IOException {
            name = told.readUTF();
            type = DataType.valueOf(told.readUTF());
            shape = new int[told.readInt()];
            for (int i = 0; i < shape.length; i++) {
                shape[i] = told.readInt();
            }
            bytes = told.readInt();
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public DataType dataType() {
            return type;
        }

        @Override
        public int[] shape() {
            return shape;
        }

        @Override
        public int numBytes() {
            return bytes;
        }
    }
}
