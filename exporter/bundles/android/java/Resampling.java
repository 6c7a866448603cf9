package org.mbexport.wrapper;

/**
 * One direction of Pillow's bilinear resize, anti-aliased: which pixels make a new one, and with which weights.
 *
 * <p>Pillow computes weights in double and rounds them to 22 bits behind the point; so does this, to the bit.
 */
final class Resampling {
    private static final int BITS = 22;
    private static final int HALF = 1 << (BITS - 1);

    /** The pixels that are made. */
    final int size;

    private final int[] first;
    private final int[][] weights;

    /** Makes {@code to} pixels of {@code from}. */
    Resampling(int from, int to) {
        size = to;
        first = new int[to];
        weights = new int[to][];
        double scale = (double) from / to;
        double reach = Math.max(scale, 1.0);
        for (int i = 0; i < to; i++) {
            double center = (i + 0.5) * scale;
            first[i] = Math.max((int) (center - reach + 0.5), 0);
            int end = Math.min((int) (center + reach + 0.5), from);
            weights[i] = fixed(triangle(first[i], end, center, 1.0 / reach));
        }
    }

    /**
     * Resizes lines of interleaved channels.
     *
     * @param source bytes; the value of pixel p and channel c of a line is at {@code start + p * step + c}
     * @param target where those of new pixel p go: at {@code targetStart + p * targetStep + c}
     */
    void resize(byte[] source, int start, int step, byte[] target, int targetStart, int targetStep, int channels) {
        for (int i = 0; i < size; i++) {
            int[] factors = weights[i];
            int from = start + first[i] * step;
            int to = targetStart + i * targetStep;
            for (int c = 0; c < channels; c++) {
                int sum = HALF;
                int at = from + c;
                for (int factor : factors) {
                    sum += (source[at] & 0xFF) * factor;
                    at += step;
                }
                target[to + c] = (byte) Math.min(Math.max(sum >> BITS, 0), 255);
            }
        }
    }

    private static double[] triangle(int first, int end, double center, double slope) {
        double[] values = new double[end - first];
        double sum = 0;
        for (int j = 0; j < values.length; j++) {
            values[j] = Math.max(1.0 - Math.abs((j + first - center + 0.5) * slope), 0.0);
            sum += values[j];
        }
        for (int j = 0; j < values.length && sum != 0; j++) {
            values[j] /= sum;
        }
        return values;
    }

    private static int[] fixed(double[] values) {
        int[] codes = new int[values.length];
        for (int j = 0; j < values.length; j++) {
            codes[j] = (int) (0.5 + values[j] * (1 << BITS));
        }
        return codes;
    }
}
