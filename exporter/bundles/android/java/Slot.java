package org.mbexport.wrapper;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A tensor of the model as the settings describe it, and room for its content. Plain Java. */
final class Slot {
    /** What the model, or an error, calls it. */
    final String name;
    /** {@code uint8}, {@code int8} or {@code float32}. */
    final String type;
    final int[] shape;
    /** How many numbers it has. */
    final int elements;
    /** The content as it lies in memory. */
    final ByteBuffer room;

    Slot(String name, String type, int... shape) {
        this.name = name;
        this.type = type;
        this.shape = shape;
        int product = 1;
        for (int side : shape) {
            product *= side;
        }
        elements = product;
        room = ByteBuffer.allocateDirect(isFloat() ? 4 * elements : elements).order(ByteOrder.nativeOrder());
    }

    boolean isFloat() {
        return type.equals("float32");
    }

    @Override
    public String toString() {
        return type + " " + Arrays.toString(shape);
    }
}
