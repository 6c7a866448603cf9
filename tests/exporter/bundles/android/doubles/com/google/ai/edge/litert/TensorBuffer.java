package com.google.ai.edge.litert;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The bytes of a tensor. What is read has as many numbers as the tensor, whatever their type. */
public final class TensorBuffer extends JniHandle {
    final String name;
    byte[] content;
    private final int elements;

    TensorBuffer(String name, int elements, int bytes) {
        this.name = name;
        this.elements = elements;
        content = new byte[bytes];
    }

    public void writeFloat(float[] data) throws LiteRtException {
        byte[] bytes = new byte[4 * data.length];
        ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer().put(data);
        writeInt8(bytes);
    }

    public void writeInt8(byte[] data) throws LiteRtException {
        assertNotDestroyed();
        if (data.length > content.length) {
            throw new LiteRtException(3, "TensorBuffer buffer size is smaller than the given data size");
        }
        System.arraycopy(data, 0, content, 0, data.length);
    }

    public float[] readFloat() {
        assertNotDestroyed();
        float[] numbers = new float[elements];
        ByteBuffer.wrap(content).order(ByteOrder.nativeOrder()).asFloatBuffer().get(numbers);
        return numbers;
    }

    public byte[] readInt8() {
        assertNotDestroyed();
        return java.util.Arrays.copyOf(content, elements);
    }
}
