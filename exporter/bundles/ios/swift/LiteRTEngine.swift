// SPDX-License-Identifier: Apache-2.0
#if canImport(LiteRT)
  import Foundation
  import LiteRT

  /// Google's LiteRT, from its own Swift package (https://github.com/google-ai-edge/LiteRT).
  final class LiteRTEngine: Engine {
    private let environment: Environment
    private let options: Options
    private let model: CompiledModel
    private let inputs: [TensorBuffer]
    private let outputs: [TensorBuffer]

    init(model url: URL, threads: Int) throws {
      do {
        environment = try Environment()
        options = try Options()
        try options.setHardwareAccelerators([.cpu])
        let cpu = try CpuOptions()
        try cpu.setNumThreads(threads)
        try options.addConcreteOptions(cpu)
        model = try CompiledModel(filePath: url.path, environment: environment, options: options)
        inputs = try model.createInputBuffers()
        outputs = try model.createOutputBuffers()
      } catch {
        throw ClassifierError("LiteRT refuses \(url.lastPathComponent): \(error)")
      }
      guard inputs.count == 1, outputs.count == 1 else {
        throw ClassifierError(
          "the model must have one input and one output, got \(inputs.count) and \(outputs.count)")
      }
    }

    func run(_ input: [UInt8]) throws -> [UInt8] {
      do {
        try inputs[0].write(input)
        try model.run(inputs: inputs, outputs: outputs)
        let output: [UInt8] = try outputs[0].read()
        return output
      } catch {
        throw ClassifierError("LiteRT fails on \(input.count) bytes of input: \(error)")
      }
    }
  }
#endif
