package android.content.res;

import java.io.Closeable;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;

/** A whole file, where on a phone it is a part of the app's. */
public class AssetFileDescriptor implements Closeable {
    private final FileInputStream stream;
    private final long size;

    AssetFileDescriptor(File file) throws IOException {
        stream = new FileInputStream(file);
        size = file.length();
    }

    public FileDescriptor getFileDescriptor() {
        try {
            return stream.getFD();
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    public long getStartOffset() {
        return 0;
    }

    public long getDeclaredLength() {
        return size;
    }

    @Override
    public void close() throws IOException {
        stream.close();
    }
}
