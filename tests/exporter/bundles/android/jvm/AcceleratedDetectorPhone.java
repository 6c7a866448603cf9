package com.acme.app;

import static com.acme.app.Screen.argb;
import static com.acme.app.Screen.tell;

import android.content.Context;
import com.acme.flowers.Detection;
import com.acme.flowers.Detector;
import com.acme.flowers.Refusal;
import com.acme.flowers.SelfTest;
import com.google.ai.edge.litert.JniHandle;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;

/** An app that finds objects on whatever computes the detector: tells on stderr, a line each, what it sees. */
public final class AcceleratedDetectorPhone {
    private AcceleratedDetectorPhone() {
    }

    public static void main(String[] arguments) throws Exception {
        Context context = new Context(new File(arguments[0]), Boolean.parseBoolean(arguments[1]));
        try (Detector detector = new Detector(context, new Detector.Options().threads(3))) {
            tell("accelerator", detector.accelerator());
            for (Refusal each : detector.refusals()) {
                tell("refusal", each);
            }
            for (String fault : SelfTest.run(detector)) {
                tell("fault", fault);
            }
            int width = Integer.parseInt(arguments[3]);
            int[] argb = argb(Files.readAllBytes(new File(arguments[2]).toPath()));
            for (Detection each : detector.detect(argb, width, argb.length / width, 0)) {
                tell("found", each.index + ":" + each.score + ":" + each.left + ":" + each.top + ":" + each.right + ":"
                    + each.bottom);
            }
        } catch (IllegalStateException | IOException error) {
            tell("refused", error.getMessage());
        }
        tell("left open", JniHandle.OPEN.get());
    }
}
