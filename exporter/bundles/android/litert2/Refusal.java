package org.mbexport.wrapper;

/** An accelerator that was asked to compute the model and does not, and why. */
public final class Refusal {
    /** The accelerator. */
    public final Accelerator accelerator;
    /** What it lacks, in one line. */
    public final String reason;

    Refusal(Accelerator accelerator, Throwable error) {
        this.accelerator = accelerator;
        reason = line(error);
    }

    /** What an error says, in one line: LiteRT's own have several. */
    static String line(Throwable error) {
        return String.valueOf(error.getMessage()).replaceAll("\\s+", " ").trim();
    }

    @Override
    public String toString() {
        return accelerator + ": " + reason;
    }
}
