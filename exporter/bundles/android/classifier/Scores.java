package org.mbexport.wrapper;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** Turns the model's output into scores, and scores into labels. Plain Java. */
final class Scores {
    private final Settings settings;

    Scores(Settings settings) {
        this.settings = settings;
    }

    /** The codes of an output, or its numbers where it has no codes, as they lie in memory. */
    double[] codes(byte[] output, ByteOrder order) {
        int classes = settings.labels.size();
        ByteBuffer buffer = ByteBuffer.wrap(output).order(order);
        double[] codes = new double[classes];
        for (int i = 0; i < classes; i++) {
            if (settings.outputType.equals("float32")) {
                codes[i] = buffer.getFloat();
            } else {
                byte code = buffer.get();
                codes[i] = settings.outputType.equals("uint8") ? code & 0xFF : code;
            }
        }
        return codes;
    }

    /** The scores of all classes: what codes mean; of logits the probabilities. */
    double[] scores(double[] codes) {
        double[] scores = new double[codes.length];
        for (int i = 0; i < codes.length; i++) {
            scores[i] = settings.outputScale * (codes[i] - settings.outputZeroPoint);
        }
        return settings.outputKind.equals("logits") ? softmax(scores) : scores;
    }

    /** The {@code count} best classes, best first; of equal ones the lower number first. */
    List<Label> best(double[] scores, int count) {
        List<Label> labels = new ArrayList<>(scores.length);
        for (int i = 0; i < scores.length; i++) {
            labels.add(new Label(i, settings.labels.get(i), scores[i]));
        }
        Collections.sort(labels, new Comparator<Label>() {
            @Override
            public int compare(Label one, Label other) {
                // The sort is stable; 0 and -0 are equal, as they are to everybody but Double.compare.
                return Double.compare(other.score + 0.0, one.score + 0.0);
            }
        });
        return Collections.unmodifiableList(new ArrayList<>(labels.subList(0, Math.min(count, labels.size()))));
    }

    private static double[] softmax(double[] logits) {
        double highest = Double.NEGATIVE_INFINITY;
        for (double logit : logits) {
            highest = Math.max(highest, logit);
        }
        double[] powers = new double[logits.length];
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            powers[i] = Math.exp(logits[i] - highest);
            sum += powers[i];
        }
        for (int i = 0; i < logits.length; i++) {
            powers[i] /= sum;
        }
        return powers;
    }
}
