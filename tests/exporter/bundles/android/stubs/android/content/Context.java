package android.content;

import android.content.pm.ApplicationInfo;
import android.content.res.AssetManager;

/** A stub: what the wrapper and Usage.kt need in order to compile. */
public abstract class Context {
    public abstract AssetManager getAssets();

    public abstract Context getApplicationContext();

    public abstract ApplicationInfo getApplicationInfo();
}
