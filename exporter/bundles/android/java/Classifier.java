package org.mbexport.wrapper;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import android.graphics.Bitmap;
import java.io.Closeable;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.Tensor;

/**
 * Classifies images with the model of this bundle, which it reads from the app's assets.
 *
 * <p>Any thread may call it; one image is classified at a time, and others wait. It takes milliseconds to construct and
 * holds native memory: construct one, keep it, and close it at the end. Not on the main thread, please.
 */
public final class Classifier implements Closeable {
    private final Settings settings;
    private final Files files;
    private final Preprocess preprocess;
    private final Scores scores;
    private final Interpreter interpreter;
    private final ByteBuffer input;
    private final ByteBuffer output;
    private boolean isClosed;

    /** How the model is run. */
    public static final class Options {
        private int threads = Math.min(4, Runtime.getRuntime().availableProcessors());
        private boolean isXnnpack = true;

        /** The threads that compute: by default one for each processor, at most 4. */
        public Options threads(int count) {
            if (count < 1) {
                throw new IllegalArgumentException("threads must be at least 1, got " + count);
            }
            threads = count;
            return this;
        }

        /** Whether the kernels of XNNPACK compute (the default), or those that LiteRT itself has. */
        public Options xnnpack(boolean isUsed) {
            isXnnpack = isUsed;
            return this;
        }
    }

    /**
     * A classifier with the default options.
     *
     * @throws IOException if the files of the bundle are not in the app's assets
     * @throws IllegalStateException if they are not of one bundle
     */
    public Classifier(Context context) throws IOException {
        this(context, new Options());
    }

    /** A classifier with these options; see {@link #Classifier(Context)}. */
    public Classifier(Context context, Options options) throws IOException {
        AssetManager assets = context.getAssets();
        files = new Assets(assets);
        settings = Settings.read(files);
        preprocess = new Preprocess(settings);
        scores = new Scores(settings);
        Interpreter.Options how = new Interpreter.Options();
        how.setNumThreads(options.threads);
        how.setUseXNNPACK(options.isXnnpack);
        interpreter = new Interpreter(model(assets), how);
        try {
            input = checked(
                interpreter.getInputTensor(0), "input", settings.inputType,
                1, settings.height, settings.width, settings.channels);
            output = checked(
                interpreter.getOutputTensor(0), "output", settings.outputType, 1, settings.labels.size());
        } catch (IllegalStateException error) {
            interpreter.close();
            throw error;
        }
    }

    /** What the model takes and gives, and the names of its classes. */
    public Settings settings() {
        return settings;
    }

    /**
     * All classes of an upright image, best first; of equal scores the lower number first.
     *
     * <p>Of the image the central part counts that has the shape of the model's input. A camera's image has to be turned upright before.
     */
    public List<Label> classify(Bitmap bitmap) {
        return classify(bitmap, settings.labels.size());
    }

    /** The {@code count} best classes of an upright image. */
    public List<Label> classify(Bitmap bitmap, int count) {
        final Bitmap readable = readable(bitmap);
        final Preprocess.Crop crop = preprocess.crop(bitmap.getWidth(), bitmap.getHeight());
        return labels(preprocess.resized(crop, new Preprocess.Rows() {
            @Override
            public void read(int y, int[] row) {
                readable.getPixels(row, 0, crop.width, crop.left, crop.top + y, crop.width, 1);
            }
        }), count);
    }

    /** All classes of an upright image, whose pixels are as {@code Bitmap.getPixels} gives them, rows from the top. */
    public List<Label> classify(int[] argb, int width, int height) {
        return labels(preprocess.resized(argb, width, height), settings.labels.size());
    }

    /** Frees the model. What is asked afterwards throws an {@link IllegalStateException}. */
    @Override
    public synchronized void close() {
        isClosed = true;
        interpreter.close();
    }

    Files files() {
        return files;
    }

    /** The model's whole output for the bytes that {@link Preprocess#resized} gives, as it lies in memory. */
    synchronized byte[] output(byte[] resized) {
        if (isClosed) {
            throw new IllegalStateException("the classifier is closed");
        }
        input.rewind();
        preprocess.toTensor(resized, input);
        input.rewind();
        output.rewind();
        interpreter.run(input, output);
        output.rewind();
        byte[] raw = new byte[output.remaining()];
        output.get(raw);
        return raw;
    }

    private List<Label> labels(byte[] resized, int count) {
        return scores.best(scores.scores(scores.codes(output(resized), ByteOrder.nativeOrder())), count);
    }

    /** A bitmap whose pixels the processor can read: one in the memory of the graphics chip is copied. */
    private static Bitmap readable(Bitmap bitmap) {
        boolean isHardware = "HARDWARE".equals(String.valueOf(bitmap.getConfig())); // the name: Android 8 has it first
        return isHardware ? bitmap.copy(Bitmap.Config.ARGB_8888, false) : bitmap;
    }

    /** Room for a tensor that is as the settings say, in elements of {@code type} and this shape. */
    private static ByteBuffer checked(Tensor tensor, String name, String type, int... shape) {
        String gotType = tensor.dataType().name().toLowerCase(Locale.ROOT);
        int elements = 1;
        for (int size : tensor.shape()) {
            elements *= size;
        }
        int expected = 1;
        for (int size : shape) {
            expected *= size;
        }
        // An output may have its classes as the channels of one pixel.
        boolean isSame = name.equals("output") ? elements == expected : Arrays.equals(tensor.shape(), shape);
        if (!isSame || !gotType.equals(type)) {
            throw new IllegalStateException(
                "the model's " + name + " must be " + type + " " + Arrays.toString(shape) + ", got " + gotType + " "
                    + Arrays.toString(tensor.shape()));
        }
        return ByteBuffer.allocateDirect(tensor.numBytes()).order(ByteOrder.nativeOrder());
    }

    /** The model, mapped from where the app lies; an app that compresses it gets it read into memory. */
    private ByteBuffer model(AssetManager assets) throws IOException {
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

    /** The files of the bundle in the app's assets. */
    private static final class Assets extends Files {
        private final AssetManager assets;

        Assets(AssetManager assets) {
            this.assets = assets;
        }

        @Override
        InputStream open(String name) throws IOException {
            return assets.open(Settings.FOLDER + "/" + name);
        }
    }
}
