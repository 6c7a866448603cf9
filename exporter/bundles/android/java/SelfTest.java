package org.mbexport.wrapper;

import java.io.IOException;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Replays the golden vectors: does this device, with its kernels, answer as the model did when it was exported?
 *
 * <p>The bytes after resizing must be the same. Outputs may differ by the tolerance of the export, since every
 * processor has kernels of its own.
 */
public final class SelfTest {
    private SelfTest() {
    }

    /**
     * Classifies all golden images on this device.
     *
     * @return what is wrong, a line for each fault; empty if all is well
     * @throws IOException if the golden vectors are not in the app
     */
    public static List<String> run(Classifier classifier) throws IOException {
        Settings settings = classifier.settings();
        List<String> faults = new ArrayList<>(withoutModel(settings, classifier.files()));
        Scores scores = new Scores(settings);
        for (Settings.Case each : settings.cases) {
            byte[] resized = classifier.files().read(each.resized);
            double[] got = scores.codes(classifier.output(resized), ByteOrder.nativeOrder());
            double[] expected = scores.codes(classifier.files().read(each.output), ByteOrder.LITTLE_ENDIAN);
            double apart = apart(got, expected);
            if (!(apart <= settings.tolerance)) {
                faults.add(each.name + ": outputs must differ by at most " + settings.tolerance + ", got " + apart);
            }
        }
        return Collections.unmodifiableList(faults);
    }

    /**
     * Replays what needs no device: resizing, and reading the outputs that were recorded.
     *
     * @return what is wrong, a line for each fault; empty if all is well
     */
    static List<String> withoutModel(Settings settings, Files files) throws IOException {
        if (settings.cases.isEmpty()) {
            return Collections.singletonList("there must be golden vectors, got none");
        }
        List<String> faults = new ArrayList<>();
        Scores scores = new Scores(settings);
        for (Settings.Case each : settings.cases) {
            int[] pixels = pixels(files.read(each.raw));
            byte[] got = new Preprocess(settings).resized(pixels, each.width, each.height);
            int wrong = different(got, files.read(each.resized));
            if (wrong != 0) {
                faults.add(each.name + ": resizing must give the recorded bytes, got " + wrong + " others");
            }
            double[] codes = scores.codes(files.read(each.output), ByteOrder.LITTLE_ENDIAN);
            Label best = scores.best(scores.scores(codes), 1).get(0);
            if (best.index != each.top) {
                faults.add(each.name + ": the best class must be " + each.top + ", got " + best.index);
            }
        }
        return faults;
    }

    private static int[] pixels(byte[] rgb) {
        int[] pixels = new int[rgb.length / 3];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = 0xFF000000 | (rgb[3 * i] & 0xFF) << 16 | (rgb[3 * i + 1] & 0xFF) << 8 | rgb[3 * i + 2] & 0xFF;
        }
        return pixels;
    }

    private static int different(byte[] got, byte[] expected) {
        int wrong = Math.abs(got.length - expected.length);
        for (int i = 0; i < Math.min(got.length, expected.length); i++) {
            wrong += got[i] == expected[i] ? 0 : 1;
        }
        return wrong;
    }

    /** The largest difference; not a number if any is none. */
    private static double apart(double[] got, double[] expected) {
        double largest = 0;
        for (int i = 0; i < got.length; i++) {
            largest = Math.max(largest, Math.abs(got[i] - expected[i]));
        }
        return largest;
    }
}
