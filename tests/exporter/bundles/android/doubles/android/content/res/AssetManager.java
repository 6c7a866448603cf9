package android.content.res;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;

/** Assets in a folder; of those that an app compresses there is no descriptor. */
public final class AssetManager {
    private final File folder;
    private final boolean isCompressed;

    public AssetManager(File folder, boolean isCompressed) {
        this.folder = folder;
        this.isCompressed = isCompressed;
    }

    public InputStream open(String name) throws IOException {
        return new FileInputStream(new File(folder, name));
    }

    public AssetFileDescriptor openFd(String name) throws IOException {
        if (isCompressed) {
            throw new FileNotFoundException("This file can not be opened as a file descriptor; it is probably compressed");
        }
        return new AssetFileDescriptor(new File(folder, name));
    }
}
