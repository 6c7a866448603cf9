// What LiteRT 2 declares in Kotlin, as far as the wrapper calls it: default arguments, @JvmOverloads, @JvmStatic and
// varargs decide what Java is compiled to. Names and types are those of litert/kotlin/src/main/kotlin in LiteRT.
package com.google.ai.edge.litert

import android.content.res.AssetManager

enum class Accelerator private constructor(val value: Int) { NONE(0), CPU(1), GPU(2), NPU(3) }

class LiteRtException(code: Int, message: String) : Exception("$code: $message")

abstract class JniHandle internal constructor(internal val handle: Long) : AutoCloseable {
    final override fun close() = Unit
}

class Environment private constructor(handle: Long) : JniHandle(handle) {
    enum class Option private constructor(val value: Int) { CompilerPluginLibraryDir(0), DispatchLibraryDir(1) }

    companion object {
        @Throws(LiteRtException::class)
        @JvmOverloads
        @JvmStatic
        fun create(options: Map<Option, String> = mapOf()): Environment = Environment(options.size.toLong())
    }
}

class TensorBuffer internal constructor(handle: Long) : JniHandle(handle) {
    @Throws(LiteRtException::class)
    fun writeFloat(data: FloatArray) = Unit

    @Throws(LiteRtException::class)
    fun writeInt8(data: ByteArray) = Unit

    @Throws(LiteRtException::class)
    fun readFloat(): FloatArray = FloatArray(0)

    @Throws(LiteRtException::class)
    fun readInt8(): ByteArray = ByteArray(0)
}

class CompiledModel private constructor(handle: Long) : JniHandle(handle) {
    data class CpuOptions(
        val numThreads: Int? = null,
        val xnnPackFlags: Int? = null,
        val xnnPackWeightCachePath: String? = null
    )

    class Options(internal val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

        var cpuOptions: CpuOptions? = null

        companion object {
            @JvmStatic
            val CPU = Options(Accelerator.CPU)
        }
    }

    @Throws(LiteRtException::class)
    fun createInputBuffer(inputName: String, signature: String = ""): TensorBuffer = TensorBuffer(0)

    @Throws(LiteRtException::class)
    fun createOutputBuffer(outputName: String, signature: String = ""): TensorBuffer = TensorBuffer(0)

    @Throws(LiteRtException::class)
    @JvmOverloads
    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0) = Unit

    @Throws(LiteRtException::class)
    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signature: String) = Unit

    @Throws(LiteRtException::class)
    fun run(inputs: Map<String, TensorBuffer>, outputs: Map<String, TensorBuffer>, signature: String = "") = Unit

    companion object {
        @Throws(LiteRtException::class)
        @JvmOverloads
        @JvmStatic
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options = Options.CPU,
            optionalEnv: Environment? = null
        ): CompiledModel = CompiledModel(0)

        @Throws(LiteRtException::class)
        @JvmOverloads
        @JvmStatic
        fun create(
            filePath: String,
            options: Options = Options.CPU,
            optionalEnv: Environment? = null
        ): CompiledModel = CompiledModel(0)
    }
}
