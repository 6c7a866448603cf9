package android.os;

/** A stub: what the wrapper needs in order to compile; no constants, which a compiler would copy. */
public final class Build {
    public static final String SOC_MODEL = String.valueOf("stub");

    private Build() {
    }

    /** A stub. */
    public static final class VERSION {
        public static final int SDK_INT = Integer.parseInt("0");

        private VERSION() {
        }
    }
}
