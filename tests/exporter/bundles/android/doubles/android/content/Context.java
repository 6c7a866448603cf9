package android.content;

import android.content.pm.ApplicationInfo;
import android.content.res.AssetManager;
import java.io.File;

/** An app whose assets are a folder. */
public final class Context {
    private final File assets;
    private final boolean isCompressed;

    public Context(File assets, boolean isCompressed) {
        this.assets = assets;
        this.isCompressed = isCompressed;
    }

    public AssetManager getAssets() {
        return new AssetManager(assets, isCompressed);
    }

    public ApplicationInfo getApplicationInfo() {
        return new ApplicationInfo();
    }
}
