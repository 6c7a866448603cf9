package com.google.ai.edge.litert;

import android.content.res.AssetManager;
import java.util.Map;

/** A stub: what the wrapper needs in order to compile, with the types of LiteRT 2's own Kotlin. */
public final class CompiledModel extends JniHandle {
    /** A stub. */
    public static final class CpuOptions {
        public CpuOptions(Integer numThreads, Integer xnnPackFlags, String xnnPackWeightCachePath) {
            throw new UnsupportedOperationException("stub");
        }
    }

    /** A stub. */
    public static final class Options {
        public Options(Accelerator... accelerators) {
            throw new UnsupportedOperationException("stub");
        }

        public void setCpuOptions(CpuOptions options) {
            throw new UnsupportedOperationException("stub");
        }
    }

    public static CompiledModel create(AssetManager assets, String name, Options options, Environment environment)
        throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public static CompiledModel create(String path, Options options, Environment environment) throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public TensorBuffer createInputBuffer(String name, String signature) throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public TensorBuffer createOutputBuffer(String name, String signature) throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }

    public void run(Map<String, TensorBuffer> inputs, Map<String, TensorBuffer> outputs, String signature)
        throws LiteRtException {
        throw new UnsupportedOperationException("stub");
    }
}
