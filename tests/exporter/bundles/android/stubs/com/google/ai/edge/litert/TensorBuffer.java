package com.google.ai.edge.litert;

/** A stub: what the wrapper needs in order to compile. */
public final class TensorBuffer extends JniHandle {
    public void writeFloat(float[] data) throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public void writeInt8(byte[] data) throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public float[] readFloat() throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public byte[] readInt8() throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }
}
