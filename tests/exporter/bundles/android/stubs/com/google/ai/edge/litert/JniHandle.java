package com.google.ai.edge.litert;

/** A stub: what the wrapper needs in order to compile. */
public abstract class JniHandle implements AutoCloseable {
    @Override
    public final void close() {
        throw new UnsupportedOperationException("stub");
    }
}
