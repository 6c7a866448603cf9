package org.mbexport.wrapper;

import android.content.Context;
import android.util.Log;
import com.google.ai.edge.litert.CompiledModel;
import com.google.ai.edge.litert.Environment;
import com.google.ai.edge.litert.LiteRtException;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The model in LiteRT's CompiledModel, on the first accelerator that computes it.
 *
 * <p>LiteRT is asked for one accelerator at a time: given several it may compute on the CPU and not say so. What does
 * not take the model as a whole refuses it.
 */
final class Network implements Closeable {
    private static final String TAG = "mbexport";

    /** What computes the model. */
    final Accelerator accelerator;
    /** What was asked before, and why it does not. */
    final List<Refusal> refusals;

    private final Compiled compiled;

    /**
     * Loads the model, whose input and outputs have to be as they are described.
     *
     * @throws IOException if it is not in the app's assets
     * @throws IllegalStateException if it is another one, or no accelerator of the choice computes it
     */
    Network(Context context, Files files, Settings settings, Choice choice, Slot input, Slot... outputs)
        throws IOException {
        requireModel(files, settings);
        List<Refusal> refused = new ArrayList<>();
        Accelerator taken = null;
        Compiled found = null;
        for (Accelerator each : choice.order) {
            try {
                found = compiled(each, context, settings, choice, input, outputs);
                taken = each;
                break;
            } catch (LiteRtException | RuntimeException error) {
                refused.add(new Refusal(each, error));
            }
        }
        if (found == null) {
            throw new IllegalStateException("the model must be computed by one of " + choice.order + ", got " + refused);
        }
        accelerator = taken;
        compiled = found;
        refusals = Collections.unmodifiableList(refused);
        tell(settings);
    }

    /**
     * Computes the outputs from what lies in the input's room.
     *
     * @throws IllegalStateException if the accelerator fails; none takes its place unasked
     */
    void run() {
        try {
            compiled.run();
        } catch (LiteRtException error) {
            throw new IllegalStateException("the model must be computed by the " + new Refusal(accelerator, error), error);
        }
    }

    @Override
    public void close() {
        compiled.close();
    }

    private static Compiled compiled(
        Accelerator wanted, Context context, Settings settings, Choice choice, Slot input, Slot... outputs)
        throws LiteRtException {
        boolean isNpu = wanted == Accelerator.NPU;
        if (isNpu) {
            NpuFile.require(context, settings, choice);
        }
        Environment environment = isNpu ? withNpu(context) : Environment.create();
        CompiledModel model;
        try {
            String asset = isNpu ? settings.npuFile : Settings.FOLDER + "/" + settings.model;
            model = isNpu && choice.npuPath != null
                ? CompiledModel.create(choice.npuPath, how(wanted, choice), environment)
                : CompiledModel.create(context.getAssets(), asset, how(wanted, choice), environment);
        } catch (LiteRtException | RuntimeException error) {
            environment.close();
            throw error;
        }
        return new Compiled(environment, model, settings.signature, input, outputs);
    }

    /** The options that ask LiteRT for one accelerator. */
    private static CompiledModel.Options how(Accelerator wanted, Choice choice) {
        if (wanted == Accelerator.NPU) {
            return new CompiledModel.Options(com.google.ai.edge.litert.Accelerator.NPU);
        }
        if (wanted == Accelerator.GPU) {
            return new CompiledModel.Options(com.google.ai.edge.litert.Accelerator.GPU);
        }
        CompiledModel.Options how = new CompiledModel.Options(com.google.ai.edge.litert.Accelerator.CPU);
        setThreads(how, choice.threads);
        return how;
    }

    private static void setThreads(CompiledModel.Options how, int threads) {
        try {
            how.setCpuOptions(new CompiledModel.CpuOptions(threads, null, null));
        } catch (NoSuchMethodError other) { // an app may bring another LiteRT, whose options have more fields
            Log.w(TAG, "LiteRT chooses its threads itself: " + other.getMessage());
        }
    }

    /** An environment that looks for the vendor's dispatch library where the app's own libraries lie. */
    private static Environment withNpu(Context context) throws LiteRtException {
        return Environment.create(Collections.singletonMap(
            Environment.Option.DispatchLibraryDir, context.getApplicationInfo().nativeLibraryDir));
    }

    private static void requireModel(Files files, Settings settings) throws IOException {
        String got;
        try (InputStream stream = files.open(settings.model)) {
            got = Sha256.of(stream);
        }
        if (!got.equals(settings.sha256)) {
            throw new IllegalStateException(
                settings.model + " must be the one of this bundle, with sha256 " + settings.sha256 + ", got " + got);
        }
    }

    /** One line in the log for each model; a warning where the CPU is what is left. */
    private void tell(Settings settings) {
        String told = settings.model + " is computed by the " + accelerator
            + (refusals.isEmpty() ? "" : ", refused by " + refusals);
        if (accelerator == Accelerator.CPU && !refusals.isEmpty()) {
            Log.w(TAG, told);
        } else {
            Log.i(TAG, told);
        }
    }
}
