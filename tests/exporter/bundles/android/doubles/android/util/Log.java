package android.util;

/** A log that a test reads. */
public final class Log {
    private Log() {
    }

    public static int i(String tag, String message) {
        return told("info", tag, message);
    }

    public static int w(String tag, String message) {
        return told("warning", tag, message);
    }

    private static int told(String level, String tag, String message) {
        System.err.println("log\t" + level + " " + tag + ": " + message);
        return 0;
    }
}
