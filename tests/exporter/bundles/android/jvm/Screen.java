package com.acme.app;

/** What all apps of the tests do: read a photo's bytes, and tell on stderr, a line each, what they see. */
final class Screen {
    private Screen() {
    }

    static int[] argb(byte[] rgb) {
        int[] argb = new int[rgb.length / 3];
        for (int i = 0; i < argb.length; i++) {
            argb[i] = 0xFF << 24 | (rgb[3 * i] & 0xFF) << 16 | (rgb[3 * i + 1] & 0xFF) << 8 | rgb[3 * i + 2] & 0xFF;
        }
        return argb;
    }

    static synchronized void tell(String what, Object value) {
        System.err.println(what + "\t" + value);
    }
}
