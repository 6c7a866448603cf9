package android.graphics;

/** Pixels in memory; of one in the graphics chip's memory only a copy can be read. */
public final class Bitmap {
    /** How pixels are stored. */
    public enum Config { ARGB_8888, HARDWARE }

    private final int[] argb;
    private final int width;
    private final Config config;

    public Bitmap(int[] argb, int width, Config config) {
        this.argb = argb;
        this.width = width;
        this.config = config;
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return argb.length / width;
    }

    public Config getConfig() {
        return config;
    }

    public Bitmap copy(Config other, boolean isMutable) {
        return new Bitmap(argb, width, other);
    }

    public void getPixels(int[] pixels, int offset, int stride, int x, int y, int columns, int rows) {
        if (config == Config.HARDWARE) {
            throw new IllegalStateException("unable to getPixels(), pixel access is not supported on Config#HARDWARE bitmaps");
        }
        for (int row = 0; row < rows; row++) {
            System.arraycopy(argb, (y + row) * width + x, pixels, offset + row * stride, columns);
        }
    }
}
