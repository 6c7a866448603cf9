package org.mbexport.wrapper;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;

/** Which accelerators an app wants, and what they are given. */
final class Choice {
    int threads = Math.min(4, Runtime.getRuntime().availableProcessors());
    List<Accelerator> order = Arrays.asList(Accelerator.values());
    /** A file compiled for the NPU, where it lies outside the app's assets. */
    String npuPath;

    void threads(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("threads must be at least 1, got " + count);
        }
        threads = count;
    }

    void order(Accelerator... given) {
        List<Accelerator> each = Arrays.asList(given);
        if (each.isEmpty() || each.contains(null) || new LinkedHashSet<>(each).size() != each.size()) {
            throw new IllegalArgumentException("accelerators must be at least one, each once, got " + each);
        }
        order = Collections.unmodifiableList(new ArrayList<>(each));
    }
}
