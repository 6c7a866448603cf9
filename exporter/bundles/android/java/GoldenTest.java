package org.mbexport.wrapper;

import static org.junit.Assert.assertEquals;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Collections;
import org.junit.Test;

/**
 * Replays the golden vectors on the JVM: the same bytes after resizing, the same class from the recorded outputs.
 *
 * <p>For an app into which the files were copied. The assets are looked for in {@code src/main/assets}, or where the
 * system property {@code mbexport.assets} says. The model itself runs on devices only: see {@link SelfTest}.
 */
public class GoldenTest {
    @Test
    public void replaysTheGoldenVectors() throws IOException {
        File folder = new File(System.getProperty("mbexport.assets", "src/main/assets"), Settings.FOLDER);
        Files files = new Folder(folder);
        assertEquals(Collections.emptyList(), SelfTest.withoutModel(Settings.read(files), files));
    }

    private static final class Folder extends Files {
        private final File folder;

        Folder(File folder) {
            this.folder = folder;
        }

        @Override
        InputStream open(String name) throws IOException {
            return new FileInputStream(new File(folder, name));
        }
    }
}
