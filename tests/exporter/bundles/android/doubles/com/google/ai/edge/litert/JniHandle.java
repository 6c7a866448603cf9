package com.google.ai.edge.litert;

import java.util.concurrent.atomic.AtomicInteger;

/** Native memory, which has to be freed: counted, and not to be used any more once it is. */
public abstract class JniHandle implements AutoCloseable {
    /** How many are in use. */
    public static final AtomicInteger OPEN = new AtomicInteger();

    private boolean isDestroyed;

    JniHandle() {
        OPEN.incrementAndGet();
    }

    final void assertNotDestroyed() {
        if (isDestroyed) {
            throw new IllegalStateException("The handle has been destroyed.");
        }
    }

    @Override
    public final void close() {
        if (!isDestroyed) {
            isDestroyed = true;
            OPEN.decrementAndGet();
        }
    }
}
