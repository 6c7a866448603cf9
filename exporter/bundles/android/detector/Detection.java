package org.mbexport.wrapper;

import java.util.Locale;

/** One object that was found in an image, and where. */
public final class Detection {
    /** The number of the class, from 0: its line in {@code labels.txt}. */
    public final int index;
    /** The name of the class. */
    public final String text;
    /** The score, 1 for certain. */
    public final double score;
    /** The left edge of the box, in pixels of the image from its left side: 0 to its width, whole or not. */
    public final double left;
    /** The upper edge of the box, in pixels of the image from its top. */
    public final double top;
    /** The right edge of the box, in pixels of the image from its left side. */
    public final double right;
    /** The lower edge of the box, in pixels of the image from its top. */
    public final double bottom;

    Detection(int index, String text, double score, double left, double top, double right, double bottom) {
        this.index = index;
        this.text = text;
        this.score = score;
        this.left = left;
        this.top = top;
        this.right = right;
        this.bottom = bottom;
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s %.3f (%.1f, %.1f)-(%.1f, %.1f)", text, score, left, top, right, bottom);
    }
}
