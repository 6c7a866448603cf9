package android.content.pm;

/** Where an app's own libraries lie. */
public final class ApplicationInfo {
    public final String nativeLibraryDir = "/data/app/lib/arm64";
}
