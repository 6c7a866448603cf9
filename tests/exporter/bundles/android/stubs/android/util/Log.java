package android.util;

/** A stub: what the wrapper needs in order to compile. */
public final class Log {
    private Log() {
    }

    public static int i(String tag, String message) {
        throw new UnsupportedOperationException("stub");
    }

    public static int w(String tag, String message) {
        throw new UnsupportedOperationException("stub");
    }
}
