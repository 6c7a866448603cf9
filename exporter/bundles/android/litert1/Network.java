package org.mbexport.wrapper;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.Closeable;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.Tensor;

/** The model in LiteRT's interpreter, on the CPU. */
final class Network implements Closeable {
    private final Interpreter interpreter;
    private final Slot input;
    private final Map<Integer, Object> outputs = new HashMap<>();

    /**
     * Loads the model, whose input and outputs have to be as they are described.
     *
     * @throws IllegalStateException if it has others
     */
    Network(
        AssetManager assets, Files files, Settings settings, int threads, boolean isXnnpack, Slot input, Slot... outputs)
        throws IOException {
        this.input = input;
        Interpreter.Options how = new Interpreter.Options();
        how.setNumThreads(threads);
        how.setUseXNNPACK(isXnnpack);
        interpreter = new Interpreter(model(assets, files, settings), how);
        try {
            require(interpreter.getInputTensor(0), input);
            for (Slot output : outputs) {
                int place = outputs.length == 1 ? 0 : place(output.name);
                require(interpreter.getOutputTensor(place), output);
                this.outputs.put(place, output.room);
            }
        } catch (IllegalStateException error) {
            interpreter.close();
            throw error;
        }
    }

    /** Computes the outputs from what lies in the input's room. */
    void run() {
        input.room.rewind();
        for (Object output : outputs.values()) {
            ((ByteBuffer) output).rewind();
        }
        interpreter.runForMultipleInputsOutputs(new Object[] {input.room}, outputs);
    }

    @Override
    public void close() {
        interpreter.close();
    }

    private int place(String name) {
        for (int i = 0; i < interpreter.getOutputTensorCount(); i++) {
            if (interpreter.getOutputTensor(i).name().equals(name)) {
                return i;
            }
        }
        throw new IllegalStateException("the model must have an output called " + name + ", got none");
    }

    private static void require(Tensor tensor, Slot slot) {
        String gotType = tensor.dataType().name().toLowerCase(Locale.ROOT);
        int elements = 1;
        for (int size : tensor.shape()) {
            elements *= size;
        }
        // An output may have its classes as the channels of one pixel.
        boolean isSame =
            slot.name.equals("output") ? elements == slot.elements : Arrays.equals(tensor.shape(), slot.shape);
        if (!isSame || !gotType.equals(slot.type)) {
            throw new IllegalStateException(
                "the model's " + slot.name + " must be " + slot + ", got " + gotType + " "
                    + Arrays.toString(tensor.shape()));
        }
    }

    /** The model, mapped from where the app lies; an app that compresses it gets it read into memory. */
    private static ByteBuffer model(AssetManager assets, Files files, Settings settings) throws IOException {
        try (AssetFileDescriptor descriptor = assets.openFd(Settings.FOLDER + "/" + settings.model);
             FileInputStream stream = new FileInputStream(descriptor.getFileDescriptor())) {
            return stream.getChannel().map(
                FileChannel.MapMode.READ_ONLY, descriptor.getStartOffset(), descriptor.getDeclaredLength());
        } catch (FileNotFoundException compressed) { // or missing, which reading it tells
            byte[] content = files.read(settings.model);
            ByteBuffer buffer = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder());
            buffer.put(content);
            buffer.rewind();
            return buffer;
        }
    }
}
