package org.mbexport.wrapper;

import android.content.Context;
import android.os.Build;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * The file that was compiled ahead of time for this device's NPU.
 *
 * <p>Any other file LiteRT computes on the CPU where it is asked for the NPU, and says nothing: what counts are the
 * files that were compiled with this bundle, known by their hashes.
 */
final class NpuFile {
    private static final int SOC_MODEL_SINCE = 31; // Android 12 is the first to say which chip a device has

    private NpuFile() {
    }

    /**
     * Finds out whether the file is there, and is one for this device.
     *
     * @throws IllegalStateException if it is not
     */
    static void require(Context context, Settings settings, Choice choice) {
        if (settings.chips.isEmpty()) {
            throw new IllegalStateException("no file of this bundle was compiled for an NPU");
        }
        String path = path(settings, choice);
        String sha256;
        try (InputStream stream = choice.npuPath == null ? context.getAssets().open(path) : new FileInputStream(path)) {
            sha256 = Sha256.of(stream);
        } catch (IOException missing) {
            throw new IllegalStateException(
                "the app has no " + path + ", which an AI pack brings: " + Refusal.line(missing));
        }
        if (sha256.equals(settings.sha256)) {
            throw new IllegalStateException(
                "the AI pack brought the file for the CPU: this device is none of those with " + settings.chips);
        }
        for (Settings.Chip chip : settings.chips) {
            if (sha256.equals(chip.sha256)) {
                requireDevice(chip);
                return;
            }
        }
        throw new IllegalStateException(path + " is none of the files that were compiled with this bundle");
    }

    /** Where the file lies: in the app's assets, unless the app says where. */
    static String path(Settings settings, Choice choice) {
        return choice.npuPath == null ? settings.npuFile : choice.npuPath;
    }

    private static void requireDevice(Settings.Chip chip) {
        if (Build.VERSION.SDK_INT >= SOC_MODEL_SINCE && !Build.SOC_MODEL.equals(chip.name)) {
            throw new IllegalStateException(
                "the file was compiled for " + chip + ", and this device has " + Build.SOC_MODEL);
        }
    }
}
