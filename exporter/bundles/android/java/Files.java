package org.mbexport.wrapper;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;

/** Where the bundle's files are read from: the app's assets, or a folder in a unit test. */
abstract class Files {
    private static final int BLOCK = 1 << 16;

    /** Opens a file of the bundle by its name, such as {@code labels.txt}. */
    abstract InputStream open(String name) throws IOException;

    /** The whole content of the file called {@code name}. */
    final byte[] read(String name) throws IOException {
        try (InputStream stream = open(name)) {
            ByteArrayOutputStream content = new ByteArrayOutputStream(Math.max(stream.available(), BLOCK));
            byte[] block = new byte[BLOCK];
            for (int size = stream.read(block); size >= 0; size = stream.read(block)) {
                content.write(block, 0, size);
            }
            return content.toByteArray();
        }
    }
}
