package android.graphics;

/** A stub: what the wrapper and Usage.kt need in order to compile. */
public final class Bitmap {
    /** How pixels are stored. */
    public enum Config { ARGB_8888 }

    public static Bitmap createBitmap(Bitmap source, int x, int y, int width, int height, Matrix turn, boolean isSmooth) {
        throw new UnsupportedOperationException("stub");
    }

    public int getWidth() {
        throw new UnsupportedOperationException("stub");
    }

    public int getHeight() {
        throw new UnsupportedOperationException("stub");
    }

    public Config getConfig() {
        throw new UnsupportedOperationException("stub");
    }

    public Bitmap copy(Config config, boolean isMutable) {
        throw new UnsupportedOperationException("stub");
    }

    public void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        throw new UnsupportedOperationException("stub");
    }
}
