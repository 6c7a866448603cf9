package org.mbexport.wrapper;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Properties;

/** What {@code settings.properties} says of the model: how its input is made, and how its output is read. */
public final class Settings {
    /** The folder of the bundle in the app's assets; no other bundle has the same. */
    public static final String FOLDER = "org.mbexport.wrapper";

    static final String FILE = "settings.properties";
    static final String LABELS = "labels.txt";

    /** The name of the model's file in {@link #FOLDER}. */
    public final String model;
    /** The names of the classes, in the order of the scores. */
    public final List<String> labels;
    /** The height of the image that the model takes, in pixels. */
    public final int height;
    /** The width of the image that the model takes, in pixels. */
    public final int width;
    /** 3 for colours, 1 for grey. */
    public final int channels;
    /** How much of an image's height or width is kept, whichever is short for the shape of the model's input. */
    public final double cropFraction;

    final String inputType;
    final boolean isBgr;
    final float[] mean;
    final float[] std;
    final String outputType;
    final String outputKind;
    final double outputScale;
    final int outputZeroPoint;
    final double tolerance;
    final List<Case> cases;

    private Settings(Properties told, List<String> labels) {
        this.labels = labels;
        model = text(told, "model");
        // "64" for a square, else "64x96": height x width.
        String[] sides = text(told, "resolution").split("x");
        height = (int) parsed("resolution", sides[0]);
        width = (int) parsed("resolution", sides[sides.length - 1]);
        channels = integer(told, "channels");
        cropFraction = number(told, "crop_fraction");
        inputType = text(told, "input.type");
        isBgr = text(told, "input.channel_order").equals("BGR");
        mean = numbers(told, "input.mean");
        std = numbers(told, "input.std");
        outputType = text(told, "output.type");
        outputKind = text(told, "output.kind");
        outputScale = number(told, "output.scale");
        outputZeroPoint = integer(told, "output.zero_point");
        tolerance = number(told, "output.tolerance");
        List<Case> all = new ArrayList<>();
        for (int i = 0; i < integer(told, "cases"); i++) {
            all.add(new Case(told, "case." + i + "."));
        }
        cases = Collections.unmodifiableList(all);
    }

    /**
     * Reads the settings and the labels of a bundle.
     *
     * @throws IllegalStateException if a setting is missing or is no number, or if the labels are of another model
     */
    static Settings read(Files files) throws IOException {
        Properties told = new Properties();
        told.load(new ByteArrayInputStream(files.read(FILE)));
        String lines = new String(files.read(LABELS), StandardCharsets.UTF_8);
        // Not a reader's lines: a name may hold any other character that ends a line.
        List<String> labels = Arrays.asList(lines.split("\n", -1));
        labels = Collections.unmodifiableList(labels.subList(0, labels.size() - 1));
        int classes = integer(told, "classes");
        if (labels.size() != classes) {
            throw new IllegalStateException(LABELS + " must have " + classes + " lines, got " + labels.size());
        }
        return new Settings(told, labels);
    }

    private static String text(Properties told, String name) {
        String value = told.getProperty(name);
        if (value == null) {
            throw new IllegalStateException(FILE + " must have " + name + ", got none");
        }
        return value;
    }

    private static int integer(Properties told, String name) {
        return (int) number(told, name);
    }

    private static double number(Properties told, String name) {
        return parsed(name, text(told, name));
    }

    private static float[] numbers(Properties told, String name) {
        String all = text(told, name);
        String[] each = all.isEmpty() ? new String[0] : all.split(",");
        float[] values = new float[each.length];
        for (int i = 0; i < each.length; i++) {
            values[i] = (float) parsed(name, each[i]);
        }
        return values;
    }

    private static double parsed(String name, String value) {
        try {
            return Double.parseDouble(value);
        } catch (NumberFormatException error) {
            throw new IllegalStateException(FILE + ": " + name + " must be a number, got " + value);
        }
    }

    /** One golden vector: a real image, what it is after resizing, and what the model answers. */
    static final class Case {
        final String name;
        final int width;
        final int height;
        /** A file of RGB bytes, rows from the top. */
        final String raw;
        /** A file of the bytes after cropping and resizing. */
        final String resized;
        /** A file of the model's whole output, little-endian. */
        final String output;
        /** The class with the best score. */
        final int top;

        Case(Properties told, String prefix) {
            name = text(told, prefix + "name");
            width = integer(told, prefix + "width");
            height = integer(told, prefix + "height");
            raw = text(told, prefix + "raw");
            resized = text(told, prefix + "resized");
            output = text(told, prefix + "output");
            top = integer(told, prefix + "top");
        }
    }
}
