package com.google.ai.edge.litert;

import java.util.Collections;
import java.util.Map;

/** Where LiteRT looks for libraries. */
public final class Environment extends JniHandle {
    /** The options that the wrapper has a reason to give. */
    public enum Option { CompilerPluginLibraryDir, DispatchLibraryDir }

    final Map<Option, String> options;

    private Environment(Map<Option, String> options) {
        this.options = options;
    }

    public static Environment create() {
        return create(Collections.<Option, String>emptyMap());
    }

    public static Environment create(Map<Option, String> options) {
        return new Environment(options);
    }
}
