package com.google.ai.edge.litert;

import android.content.res.AssetManager;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** LiteRT's CompiledModel, asked over a pipe: the test at its other end has LiteRT in Python, or stands in for it. */
public final class CompiledModel extends JniHandle {
    private final int number;
    private final Environment environment;

    /** As Kotlin has it. */
    public static final class CpuOptions {
        private final Integer threads;

        public CpuOptions(Integer numThreads, Integer xnnPackFlags, String xnnPackWeightCachePath) {
            threads = numThreads;
        }
    }

    /** As Kotlin has it. */
    public static final class Options {
        private final List<Accelerator> accelerators;
        private CpuOptions cpu;

        public Options(Accelerator... accelerators) {
            this.accelerators = new ArrayList<>(Arrays.asList(accelerators));
            if (this.accelerators.equals(Arrays.asList(Accelerator.NPU))) {
                this.accelerators.add(Accelerator.CPU); // without a word, as LiteRT does
            }
        }

        public void setCpuOptions(CpuOptions options) {
            cpu = options;
        }
    }

    private CompiledModel(byte[] content, Options options, Environment environment) throws LiteRtException {
        this.environment = environment;
        environment.assertNotDestroyed();
        StringBuilder names = new StringBuilder();
        for (Accelerator each : options.accelerators) {
            names.append(names.length() == 0 ? "" : ",").append(each);
        }
        String told = names + " " + (options.cpu == null ? "" : options.cpu.threads) + " "
            + environment.options.getOrDefault(Environment.Option.DispatchLibraryDir, "");
        try {
            number = ByteBuffer.wrap(Pipe.ask("compile " + told, content)[0]).getInt();
        } catch (LiteRtException | RuntimeException error) {
            close();
            throw error;
        }
    }

    public static CompiledModel create(AssetManager assets, String name, Options options, Environment environment)
        throws LiteRtException {
        try (InputStream stream = assets.open(name)) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] block = new byte[1 << 16];
            for (int size = stream.read(block); size >= 0; size = stream.read(block)) {
                content.write(block, 0, size);
            }
            return new CompiledModel(content.toByteArray(), options, environment);
        } catch (IOException error) {
            throw new LiteRtException(500, "Failed to open asset " + name);
        }
    }

    public static CompiledModel create(String path, Options options, Environment environment) throws LiteRtException {
        try {
            return new CompiledModel(Files.readAllBytes(new File(path).toPath()), options, environment);
        } catch (IOException error) {
            throw new LiteRtException(500, "Failed to open " + path);
        }
    }

    public TensorBuffer createInputBuffer(String name, String signature) throws LiteRtException {
        return buffer("input", name, signature);
    }

    public TensorBuffer createOutputBuffer(String name, String signature) throws LiteRtException {
        return buffer("output", name, signature);
    }

    public void run(Map<String, TensorBuffer> inputs, Map<String, TensorBuffer> outputs, String signature)
        throws LiteRtException {
        assertNotDestroyed();
        environment.assertNotDestroyed();
        if (inputs.size() != 1) {
            throw new LiteRtException(1, "one input is expected");
        }
        Map.Entry<String, TensorBuffer> source = inputs.entrySet().iterator().next();
        source.getValue().assertNotDestroyed();
        List<String> names = new ArrayList<>(outputs.keySet());
        String question = "compute " + number + "\t" + signature + "\t" + source.getKey() + "\t" + String.join("\t", names);
        byte[][] parts = Pipe.ask(question, source.getValue().content);
        for (int i = 0; i < parts.length; i++) {
            outputs.get(names.get(i)).content = parts[i];
        }
    }

    private TensorBuffer buffer(String kind, String name, String signature) throws LiteRtException {
        assertNotDestroyed();
        ByteBuffer sizes = ByteBuffer.wrap(
            Pipe.ask("buffer " + number + "\t" + kind + "\t" + signature + "\t" + name)[0]);
        return new TensorBuffer(name, sizes.getInt(), sizes.getInt());
    }
}
