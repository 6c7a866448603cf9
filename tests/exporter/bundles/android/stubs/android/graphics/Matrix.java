package android.graphics;

/** A stub: what Usage.kt needs in order to compile. */
public class Matrix {
    public boolean postRotate(float degrees) {
        throw new UnsupportedOperationException("stub");
    }
}
