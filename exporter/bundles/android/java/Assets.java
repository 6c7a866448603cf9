package org.mbexport.wrapper;

import android.content.res.AssetManager;
import java.io.IOException;
import java.io.InputStream;

/** The files of the bundle in the app's assets. */
final class Assets extends Files {
    private final AssetManager assets;

    Assets(AssetManager assets) {
        this.assets = assets;
    }

    @Override
    InputStream open(String name) throws IOException {
        return assets.open(Settings.FOLDER + "/" + name);
    }
}
