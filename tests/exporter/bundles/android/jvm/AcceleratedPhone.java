package com.acme.app;

import static com.acme.app.Screen.argb;
import static com.acme.app.Screen.tell;

import android.content.Context;
import android.graphics.Bitmap;
import com.acme.flowers.Accelerator;
import com.acme.flowers.Classifier;
import com.acme.flowers.Label;
import com.acme.flowers.Refusal;
import com.acme.flowers.SelfTest;
import com.google.ai.edge.litert.JniHandle;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;

/** An app that uses the bundle on the accelerators that it is told: tells on stderr, a line each, what it sees. */
public final class AcceleratedPhone {
    private AcceleratedPhone() {
    }

    @SuppressWarnings("try") // it is closed before its end, to see what happens then
    public static void main(String[] arguments) throws Exception {
        Context context = new Context(new File(arguments[0]), Boolean.parseBoolean(arguments[1]));
        try (Classifier classifier = new Classifier(context, options())) {
            tell("accelerator", classifier.accelerator());
            for (Refusal each : classifier.refusals()) {
                tell("refusal", each);
            }
            for (String fault : SelfTest.run(classifier)) {
                tell("fault", fault);
            }
            int width = Integer.parseInt(arguments[3]);
            int[] argb = argb(Files.readAllBytes(new File(arguments[2]).toPath()));
            tell("top 3", names(classifier.classify(new Bitmap(argb, width, Bitmap.Config.ARGB_8888), 3)));
            tell("open", JniHandle.OPEN.get());
            classifier.close();
            try {
                classifier.classify(argb, width, argb.length / width);
            } catch (IllegalStateException error) {
                tell("closed", error.getMessage());
            }
        } catch (IllegalStateException | IllegalArgumentException | IOException error) {
            tell("refused", error.getMessage());
        }
        tell("left open", JniHandle.OPEN.get());
    }

    private static Classifier.Options options() {
        Classifier.Options options = new Classifier.Options().threads(3);
        String order = System.getProperty("test.order", "");
        if (!order.isEmpty()) {
            options.accelerators(accelerators(order));
        }
        String npuFile = System.getProperty("test.npu", "");
        if (!npuFile.isEmpty()) {
            options.npuFile(npuFile);
        }
        return options;
    }

    private static Accelerator[] accelerators(String order) {
        String[] names = order.split(",");
        Accelerator[] all = new Accelerator[names.length];
        for (int i = 0; i < all.length; i++) {
            all[i] = Accelerator.valueOf(names[i]);
        }
        return all;
    }

    private static String names(List<Label> labels) {
        StringBuilder names = new StringBuilder();
        for (Label label : labels) {
            names.append(label.index).append(':').append(label.score).append(' ');
        }
        return names.toString().trim();
    }
}
