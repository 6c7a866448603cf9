package android.os;

/** The device that a test wants. */
public final class Build {
    public static final String SOC_MODEL = System.getProperty("test.soc", "unknown");

    private Build() {
    }

    /** Its Android. */
    public static final class VERSION {
        public static final int SDK_INT = Integer.getInteger("test.sdk", 34);

        private VERSION() {
        }
    }
}
