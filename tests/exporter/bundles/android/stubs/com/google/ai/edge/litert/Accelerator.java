package com.google.ai.edge.litert;

/** A stub: what the wrapper needs in order to compile. */
public enum Accelerator { NONE, CPU, GPU, NPU }
