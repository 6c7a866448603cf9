package org.mbexport.wrapper;

import com.google.ai.edge.litert.CompiledModel;
import com.google.ai.edge.litert.Environment;
import com.google.ai.edge.litert.LiteRtException;
import com.google.ai.edge.litert.TensorBuffer;
import java.io.Closeable;
import java.util.HashMap;
import java.util.Map;

/** A model that LiteRT has compiled for one accelerator, with the memory that it reads and writes. */
final class Compiled implements Closeable {
    private final Environment environment;
    private final CompiledModel model;
    private final String signature;
    private final Slot input;
    private final Slot[] outputs;
    private final Map<String, TensorBuffer> sources = new HashMap<>();
    private final Map<String, TensorBuffer> targets = new HashMap<>();

    /**
     * Takes a model and the environment that it was compiled in, and has it compute once: LiteRT constructs models for
     * accelerators that are not there, says that they take all of it, and fails only then. Both are closed if it does.
     *
     * @throws LiteRtException if the accelerator does not compute the model
     * @throws IllegalStateException if the outputs are not as they are described
     */
    Compiled(Environment environment, CompiledModel model, String signature, Slot input, Slot... outputs)
        throws LiteRtException {
        this.environment = environment;
        this.model = model;
        this.signature = signature;
        this.input = input;
        this.outputs = outputs;
        try {
            sources.put(input.name, model.createInputBuffer(input.name, signature));
            for (Slot output : outputs) {
                targets.put(output.name, model.createOutputBuffer(output.name, signature));
            }
            run();
        } catch (LiteRtException | RuntimeException error) {
            close();
            throw error;
        }
    }

    /** Computes the outputs from what lies in the input's room. */
    void run() throws LiteRtException {
        write(sources.get(input.name));
        model.run(sources, targets, signature);
        for (Slot output : outputs) {
            read(targets.get(output.name), output);
        }
    }

    @Override
    public void close() {
        for (TensorBuffer each : sources.values()) {
            each.close();
        }
        for (TensorBuffer each : targets.values()) {
            each.close();
        }
        model.close();
        environment.close();
    }

    private void write(TensorBuffer buffer) throws LiteRtException {
        input.room.rewind();
        if (input.isFloat()) {
            float[] numbers = new float[input.elements];
            input.room.asFloatBuffer().get(numbers);
            buffer.writeFloat(numbers);
        } else {
            byte[] codes = new byte[input.elements];
            input.room.get(codes);
            buffer.writeInt8(codes); // bytes as they are: LiteRT has no uint8 of its own in Java
        }
    }

    private static void read(TensorBuffer buffer, Slot output) throws LiteRtException {
        output.room.rewind();
        if (output.isFloat()) {
            float[] numbers = buffer.readFloat();
            require(numbers.length, output);
            output.room.asFloatBuffer().put(numbers);
        } else {
            byte[] codes = buffer.readInt8();
            require(codes.length, output);
            output.room.put(codes);
        }
    }

    private static void require(int elements, Slot output) {
        if (elements != output.elements) {
            throw new IllegalStateException("the model's " + output.name + " must be " + output + ", got " + elements);
        }
    }
}
