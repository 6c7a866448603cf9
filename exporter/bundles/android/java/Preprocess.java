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

    /** A part of an image, read row by row: a photo as a whole would need tens of megabytes. */
    interface Rows {
        /** Reads the pixels of row {@code y} of the part into {@code row}, as {@code Bitmap.getPixels} gives them. */
        void read(int y, int[] row);
    }

    /** The central part of an image that the model sees, in whole pixels. */
    static final class Crop {
        final int left;
        final int top;
        final int width;
        final int height;

        private Crop(int left, int top, int width, int height) {
            this.left = left;
            this.top = top;
            this.width = width;
            this.height = height;
        }
    }

    Preprocess(Settings settings) {
        this.settings = settings;
    }

    /** What is kept of an image: of the shape of the model's input, at least 1 pixel a side. */
    Crop crop(int width, int height) {
        int rows = settings.height;
        int columns = settings.width;
        int keptWidth;
        int keptHeight;
        if ((long) width * rows >= (long) height * columns) {
            keptHeight = rounded(height * settings.cropFraction);
            keptWidth = rounded(keptHeight * ((double) columns / rows));
        } else {
            keptWidth = rounded(width * settings.cropFraction);
            keptHeight = rounded(keptWidth * ((double) rows / columns));
        }
        return new Crop((width - keptWidth) / 2, (height - keptHeight) / 2, keptWidth, keptHeight);
    }

    private static int rounded(double pixels) {
        // rint rounds halves to even, as Python's round does.
        return (int) Math.max(1, Math.rint(pixels));
    }

    /**
     * Crops the central part of an image and resizes it.
     *
     * @param argb pixels as {@code Bitmap.getPixels} gives them, not premultiplied; what is transparent lies on white
     * @return bytes of shape (height, width, channels): red, green, blue, or grey
     * @throws IllegalArgumentException if there are fewer pixels than the size says
     */
    byte[] resized(final int[] argb, final int width, int height) {
        if (width < 1 || height < 1 || argb.length < (long) width * height) {
            throw new IllegalArgumentException(
                "an image must have width * height pixels, got " + argb.length + " for " + width + " x " + height);
        }
        final Crop crop = crop(width, height);
        final int start = crop.top * width + crop.left;
        return resized(crop, new Rows() {
            @Override
            public void read(int y, int[] row) {
                System.arraycopy(argb, start + y * width, row, 0, crop.width);
            }
        });
    }

    /** The same of the central part, cut out already: as many rows and columns as {@code crop} has. */
    byte[] resized(Crop crop, Rows image) {
        int channels = settings.channels;
        Resampling across = new Resampling(crop.width, settings.width);
        Resampling down = new Resampling(crop.height, settings.height);
        int bytesPerRow = settings.width * channels;
        int[] argb = new int[crop.width];
        byte[] row = new byte[crop.width * channels];
        byte[] narrow = new byte[crop.height * bytesPerRow];
        for (int y = 0; y < crop.height; y++) {
            image.read(y, argb);
            opaque(argb, row);
            across.resize(row, 0, channels, narrow, y * bytesPerRow, channels, channels);
        }
        byte[] result = new byte[settings.height * bytesPerRow];
        for (int x = 0; x < settings.width; x++) {
            down.resize(narrow, x * channels, bytesPerRow, result, x * channels, bytesPerRow, channels);
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
