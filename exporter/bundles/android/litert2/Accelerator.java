package org.mbexport.wrapper;

/** What can compute the model. */
public enum Accelerator {
    /** The neural processor, with a file that was compiled for this device's chip. */
    NPU,
    /** The graphics chip. */
    GPU,
    /** The processor, which every device has. */
    CPU
}
