package org.mbexport.wrapper;

import java.util.Locale;

/** One class of an answer, with its score. */
public final class Label {
    /** The number of the class, from 0: its line in {@code labels.txt}. */
    public final int index;
    /** The name of the class. */
    public final String text;
    /** The score, 1 for certain: a probability, also of a network that gives logits. */
    public final double score;

    Label(int index, String text, double score) {
        this.index = index;
        this.text = text;
        this.score = score;
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s %.3f", text, score);
    }
}
