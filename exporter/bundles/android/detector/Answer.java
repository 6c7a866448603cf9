package org.mbexport.wrapper;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The model's four outputs for one image, as detections. Plain Java. */
final class Answer {
    private static final int CORNERS = 4;

    private final float[] corners;
    private final float[] classes;
    private final float[] scores;
    private final int count;

    /**
     * What the model answers to one image.
     *
     * @param location ymin, xmin, ymax, xmax of each box, in fractions of the image
     * @param category the number of each class
     * @param score how certain each is, the best first
     * @param number how many rows count
     * @throws IllegalStateException if there are not as many rows
     */
    Answer(ByteBuffer location, ByteBuffer category, ByteBuffer score, ByteBuffer number) {
        corners = floats(location);
        classes = floats(category);
        scores = floats(score);
        float told = floats(number)[0];
        count = (int) told;
        if (count != told || count < 0 || count > scores.length) {
            throw new IllegalStateException("the model must find from 0 to " + scores.length + " objects, got " + told);
        }
    }

    /**
     * What was found with a score of at least {@code minScore}, in the pixels of an image of this size.
     *
     * @throws IllegalStateException if a class has no label
     */
    List<Detection> detections(List<String> labels, int width, int height, double minScore) {
        List<Detection> found = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            if (scores[i] >= minScore) { // not where it is no number
                int index = (int) classes[i];
                if (index != classes[i] || index < 0 || index >= labels.size()) {
                    throw new IllegalStateException(
                        "the model's classes must be below " + labels.size() + ", got " + classes[i]);
                }
                int at = CORNERS * i;
                found.add(new Detection(
                    index, labels.get(index), scores[i], (double) corners[at + 1] * width, (double) corners[at] * height,
                    (double) corners[at + 3] * width, (double) corners[at + 2] * height));
            }
        }
        return Collections.unmodifiableList(found);
    }

    private static float[] floats(ByteBuffer buffer) {
        buffer.rewind();
        float[] values = new float[buffer.remaining() / 4];
        buffer.asFloatBuffer().get(values);
        return values;
    }
}
