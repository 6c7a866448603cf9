package android.content.pm;

/** A stub: what the wrapper needs in order to compile. */
public final class ApplicationInfo {
    public String nativeLibraryDir;
}
