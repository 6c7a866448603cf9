package android.content.res;

import java.io.IOException;
import java.io.InputStream;

/** A stub: what the wrapper needs in order to compile. */
public final class AssetManager {
    public InputStream open(String name) throws IOException {
        throw new UnsupportedOperationException("stub");
    }

    public AssetFileDescriptor openFd(String name) throws IOException {
        throw new UnsupportedOperationException("stub");
    }
}
