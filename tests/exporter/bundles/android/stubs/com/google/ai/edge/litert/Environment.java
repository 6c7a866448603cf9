package com.google.ai.edge.litert;

import java.util.Map;

/** A stub: what the wrapper needs in order to compile. */
public final class Environment extends JniHandle {
    /** A stub. */
    public enum Option { CompilerPluginLibraryDir, DispatchLibraryDir }

    public static Environment create() throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public static Environment create(Map<Option, String> options) throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }
}
