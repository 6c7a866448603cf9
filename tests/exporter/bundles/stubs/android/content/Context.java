package android.content;

import android.content.res.AssetManager;

/** A stub: what the wrapper needs in order to compile. */
public abstract class Context {
    public abstract AssetManager getAssets();
}
