package com.google.ai.edge.litert;

/** What LiteRT calls accelerators. */
public enum Accelerator { NONE, CPU, GPU, NPU }
