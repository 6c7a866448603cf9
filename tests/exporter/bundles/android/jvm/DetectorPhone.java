package com.acme.app;

import static com.acme.app.Screen.argb;
import static com.acme.app.Screen.tell;

import android.content.Context;
import android.graphics.Bitmap;
import com.acme.flowers.Detection;
import com.acme.flowers.Detector;
import com.acme.flowers.SelfTest;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** An app that uses the bundle of a detector: tells on stderr, a line each, what it sees. */
public final class DetectorPhone {
    private static final double MIN_SCORE = 0.5;

    private DetectorPhone() {
    }

    @SuppressWarnings("try") // it is closed before its end, to see what happens then
    public static void main(String[] arguments) throws Exception {
        File assets = new File(arguments[0]);
        Context context = new Context(assets, Boolean.parseBoolean(arguments[1]));
        try (Detector detector = new Detector(context, new Detector.Options().threads(3).xnnpack(false))) {
            for (String fault : SelfTest.run(detector)) {
                tell("fault", fault);
            }
            int width = Integer.parseInt(arguments[3]);
            int[] argb = argb(Files.readAllBytes(new File(arguments[2]).toPath()));
            for (Bitmap.Config config : Bitmap.Config.values()) {
                tell("all", rows(detector.detect(new Bitmap(argb, width, config))));
                tell("certain", rows(detector.detect(new Bitmap(argb, width, config), MIN_SCORE)));
            }
            tell("text", detector.detect(argb, width, argb.length / width, 0).get(0));
            refused(detector, argb, width, Double.NaN);
            refused(detector, argb, width, 1.5);
            atOnce(detector, argb, width);
            detector.close();
            refused(detector, argb, width, 0);
        } catch (IllegalStateException | IOException error) {
            tell("refused", error.getMessage());
        }
    }

    private static void refused(Detector detector, int[] argb, int width, double minScore) {
        try {
            detector.detect(argb, width, argb.length / width, minScore);
        } catch (IllegalArgumentException | IllegalStateException error) {
            tell("error", error.getMessage());
        }
    }

    private static void atOnce(Detector detector, int[] argb, int width) throws InterruptedException {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        for (int i = 0; i < 8; i++) {
            threads.execute(() -> tell("thread", rows(detector.detect(argb, width, argb.length / width, MIN_SCORE))));
        }
        threads.shutdown();
        threads.awaitTermination(60, TimeUnit.SECONDS);
    }

    private static String rows(List<Detection> found) {
        StringBuilder rows = new StringBuilder();
        for (Detection each : found) {
            rows.append(each.index).append(':').append(each.score).append(':').append(each.left).append(':')
                .append(each.top).append(':').append(each.right).append(':').append(each.bottom).append(' ');
        }
        return rows.toString().trim();
    }
}
