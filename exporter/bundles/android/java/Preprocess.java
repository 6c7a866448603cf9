package org.mbexport.wrapper;

import java.nio.ByteBuffer;

/**
 * Turns an image into the bytes and numbers that the model takes, exactly as it was trained and verified.
 *
 * <p>Plain Java, without a class of Android: its unit tests run on any machine. Safe to be used by many threads.
 */
final class Preprocess {
    private static final int BYTE_OFFSET = 128; // an int8 code is the byte minus this

    private final Settings settings;

    /** A square image, read row by row: a photo as a whole would need tens of megabytes. */
    interface Square {
        /** Reads the pixels of row {@code y} into {@code row}, as {@code Bitmap.getPixels} gives them. */
        void read(int y, int[] row);
    }

    Preprocess(Settings settings) {
        this.settings = settings;
    }

    /** The side of the central square that is kept of an image, at least 1 pixel. */
    int side(int width, int height) {
        // rint rounds halves to even, as Python's round does.
        return (int) Math.max(1, Math.rint(Math.min(width, height) * settings.cropFraction));
    }

    /**
     * Crops the central square of an image and resizes it.
     *
     * @param argb pixels as {@code Bitmap.getPixels} gives them, not premultiplied; what is transparent lies on white
     * @return bytes of shape (resolution, resolution, channels): red, green, blue, or grey
     * @throws IllegalArgumentException if there are fewer pixels than the size says
     */
    byte[] resized(final int[] argb, final int width, int height) {
        if (width < 1 || height < 1 || argb.length < (long) width * height) {
            throw new IllegalArgumentException(
                "an image must have width * height pixels, got " + argb.length + " for " + width + " x " + height);
        }
        final int side = side(width, height);
        final int start = (height - side) / 2 * width + (width - side) / 2;
        return resized(side, new Square() {
            @Override
            public void read(int y, int[] row) {
                System.arraycopy(argb, start + y * width, row, 0, side);
            }
        });
    }

    /** The same of the central square, cut out already: {@code side} rows of as many pixels. */
    byte[] resized(int side, Square image) {
        int channels = settings.channels;
        int size = settings.resolution;
        Resampling pass = new Resampling(side, size);
        int[] argb = new int[side];
        byte[] row = new byte[side * channels];
        byte[] narrow = new byte[side * size * channels];
        for (int y = 0; y < side; y++) {
            image.read(y, argb);
            opaque(argb, row);
            pass.resize(row, 0, channels, narrow, y * size * channels, channels, channels);
        }
        byte[] result = new byte[size * size * channels];
        for (int x = 0; x < size; x++) {
            pass.resize(narrow, x * channels, size * channels, result, x * channels, size * channels, channels);
        }
        return result;
    }

    /**
     * Writes the model's input for the bytes of {@link #resized}, from the buffer's position on.
     *
     * <p>A byte b becomes b (uint8), b - 128 (int8), or (b - mean) / std (float32, blue first where the model wants it).
     */
    void toTensor(byte[] pixels, ByteBuffer tensor) {
        if (settings.inputType.equals("uint8")) {
            tensor.put(pixels);
        } else if (settings.inputType.equals("int8")) {
            for (byte pixel : pixels) {
                tensor.put((byte) ((pixel & 0xFF) - BYTE_OFFSET));
            }
        } else {
            int last = settings.channels - 1;
            for (int i = 0; i < pixels.length; i++) {
                int c = i % settings.channels;
                int value = pixels[settings.isBgr ? i - c + last - c : i] & 0xFF;
                tensor.putFloat((value - settings.mean[c]) / settings.std[c]);
            }
        }
    }

    /** Pixels as bytes, without what shines through them. */
    private void opaque(int[] argb, byte[] target) {
        for (int i = 0; i < argb.length; i++) {
            int alpha = argb[i] >>> 24;
            int red = onWhite(argb[i] >> 16 & 0xFF, alpha);
            int green = onWhite(argb[i] >> 8 & 0xFF, alpha);
            int blue = onWhite(argb[i] & 0xFF, alpha);
            if (settings.channels == 1) {
                // ITU-R 601-2 luma, as Pillow has it.
                target[i] = (byte) (red * 19595 + green * 38470 + blue * 7471 + 0x8000 >> 16);
            } else {
                target[3 * i] = (byte) red;
                target[3 * i + 1] = (byte) green;
                target[3 * i + 2] = (byte) blue;
            }
        }
    }

    /** A colour over white, in the integers of Pillow's alpha_composite: 7 bits behind the point. */
    private static int onWhite(int value, int alpha) {
        if (alpha == 255) {
            return value;
        }
        int sum = (value * alpha + 255 * (255 - alpha) << 7) + (128 << 7);
        return (sum >> 8) + sum >> 8 >> 7;
    }
}
