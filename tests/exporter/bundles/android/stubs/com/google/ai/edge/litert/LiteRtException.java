package com.google.ai.edge.litert;

/** A stub: what the wrapper needs in order to compile. */
public final class LiteRtException extends Exception {
    private static final long serialVersionUID = 1;

    public LiteRtException(int code, String message) {
        super(message);
    }
}
