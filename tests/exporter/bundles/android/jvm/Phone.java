package com.acme.app;

import static com.acme.app.Screen.argb;
import static com.acme.app.Screen.tell;

import android.content.Context;
import android.graphics.Bitmap;
import com.acme.flowers.Classifier;
import com.acme.flowers.Label;
import com.acme.flowers.SelfTest;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** An app that uses the bundle: tells on stderr, a line each, what it sees. */
public final class Phone {
    private Phone() {
    }

    @SuppressWarnings("try") // it is closed before its end, to see what happens then
    public static void main(String[] arguments) throws Exception {
        File assets = new File(arguments[0]);
        Context context = new Context(assets, Boolean.parseBoolean(arguments[1]));
        try (Classifier classifier = new Classifier(context, new Classifier.Options().threads(3).xnnpack(false))) {
            for (String fault : SelfTest.run(classifier)) {
                tell("fault", fault);
            }
            int width = Integer.parseInt(arguments[3]);
            int[] argb = argb(Files.readAllBytes(new File(arguments[2]).toPath()));
            for (Bitmap.Config config : Bitmap.Config.values()) {
                tell("top 3", names(classifier.classify(new Bitmap(argb, width, config), 3)));
            }
            tell("all", classifier.classify(argb, width, argb.length / width).size());
            atOnce(classifier, argb, width);
            classifier.close();
            try {
                classifier.classify(argb, width, argb.length / width);
            } catch (IllegalStateException error) {
                tell("closed", error.getMessage());
            }
        } catch (IllegalStateException | IOException error) {
            tell("refused", error.getMessage());
        }
    }

    private static void atOnce(Classifier classifier, int[] argb, int width) throws InterruptedException {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        for (int i = 0; i < 8; i++) {
            threads.execute(() -> tell("thread", classifier.classify(argb, width, argb.length / width).get(0).text));
        }
        threads.shutdown();
        threads.awaitTermination(60, TimeUnit.SECONDS);
    }

    private static String names(List<Label> labels) {
        StringBuilder names = new StringBuilder();
        for (Label label : labels) {
            names.append(label.index).append(':').append(label.score).append(' ');
        }
        return names.toString().trim();
    }
}
